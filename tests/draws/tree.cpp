#include "tests/draws/tree.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "core/json.hpp"

namespace eventyard::draws {

Tree Tree::object(std::string key, Tree value)
{
    Tree made = object();
    made.add(std::move(key), std::move(value));
    return made;
}

void Tree::add(std::string member_key, Tree value)
{
    value.key = std::move(member_key);
    value.key_spelled.clear();
    items.push_back(std::move(value));
}

void Tree::write(std::string& out) const
{
    switch (kind) {
        case Kind::literal:
        case Kind::number: out += text; return;
        case Kind::string:
            if (spelled.empty()) json::append_quoted(out, text);
            else out += spelled;
            return;
        case Kind::array:
        case Kind::object: break;
    }
    out += kind == Kind::array ? '[' : '{';
    bool first = true;
    for (const Tree& item : items) {
        if (!first) out += ',';
        first = false;
        if (kind == Kind::object) {
            if (item.key_spelled.empty()) json::append_quoted(out, item.key);
            else out += item.key_spelled;
            out += ':';
        }
        item.write(out);
    }
    out += kind == Kind::array ? ']' : '}';
}

std::string Tree::json() const
{
    std::string out;
    write(out);
    return out;
}

std::vector<std::string> code_points(std::string_view text)
{
    std::vector<std::string> points;
    for (const char c : text) {
        if (points.empty() || (static_cast<unsigned char>(c) & 0xc0U) != 0x80U) points.emplace_back();
        points.back() += c;
    }
    return points;
}

std::vector<std::string> names_of(std::string_view key)
{
    std::vector<std::string> names(1);
    for (const char c : key) {
        if (c == '.') names.emplace_back();
        else names.back() += c;
    }
    return names;
}

std::string spell_oddly(std::string_view text, Dice& random)
{
    std::string out = "\"";
    for (const std::string& point : code_points(text)) {
        const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(point[i]); };
        if (point == "/" && random.chance(50)) {
            out += "\\/";
        } else if (point.size() == 1 && random.chance(40)) {
            out += fmt::format(fmt::runtime(random.chance(50) ? "\\u{:04x}" : "\\u{:04X}"), byte(0));
        } else if (point.size() == 2 && random.chance(60)) {
            out += fmt::format("\\u{:04x}", ((byte(0) & 0x1fU) << 6) | (byte(1) & 0x3fU));
        } else if (point.size() == 4 && random.chance(60)) {
            const unsigned code = (((byte(0) & 0x07U) << 18) | ((byte(1) & 0x3fU) << 12) |
                                   ((byte(2) & 0x3fU) << 6) | (byte(3) & 0x3fU)) - 0x10000U;
            out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800U + (code >> 10), 0xdc00U + (code & 0x3ffU));
        } else {
            std::string quoted;
            json::append_quoted(quoted, point);
            out.append(quoted, 1, quoted.size() - 2);
        }
    }
    return out + "\"";
}

namespace {

void look(const Tree& value, Spelling& out)
{
    if (value.is(Tree::Kind::object)) {
        std::vector<std::pair<std::string_view, const Tree*>> names;
        for (const Tree& member : value.items) {
            const std::string_view key = member.key;
            out.dotted = out.dotted || key.find('.') != std::string_view::npos;
            names.emplace_back(key.substr(0, key.find('.')), &member);
        }
        std::sort(names.begin(), names.end());
        for (std::size_t i = 1; i < names.size(); ++i) {
            if (names[i].first != names[i - 1].first) continue;
            out.repeated = true;
            const auto is_object = [](const std::pair<std::string_view, const Tree*>& member) {
                return member.second->is(Tree::Kind::object) || member.second->key.size() > member.first.size();
            };
            const auto is_array = [](const std::pair<std::string_view, const Tree*>& member) {
                return member.second->is(Tree::Kind::array) && member.second->key.size() == member.first.size();
            };
            out.mixed = out.mixed || (is_object(names[i]) && is_array(names[i - 1])) ||
                        (is_object(names[i - 1]) && is_array(names[i]));
        }
    }
    for (const Tree& item : value.items) look(item, out);
}

}  // namespace

Spelling spelling_of(const Tree& event)
{
    Spelling out;
    look(event, out);
    return out;
}

}  // namespace eventyard::draws
