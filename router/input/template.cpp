#include "router/input/template.hpp"

#include <algorithm>
#include <utility>

#include "core/json.hpp"
#include "core/report.hpp"

namespace eventyard::router {
namespace {

using What = Template::What;

constexpr std::pair<std::string_view, What> reserved[] = {{"aws.events.event.json", What::whole_event},
                                                          {"aws.events.event", What::event},
                                                          {"aws.events.rule-name", What::rule_name},
                                                          {"aws.events.event.ingestion-time", What::ingestion_time}};

bool is_name(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// The place that begins at `at`, brackets included; empty: a mere '<'.
std::string_view place_at(std::string_view text, std::size_t at) noexcept
{
    std::size_t end = at + 1;
    while (end < text.size() && is_name(text[end])) ++end;
    return end < text.size() && text[end] == '>' && end > at + 1 ? text.substr(at, end + 1 - at) : std::string_view{};
}

std::string unknown(std::string_view name, const std::vector<std::string>& names)
{
    if (name == "aws.events.rule-arn") return "there are no ARNs here; <aws.events.rule-name> is the rule's name";
    std::vector<std::string> known = names;
    for (const auto& [one, what] : reserved) known.emplace_back(one);
    const std::string near = nearest(name, known);
    return "unknown placeholder <" + std::string(name) + ">" +
           (near.empty() ? "; 'paths' has no such name (a '<' that begins no placeholder is written \\u003c)"
                         : "; did you mean <" + near + ">?");
}

/// What people who come from other products write most often.
std::string hint(std::string_view text, std::size_t offset)
{
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    const char first = text[begin];
    if (first == '"') {
        std::size_t end = begin + 1;
        while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
        if (offset <= end || offset >= text.size()) return {};
        return "; a template is one JSON value: several strings stand in a list, several lines in one string with \\n";
    }
    if (first != '{' && first != '[') return "; text that is to be sent stands in double quotes";
    return {};
}

}  // namespace

std::optional<Template> Template::parse(std::string_view text, const std::vector<std::string>& names, Fault& fault)
{
    Template made;
    std::string probe;      // the same text with a value in each place: its faults are the template's
    std::string sent;       // without blanks between values
    bool in_string = false;
    std::optional<std::size_t> placed;  // a place in the string, or the value, that was read last
    const auto refuse = [&fault](std::size_t offset, std::string message) {
        fault = {offset, std::move(message)};
        return std::nullopt;
    };
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (const auto place = c == '<' ? place_at(text, at) : std::string_view{}; !place.empty()) {
            const std::string_view name = place.substr(1, place.size() - 2);
            Piece piece;
            const auto path = std::find(names.begin(), names.end(), name);
            const auto* const own = std::find_if(std::begin(reserved), std::end(reserved),
                                                 [&](const auto& one) { return one.first == name; });
            if (path != names.end()) piece.path = static_cast<std::uint32_t>(path - names.begin());
            else if (own != std::end(reserved)) piece.what = own->second;
            else return refuse(at, unknown(name, names));
            piece.before = std::exchange(sent, {});
            piece.in_string = in_string;
            made.pieces_.push_back(std::move(piece));
            placed = at;
            probe += in_string ? std::string(place.size(), 'x') : '"' + std::string(place.size() - 2, 'x') + '"';
            at += place.size();
            continue;
        }
        if (!in_string && c == '<') return refuse(at, "expected a placeholder such as <name>");
        if (!in_string && c == ':' && placed) return refuse(*placed, "a placeholder is a value or part of one, not of a member's name");
        if (c == '"') {
            in_string = !in_string;
            if (in_string) placed.reset();
        } else if (!in_string && !is_blank(c)) {
            placed.reset();
        }
        const std::size_t size = in_string && c == '\\' && at + 1 < text.size() ? 2 : 1;
        probe += text.substr(at, size);
        if (in_string || !is_blank(c)) sent += text.substr(at, size);
        at += size;
    }
    made.rest_ = std::move(sent);
    json::Document document;
    json::SyntaxError error;
    if (!document.parse(probe, {}, error)) {
        const std::string stand_in = "not '\"'";
        if (const auto at = error.message.find(stand_in); at != std::string::npos && text.substr(error.offset, 1) == "<")
            error.message.replace(at, stand_in.size(), "not '<'");
        return refuse(error.offset, error.message + hint(text, error.offset));
    }
    return made;
}

bool Template::uses(std::uint32_t path) const noexcept
{
    return std::any_of(pieces_.begin(), pieces_.end(),
                       [path](const Piece& piece) { return piece.what == What::path && piece.path == path; });
}

}  // namespace eventyard::router
