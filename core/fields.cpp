#include "core/fields.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include "core/units.hpp"

namespace eventyard {
namespace {

const Node& as_map(const Node& node, Report& report)
{
    static const Node empty{Node::Kind::map, {}, {}, {}, {}};
    if (node.kind == Node::Kind::map) return node;
    report.error(node.place, std::string("expected a map of settings, found ") + kind_name(node.kind));
    return empty;
}

/// A key as messages may repeat it: one that is no word may be a key and a secret without the blank between them.
std::string named(const std::string& key)
{
    const bool word = !key.empty() && key.size() <= 64 && std::all_of(key.begin(), key.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
    });
    return word ? "'" + key + "'" : "that is no word (a blank may be missing behind ':')";
}

}  // namespace

Fields::Fields(const Node& node, Report& report, SecretSource& secrets)
    : node_(as_map(node, report)), report_(report), secrets_(secrets)
{
}

const Place& Fields::place_of(std::string_view key) const noexcept
{
    const Node* found = node_.find(key);
    return found != nullptr ? found->place : node_.place;
}

bool Fields::has(std::string_view key)
{
    asked_.emplace_back(key);
    return node_.find(key) != nullptr;
}

const Node* Fields::node(std::string_view key)
{
    asked_.emplace_back(key);
    return node_.find(key);
}

const Node* Fields::ask(std::string_view key, Node::Kind kind)
{
    const Node* found = node(key);
    if (found == nullptr) return nullptr;
    if (found->kind == kind) return found;
    report_.error(found->place, "'" + std::string(key) + "' must be " + kind_name(kind) +
                                    ", found " + kind_name(found->kind));
    return nullptr;
}

std::optional<std::string> Fields::scalar(std::string_view key, const char* wanted)
{
    const Node* found = node(key);
    if (found == nullptr) return std::nullopt;
    if (!found->is_scalar() || found->kind == Node::Kind::null) {
        report_.error(found->place, "'" + std::string(key) + "' must be " + wanted + ", found " +
                                        kind_name(found->kind));
        return std::nullopt;
    }
    bool found_any = false;
    std::string value = secrets_.resolve(found->text, found->place, report_, found_any);
    return value;
}

std::string Fields::text(std::string_view key, std::string fallback)
{
    return optional_text(key).value_or(std::move(fallback));
}

std::optional<std::string> Fields::optional_text(std::string_view key)
{
    return scalar(key, "a string");
}

std::string Fields::required_text(std::string_view key)
{
    if (node_.find(key) == nullptr) {
        asked_.emplace_back(key);
        report_.error(node_.place, "'" + std::string(key) + "' is missing");
        return {};
    }
    std::string value = text(key, {});
    if (value.empty() && node_.find(key)->kind == Node::Kind::string)
        error(key, "'" + std::string(key) + "' must not be empty");
    return value;
}

std::string Fields::choice(std::string_view key, std::initializer_list<const char*> words,
                           std::string fallback)
{
    const auto value = scalar(key, "a word");
    if (!value) return fallback;
    std::vector<std::string> known(words.begin(), words.end());
    if (std::find(known.begin(), known.end(), *value) != known.end()) return *value;
    std::string list;
    for (const std::string& word : known) list += (list.empty() ? "" : ", ") + word;
    error(key, "'" + std::string(key) + "' must be one of " + list + ", found '" + *value + "'" +
                   did_you_mean(*value, known));
    return fallback;
}

bool Fields::flag(std::string_view key, bool fallback)
{
    const Node* found = ask(key, Node::Kind::boolean);
    return found != nullptr ? found->text == "true" : fallback;
}

std::int64_t Fields::integer(std::string_view key, std::int64_t fallback, IntegerRange range)
{
    const auto value = scalar(key, "a whole number");
    if (!value) return fallback;
    std::int64_t parsed = 0;
    const auto [end, ec] = std::from_chars(value->data(), value->data() + value->size(), parsed);
    if (ec != std::errc{} || end != value->data() + value->size()) {
        error(key, "'" + std::string(key) + "' must be a whole number, found '" + *value + "'");
        return fallback;
    }
    if (parsed < range.min || parsed > range.max) {
        error(key, "'" + std::string(key) + "' must be between " + std::to_string(range.min) +
                       " and " + std::to_string(range.max) + ", found " + *value);
        return fallback;
    }
    return parsed;
}

double Fields::number(std::string_view key, double fallback, double min, double max)
{
    const auto value = scalar(key, "a number");
    if (!value) return fallback;
    double parsed = 0;
    const auto [end, ec] = std::from_chars(value->data(), value->data() + value->size(), parsed);
    if (ec != std::errc{} || end != value->data() + value->size() || !(parsed >= min && parsed <= max)) {
        const auto shown = [](double d) {
            std::string s = std::to_string(d);
            s.erase(s.find_last_not_of('0') + 1);
            if (!s.empty() && s.back() == '.') s.pop_back();
            return s;
        };
        error(key, "'" + std::string(key) + "' must be a number between " + shown(min) + " and " +
                       shown(max) + ", found '" + *value + "'");
        return fallback;
    }
    return parsed;
}

