#include "rules/cases.hpp"

#include <algorithm>
#include <tuple>

namespace eventyard::rules {
namespace {

Place place_of(std::string_view text, std::size_t offset)
{
    text = text.substr(0, offset);
    const auto line = text.rfind('\n');
    return {nullptr, static_cast<std::uint32_t>(1 + std::count(text.begin(), text.end(), '\n')),
            static_cast<std::uint32_t>(line == std::string_view::npos ? offset + 1 : offset - line)};
}

}  // namespace

const Diagnostic* CaseAnswer::error() const noexcept
{
    const Diagnostic* first = nullptr;
    for (const Diagnostic& d : report.diagnostics())
        if (d.severity == Severity::error &&
            (first == nullptr || std::tie(d.place.line, d.place.column) <
                                     std::tie(first->place.line, first->place.column)))
            first = &d;
    return first;
}

CaseAnswer ask(std::string_view pattern, std::string_view event)
{
    CaseAnswer answer;
    const auto tree = read_pattern_text(pattern, {nullptr, 1, 1}, answer.report);
    const auto compiled = tree ? compile_pattern(*tree, answer.report) : std::nullopt;
    if (!compiled) return answer;
    answer.pattern_valid = true;

    json::Document document;
    json::SyntaxError error;
    if (!document.parse(event, {}, error)) {
        answer.report.error(place_of(event, error.offset), "the event is not valid: " + error.message);
        return answer;
    }
    if (document.root().kind != json::Kind::object) {
        answer.report.error(place_of(event, document.root().begin), "the event is not a JSON object");
        return answer;
    }
    answer.event_valid = true;
    answer.match = matches(*compiled, document);
    answer.explanation = explain(*compiled, document);
    return answer;
}

}  // namespace eventyard::rules
