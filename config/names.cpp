#include "config/names.hpp"

#include <algorithm>

namespace eventyard::config {
namespace {

constexpr std::size_t name_max = 64;

bool letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

bool is_name(std::string_view name, bool slash) noexcept
{
    return !name.empty() && name.size() <= name_max &&
           std::all_of(name.begin(), name.end(), [slash](char c) {
               return letter_or_digit(c) || c == '.' || c == '_' || c == '-' || (slash && c == '/');
           });
}

void check_name(std::string_view name, const char* what, bool slash, const Place& place,
                Report& report)
{
    if (is_name(name, slash)) return;
    report.error(place, std::string(what) + "'s name is 1 to " + std::to_string(name_max) +
                            " letters, digits, '.', '_'" + (slash ? ", '-' or '/'" : " or '-'") +
                            "; found '" + std::string(name.substr(0, 2 * name_max)) + "'");
}

std::string shown(const Place& place)
{
    return (place.file ? *place.file : std::string("line")) + ":" + std::to_string(place.line);
}

void refuse_later(Fields& fields, const Node& node, std::initializer_list<const char*> keys)
{
    for (const char* key : keys) {
        if (node.find(key) == nullptr) continue;
        static_cast<void>(fields.has(key));
        fields.report().error(key_place(node, key),
                              std::string("'") + key + "' is not supported by this version");
    }
}

void report_missing(const Node& map, const char* key, Report& report)
{
    for (const Member& member : map.members)
        if (!nearest(member.key, {key}).empty()) return;
    report.error(map.place, std::string("'") + key + "' is missing");
}

const Place& key_place(const Node& map, std::string_view key) noexcept
{
    for (const Member& member : map.members)
        if (member.key == key) return member.key_place;
    return map.place;
}

}  // namespace eventyard::config
