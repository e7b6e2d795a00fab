#include "config/quotable.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "core/secret.hpp"

namespace eventyard::config {
namespace {

constexpr std::size_t word_max = 64;

/// Keys whose values are no secrets wherever they stand.
bool open(std::string_view key)
{
    static const std::set<std::string_view> keys{
        "admin",         "adopt_pending",   "after_dead_letter", "allow_http",   "allow_link_local", "batch_format", "body",        "buffers",
        "burst",         "by",              "bytes",             "ca_file",      "catch_up",         "certificate",  "client_auth", "concurrency",
        "connections",   "connect_failures", "data_dir",         "database",     "dead_letters",     "depth",        "dns_servers", "durability",
        "envelope",      "factor",          "failures",          "file",         "format",           "fsync",        "http",        "idle",
        "idle_connections", "idle_timeout", "include",           "initial",      "jitter",           "keep",         "level",       "matches",
        "max",           "max_age",         "max_attempts",      "max_bytes",    "max_events",       "max_length",   "max_wait",    "method",
        "min_free",      "overflow",        "parked_max",        "path",         "per_second",       "probe_first",  "probe_max",   "renamed_from",
        "request",       "retention",       "retry_after_max",   "retry_on",     "rules",            "scheme",       "segment_size", "shutdown_grace",
        "size",          "stream",          "target",            "threads",      "timeout",          "unmatched",    "untrusted",   "verify",
        "window"};
    return keys.contains(key);
}

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool made_of(std::string_view word, std::string_view more)
{
    return !word.empty() && word.size() <= word_max &&
           std::all_of(word.begin(), word.end(), [&](char c) { return letter(c) || more.find(c) != std::string_view::npos; });
}

std::string_view unquoted(std::string_view token)
{
    const bool quoted = token.size() >= 2 && (token.front() == '"' || token.front() == '\'') && token.back() == token.front();
    return quoted ? token.substr(1, token.size() - 2) : token;
}

/// ${env:NAME} or ${file:PATH}: says where a secret is, and tells none.
bool reference(std::string_view word)
{
    if (!word.ends_with("}")) return false;
    for (const std::string_view kind : {"${env:", "${file:"})
        if (word.starts_with(kind)) return made_of(word.substr(kind.size(), word.size() - kind.size() - 1), "_./-");
    return false;
}

/// A URL without a user, a query or a fragment.
bool plain_url(std::string_view word)
{
    for (const std::string_view scheme : {"https://", "http://"})
        if (word.starts_with(scheme)) {
            const std::string_view rest = word.substr(scheme.size());
            return rest.size() <= word_max && std::all_of(rest.begin(), rest.end(), [](char c) {
                return letter(c) || std::string_view{"._~/-:"}.find(c) != std::string_view::npos;
            });
        }
    return false;
}

bool may_be_shown(std::string_view key, std::string_view token)
{
    const std::string_view word = unquoted(token);
    if (word.size() < secret_min || reference(word)) return true;
    if (word.starts_with("$.") && made_of(word.substr(1), "_.-[]*")) return true;  // a JSONPath
    if (key == "url" || key == "token_url") return plain_url(word);
    return open(key) && made_of(word, "_./-+*:%");
}

bool ends_plain(std::string_view line, std::size_t at)
{
    const char c = line[at];
    const char next = at + 1 < line.size() ? line[at + 1] : ' ';
    return std::string_view{",[]{}"}.find(c) != std::string_view::npos || (c == ':' && next == ' ') || (c == ' ' && next == '#');
}

/// One past the end of the value or key that begins at `begin`.
std::size_t token_end(std::string_view line, std::size_t begin)
{
    const char quote = line[begin];
    std::size_t end = begin;
    if (quote != '"' && quote != '\'') {
        while (end < line.size() && !ends_plain(line, end)) ++end;
        while (end > begin + 1 && line[end - 1] == ' ') --end;
        return std::max(end, begin + 1);
    }
    for (++end; end < line.size(); ++end) {
        if (quote == '"' && line[end] == '\\') ++end;
        else if (line[end] == quote && quote == '\'' && end + 1 < line.size() && line[end + 1] == quote) ++end;
        else if (line[end] == quote) return end + 1;
    }
    return line.size();
}

void hide_line(std::string_view line, char* out)
{
    std::string_view key;
    std::vector<char> open_brackets;
    const auto stars = [&](std::size_t begin, std::size_t end) { std::fill(out + begin, out + end, '*'); };
    std::size_t at = 0;
    while (at < line.size()) {
        const char c = line[at];
        if (c == '#' && (at == 0 || line[at - 1] == ' ')) return stars(at + 1, line.size());
        const bool item = c == '-' && (at + 1 == line.size() || line[at + 1] == ' ');
        if (c == ' ' || c == '\t' || c == '\r' || c == ':' || item) {
            ++at;
            continue;
        }
        if (c == '{' || c == '[') open_brackets.push_back(c);
        if ((c == '}' || c == ']') && !open_brackets.empty()) open_brackets.pop_back();
        if (c == ',' && (open_brackets.empty() || open_brackets.back() == '{')) key = {};
        if (std::string_view{"{}[],"}.find(c) != std::string_view::npos) {
            ++at;
            continue;
        }
        const std::size_t end = token_end(line, at);
        const std::string_view token = line.substr(at, end - at);
        std::size_t colon = end;
        while (colon < line.size() && line[colon] == ' ') ++colon;
        const bool quoted = c == '"' || c == '\'';
        const bool is_key = colon < line.size() && line[colon] == ':' &&
                            (quoted || colon + 1 == line.size() || line[colon + 1] == ' ');
        if (is_key) {
            key = unquoted(token);
            if (!made_of(key, "_.-/")) stars(at, end);
        } else if (!may_be_shown(key, token)) {
            stars(at, end);
        }
        at = end;
    }
}

}  // namespace

std::string quotable(std::string_view text)
{
    std::string out{text};
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        hide_line(text.substr(begin, end - begin), out.data() + begin);
        begin = end + 1;
    }
    return out;
}

}  // namespace eventyard::config
