#include "router/delivery/order_key.hpp"

#include <cstdio>

#include "core/bytes.hpp"

namespace eventyard::router {

Result<OrderKey> OrderKey::parse(std::string_view text)
{
    auto path = json::Path::of_one(text);
    if (!path.has_value()) return fail(Errc::invalid, "order key '" + std::string(text) + "': " + path.error().what);
    OrderKey key;
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
