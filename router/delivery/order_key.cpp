#include "router/delivery/order_key.hpp"

#include <algorithm>
#include <cstdio>

#include "core/bytes.hpp"

namespace eventyard::router {
namespace {

Error wrong(std::string_view text, const std::string& what)
{
    return fail(Errc::invalid, "order key '" + std::string(text) + "': " + what);
}

Error wrong(std::string_view text, std::size_t at, const std::string& expected)
{
    return wrong(text, "expected " + expected + " at character " + std::to_string(at + 1));
}

}  // namespace

Result<OrderKey> OrderKey::parse(std::string_view text)
{
    OrderKey key;
    if (text.empty()) return wrong(text, 0, "a JSONPath such as $.detail.id, or an attribute's name");
    if (text.front() != '$') {
        const auto end = std::find_if_not(text.begin(), text.end(), json::Path::is_name);
        if (end != text.end())
            return wrong(text, static_cast<std::size_t>(end - text.begin()), "a letter or digit (a JSONPath begins with $)");
        key.path_ = json::Path::member(text);
        return key;
    }
    auto path = json::Path::parse(text, false);
    if (!path.has_value()) return wrong(text, path.error().what);
    if (path->whole()) return wrong(text, 1, "'.' and a member's name");
    if (!path->single()) return wrong(text, text.find('*'), "a quoted name or an index");
    key.path_ = std::move(*path);
    return key;
}

std::string OrderKey::of(const Event& event, json::Document& scratch) const
{
    json::SyntaxError error;
    if (!scratch.parse(event.body, {}, error)) return {};
    const json::Value* const value = path_.find(scratch);
    if (value == nullptr) return {};
    const json::Value& found = *value;
    if (found.kind == json::Kind::null) return {};
    std::string text;
    if (found.kind == json::Kind::string) json::append_quoted(text, found.text);
    else text = scratch.source(found);
    if (text.size() <= length_max) return text;
    char sum[12];
    std::snprintf(sum, sizeof sum, "~%08x", crc32c(0, text.data(), text.size()));
    text.resize(length_max - 9);
    return text + sum;
}

}  // namespace eventyard::router
