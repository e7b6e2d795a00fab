#include "config/hidden.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "targets/registry.hpp"

namespace eventyard::config {
namespace {

constexpr std::size_t hidden_min = 4;  // as Secrets::hidden_min: less would only garble reports
constexpr std::size_t part_min = 8;    // of a value that is written with escapes

using Settings = std::span<const targets::Setting>;

void hide_literal(const std::string& text, Report& report)
{
    if (text.size() < hidden_min) return;
    report.add_secret(text);
    // The source spells these otherwise: what stands between them is found all the same.
    constexpr std::string_view escaped = "\"\\\n\r\t";
    if (text.find_first_of(escaped) == std::string::npos) return;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find_first_of(escaped, at), text.size());
        if (end - at >= part_min) report.add_secret(text.substr(at, end - at));
        at = end + 1;
    }
}

/// What stands beside its references, which say where a secret is, and tell none.
void hide(const std::string& text, Report& report)
{
    std::string literal;
    for (std::size_t at = 0; at < text.size();) {
        if (text.compare(at, 3, "$${") == 0) {
            literal += text.substr(at, 3);
            at += 3;
        } else if (text.compare(at, 2, "${") == 0) {
            hide_literal(std::exchange(literal, {}), report);
            const std::size_t close = text.find('}', at);
            at = close == std::string::npos ? text.size() : close + 1;
        } else {
            literal += text[at++];
        }
    }
    hide_literal(literal, report);
}

void hide_all(const Node& node, Report& report)
{
    if (node.is_scalar()) return hide(node.text, report);
    for (const Node& item : node.items) hide_all(item, report);
    for (const Member& member : node.members) hide_all(member.value, report);
}

/// Who asks, and what is asked.
void hide_in_address(const std::string& text, Report& report)
{
    const std::size_t scheme = text.find("://");
    const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
    const std::size_t query = std::min(text.find('?', begin), text.size());
    const std::size_t at = text.substr(0, query).rfind('@');
    if (at != std::string::npos && at > begin) hide(text.substr(begin, at - begin), report);
    if (query < text.size()) hide(text.substr(query + 1), report);
}

bool ends_with_one_of(std::string_view key, std::initializer_list<std::string_view> words)
{
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        return key == word || (key.ends_with(word) && key[key.size() - word.size() - 1] == '.');
    });
}

void hide_below(const Node& node, const std::string& prefix, Settings settings, Report& report)
{
    for (const Member& member : node.members) {
        const std::string key = prefix + member.key;
        const auto known = std::find_if(settings.begin(), settings.end(), [&](const auto& one) { return key == one.key; });
        const bool section = std::any_of(settings.begin(), settings.end(),
                                         [&](const auto& one) { return std::string_view{one.key}.starts_with(key + "."); });
        if (section && member.value.kind == Node::Kind::map) hide_below(member.value, key + ".", settings, report);
        else if (known == settings.end() || std::string_view{known->form} == "map of strings") hide_all(member.value, report);
        else if (ends_with_one_of(key, {"password", "secret", "bearer", "api_key.key", "client_secret"})) hide_all(member.value, report);
        else if (!ends_with_one_of(key, {"url", "token_url", "address"})) continue;
        else if (member.value.is_scalar()) hide_in_address(member.value.text, report);
        else hide_all(member.value, report);
    }
}

}  // namespace

void hide_settings(const Node& target, const std::vector<std::string>& policies, Report& report)
{
    for (const Member& member : target.members) {
        const targets::Kind* kind = targets::find_kind(member.key);
        if (kind == nullptr && !nearest(member.key, policies).empty()) continue;
        if (kind == nullptr) kind = targets::find_kind(nearest(member.key, targets::kind_names()));
        if (kind != nullptr && member.value.kind == Node::Kind::map) hide_below(member.value, "", kind->settings, report);
        else hide_all(member.value, report);
    }
}

}  // namespace eventyard::config
