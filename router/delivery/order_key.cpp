#include "router/delivery/order_key.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "core/bytes.hpp"

namespace eventyard::router {
namespace {

bool is_name(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           static_cast<unsigned char>(c) >= 0x80;
}

Error wrong(std::string_view text, std::size_t at, const char* expected)
{
    return fail(Errc::invalid, "order key '" + std::string(text) + "': expected " + expected + " at character " +
                                   std::to_string(at + 1));
}

/// The child of the array at `array` that `index` names; values.size(): there is none.
std::uint32_t element(std::span<const json::Value> values, std::uint32_t array, std::int64_t index)
{
    if (index < 0) {
        std::int64_t size = 0;
        for (std::uint32_t i = array + 1; i < values[array].next; i = values[i].next) ++size;
        index += size;
        if (index < 0) return static_cast<std::uint32_t>(values.size());
    }
    for (std::uint32_t i = array + 1; i < values[array].next; i = values[i].next)
        if (index-- == 0) return i;
    return static_cast<std::uint32_t>(values.size());
}

}  // namespace

Result<OrderKey> OrderKey::parse(std::string_view text)
{
    OrderKey key;
    if (text.empty()) return wrong(text, 0, "a JSONPath such as $.detail.id, or an attribute's name");
    if (text.front() != '$') {
        const auto end = std::find_if_not(text.begin(), text.end(), is_name);
        if (end != text.end())
            return wrong(text, static_cast<std::size_t>(end - text.begin()), "a letter or digit (a JSONPath begins with $)");
        key.steps_.emplace_back(std::string(text));
        return key;
    }
    std::size_t at = 1;
    while (at < text.size()) {
        if (text[at] == '.') {
            const std::size_t begin = ++at;
            while (at < text.size() && is_name(text[at])) ++at;
            if (at == begin) return wrong(text, at, "a member's name");
            key.steps_.emplace_back(std::string(text.substr(begin, at - begin)));
            continue;
        }
        if (text[at] != '[') return wrong(text, at, "'.' or '['");
        ++at;
        if (at < text.size() && (text[at] == '\'' || text[at] == '"')) {
            const char quote = text[at++];
            std::string name;
            for (; at < text.size() && text[at] != quote; ++at) {
                if (text[at] == '\\' && ++at == text.size()) break;
                name += text[at];
            }
            if (at >= text.size()) return wrong(text, at, "the closing quote");
            ++at;
            key.steps_.emplace_back(std::move(name));
        } else {
            std::int64_t index = 0;
            const auto [end, failure] = std::from_chars(text.data() + at, text.data() + text.size(), index);
            if (failure != std::errc{}) return wrong(text, at, "a quoted name or an index");
            at = static_cast<std::size_t>(end - text.data());
            key.steps_.emplace_back(index);
        }
        if (at >= text.size() || text[at] != ']') return wrong(text, at, "']'");
        ++at;
    }
    if (key.steps_.empty()) return wrong(text, 1, "'.' and a member's name");
    return key;
}

std::string OrderKey::of(const Event& event, json::Document& scratch) const
{
    json::SyntaxError error;
    if (!scratch.parse(event.body, {}, error)) return {};
    const auto values = scratch.values();
    std::uint32_t at = 0;
    for (const Step& step : steps_) {
        const json::Value& value = values[at];
        if (const auto* const name = std::get_if<std::string>(&step)) {
            if (value.kind != json::Kind::object) return {};
            const json::Value* const member = scratch.member(at, *name);
            if (member == nullptr) return {};
            at = static_cast<std::uint32_t>(member - values.data());
        } else {
            if (value.kind != json::Kind::array) return {};
            at = element(values, at, std::get<std::int64_t>(step));
            if (at >= values.size()) return {};
        }
    }
    const json::Value& found = values[at];
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
