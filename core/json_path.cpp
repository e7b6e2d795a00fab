#include "core/json_path.hpp"

#include <algorithm>
#include <charconv>

#include "core/bytes.hpp"

namespace eventyard::json {
namespace {

Error wrong(std::size_t at, const char* expected)
{
    return fail(Errc::invalid, "expected " + std::string(expected) + " at character " + std::to_string(at + 1));
}

/// The child of the array at `array` that `index` names.
std::optional<std::uint32_t> element(std::span<const Value> values, std::uint32_t array, std::int64_t index)
{
    if (index < 0) {
        std::int64_t size = 0;
        for (std::uint32_t i = array + 1; i < values[array].next; i = values[i].next) ++size;
        index += size;
        if (index < 0) return std::nullopt;
    }
    for (std::uint32_t i = array + 1; i < values[array].next; i = values[i].next)
        if (index-- == 0) return i;
    return std::nullopt;
}

}  // namespace

bool Path::is_name(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           static_cast<unsigned char>(c) >= 0x80;
}

Result<Path> Path::parse(std::string_view text, bool slashes)
{
    Path path;
    if (text.empty() || text.front() != '$') return wrong(0, "'$', with which a JSONPath begins,");
    std::size_t at = 1;
    while (at < text.size()) {
        if (text[at] == '.') {
            const std::size_t begin = ++at;
            if (at < text.size() && text[at] == '*') {
                ++at;
                path.steps_.emplace_back(Every{});
                continue;
            }
            while (at < text.size() && (is_name(text[at]) || (slashes && text[at] == '/'))) ++at;
            if (at == begin) return wrong(at, "a member's name");
            path.steps_.emplace_back(std::string(text.substr(begin, at - begin)));
            continue;
        }
        if (text[at] != '[') return wrong(at, "'.' or '['");
        ++at;
        if (at < text.size() && (text[at] == '\'' || text[at] == '"')) {
            const char quote = text[at++];
            std::string name;
            for (; at < text.size() && text[at] != quote; ++at) {
                if (text[at] == '\\' && ++at == text.size()) break;
                name += text[at];
            }
            if (at >= text.size()) return wrong(at, "the closing quote");
            ++at;
            path.steps_.emplace_back(std::move(name));
        } else if (at < text.size() && text[at] == '*') {
            ++at;
            path.steps_.emplace_back(Every{});
        } else {
            std::int64_t index = 0;
            const auto [end, failure] = std::from_chars(text.data() + at, text.data() + text.size(), index);
            if (failure != std::errc{}) return wrong(at, "a quoted name or an index");
            at = static_cast<std::size_t>(end - text.data());
            path.steps_.emplace_back(index);
        }
        if (at >= text.size() || text[at] != ']') return wrong(at, "']'");
        ++at;
    }
    return path;
}

Path Path::member(std::string_view name)
{
    Path path;
    path.steps_.emplace_back(std::string(name));
    return path;
}

Result<Path> Path::of_one(std::string_view text)
{
    if (text.empty()) return wrong(0, "a JSONPath such as $.detail.id, or an attribute's name");
    if (text.front() != '$') {
        const auto end = std::find_if_not(text.begin(), text.end(), is_name);
        if (end != text.end())
            return wrong(static_cast<std::size_t>(end - text.begin()), "a letter or digit (a JSONPath begins with $)");
        return member(text);
    }
    EVENTYARD_TRY(path, parse(text, false));
    if (path.whole()) return wrong(1, "'.' and a member's name");
    if (!path.single()) return wrong(text.find('*'), "a quoted name or an index");
    return path;
}

void Path::append_to(std::string& out) const
{
    ByteWriter writer{out};
    writer.varint(steps_.size());
    for (const Step& step : steps_) {
        out += static_cast<char>(step.index());
        if (const auto* name = std::get_if<std::string>(&step)) writer.text(*name);
        if (const auto* at = std::get_if<std::int64_t>(&step)) writer.fixed(*at);
    }
}

bool Path::single() const noexcept
{
    return std::none_of(steps_.begin(), steps_.end(), [](const Step& step) { return std::holds_alternative<Every>(step); });
}

const Value* Path::find(const Document& document) const
{
    const Value* found = nullptr;
    each(document, [&found](const Value& value) { found = &value; });
    return found;
}

/// The child that a name or an index leads to.
std::optional<std::uint32_t> Path::take(const Document& document, std::uint32_t at, const Step& step)
{
    const auto values = document.values();
    if (const auto* const name = std::get_if<std::string>(&step)) {
        const Value* const member = document.member(at, *name);
        if (member == nullptr) return std::nullopt;
        return static_cast<std::uint32_t>(member - values.data());
    }
    if (values[at].kind != Kind::array) return std::nullopt;
    return element(values, at, std::get<std::int64_t>(step));
}

}  // namespace eventyard::json