Duration Fields::duration(std::string_view key, Duration fallback, DurationRange range)
{
    const auto value = scalar(key, "a duration such as 10s");
    if (!value) return fallback;
    const auto parsed = parse_duration(*value);
    if (!parsed) {
        error(key, "'" + std::string(key) + "' must be a duration with a unit, such as 500ms, 10s, 5m or 24h; found '" +
                       *value + "'");
        return fallback;
    }
    if (*parsed < range.min || *parsed > range.max) {
        std::string limits = "at least " + format_duration(range.min);
        if (range.max != Duration::max())
            limits = "between " + format_duration(range.min) + " and " + format_duration(range.max);
        error(key, "'" + std::string(key) + "' must be " + limits + ", found " + *value);
        return fallback;
    }
    return *parsed;
}

std::uint64_t Fields::size(std::string_view key, std::uint64_t fallback, std::uint64_t min,
                           std::uint64_t max)
{
    const auto value = scalar(key, "a size such as 1MiB");
    if (!value) return fallback;
    const auto parsed = parse_size(*value);
    if (!parsed) {
        error(key, "'" + std::string(key) + "' must be a size with a unit, such as 64KiB, 1MiB or 2GiB; found '" +
                       *value + "'");
        return fallback;
    }
    if (*parsed < min || *parsed > max) {
        std::string limits = "at least " + format_size(min);
        if (max != UINT64_MAX) limits = "between " + format_size(min) + " and " + format_size(max);
        error(key, "'" + std::string(key) + "' must be " + limits + ", found " + *value);
        return fallback;
    }
    return *parsed;
}

std::optional<Secret> Fields::secret(std::string_view key)
{
    auto value = scalar(key, "a string");
    if (!value) return std::nullopt;
    report_.add_secret(*value);
    return Secret{std::move(*value)};
}

std::vector<std::string> Fields::texts(std::string_view key)
{
    const Node* found = node(key);
    std::vector<std::string> list;
    if (found == nullptr) return list;
    const auto take = [&](const Node& item) {
        bool found_any = false;
        if (item.is_scalar() && item.kind != Node::Kind::null)
            list.push_back(secrets_.resolve(item.text, item.place, report_, found_any));
        else
            report_.error(item.place, "'" + std::string(key) + "' must be a list of strings, found " +
                                          kind_name(item.kind) + " in it");
    };
    if (found->kind == Node::Kind::list)
        for (const Node& item : found->items) take(item);
    else
        take(*found);
    return list;
}

std::vector<std::pair<std::string, Secret>> Fields::text_map(std::string_view key)
{
    std::vector<std::pair<std::string, Secret>> map;
    const Node* found = ask(key, Node::Kind::map);
    if (found == nullptr) return map;
    for (const Member& member : found->members) {
        if (!member.value.is_scalar() || member.value.kind == Node::Kind::null) {
            const std::string name = named(member.key);
            report_.error(member.value.place, (name.front() == '\'' ? name : "a key " + name) + " must be a string, found " +
                                                  kind_name(member.value.kind));
            continue;
        }
        bool found_any = false;
        std::string value =
            secrets_.resolve(member.value.text, member.value.place, report_, found_any);
        if (found_any) report_.add_secret(value);
        map.emplace_back(member.key, Secret{std::move(value)});
    }
    return map;
}

std::optional<Fields> Fields::section(std::string_view key)
{
    const Node* found = ask(key, Node::Kind::map);
    if (found == nullptr) return std::nullopt;
    return Fields{*found, report_, secrets_};
}

void Fields::error(std::string_view key, std::string message)
{
    report_.error(place_of(key), std::move(message));
}

void Fields::finish(const std::string& what)
{
    std::set<std::string_view> seen;
    std::vector<std::string> known = asked_;
    std::sort(known.begin(), known.end());
    known.erase(std::unique(known.begin(), known.end()), known.end());
    for (const Member& member : node_.members) {
        if (!seen.insert(member.key).second) {
            report_.error(member.key_place, "key " + named(member.key) + " is given twice");
            continue;
        }
        if (std::binary_search(known.begin(), known.end(), member.key)) continue;
        std::string message = "unknown key " + named(member.key);
        const std::string hint = did_you_mean(member.key, known);
        if (!hint.empty()) {
            message += hint;
        } else {
            std::string list;
            for (const std::string& word : known) list += (list.empty() ? "" : ", ") + word;
            message += "; " + what + " has " + list;
        }
        report_.error(member.key_place, std::move(message));
    }
}

}  // namespace eventyard
