// A pattern and an event, parted by a zero byte: refusals have a place and a reason; the pattern that
// is written again from its tree is the same pattern; the evaluator, the search for mixed events and
// the explanation give one answer.
#include "rules/evaluate.hpp"
#include "rules/explain.hpp"
#include "rules/portable.hpp"
#include "tests/fuzz/expect.hpp"

using namespace eventyard;
using fuzz::expect;

namespace {

/// The search grows fast with choices, on purpose; larger ones are left to the evaluator alone.
constexpr std::size_t searched_values_max = 60;
constexpr std::size_t searched_fields_max = 6;

void write(std::string& out, const Node& node)
{
    switch (node.kind) {
        case Node::Kind::null: out += "null"; break;
        case Node::Kind::boolean:
        case Node::Kind::number: out += node.text; break;
        case Node::Kind::string: json::append_quoted(out, node.text); break;
        case Node::Kind::list:
            out += '[';
            for (const Node& item : node.items) {
                if (&item != &node.items.front()) out += ',';
                write(out, item);
            }
            out += ']';
            break;
        case Node::Kind::map:
            out += '{';
            for (const Member& member : node.members) {
                if (&member != &node.members.front()) out += ',';
                json::append_quoted(out, member.key);
                out += ':';
                write(out, member.value);
            }
            out += '}';
    }
}

std::optional<rules::Pattern> compile_again(const Node& node)
{
    std::string text;
    write(text, node);
    Report report;
    const auto again = rules::read_pattern_text(text, {}, report);
    expect(again.has_value(), "a pattern that is written again can be read", text);
    auto pattern = rules::compile_pattern(*again, report);
    expect(pattern.has_value(), "and compiled", text);
    return pattern;
}

void check_report(const Report& report)
{
    for (const Diagnostic& one : report.diagnostics())
        expect(one.place.line > 0 && one.place.column > 0 && !one.message.empty() &&
                   one.message.find('\n') == std::string::npos,
               "a mistake has a place and one line of reason", one.message);
    expect(!report.text().empty() || report.diagnostics().empty(), "mistakes are told");
}

void check_explanation(const rules::Explanation& why)
{
    std::size_t failed = 0;
    for (const rules::FieldVerdict& field : why.fields) {
        expect(!field.wanted.empty(), "what a field wants is told");
        expect(field.held == field.reason.empty(), "a field holds, or there is a reason", field.reason);
        failed += field.held ? 0 : 1;
    }
    expect(why.matched ? failed == 0 : failed > 0, "a match has no failed field, a mismatch has one");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view rest = fuzz::text_of(data, size);
    const std::string_view text = fuzz::take_until(rest, '\0');
    Report report;
    const auto node = rules::read_pattern_text(std::string(text), {}, report);
    expect(node.has_value() != report.has_errors(), "a pattern is read, or a mistake told");
    if (!node) {
        check_report(report);
        return 0;
    }
    const auto pattern = rules::compile_pattern(*node, report);
    expect(pattern.has_value() != report.has_errors(), "a pattern is compiled, or a mistake told");
    check_report(report);
    for (const rules::PortabilityNote& note : rules::portability(*node))
        expect(!note.row.empty() && !note.message.empty(), "a note names its row");
    if (!pattern) return 0;
    const auto again = compile_again(*node);

    static json::Document event;
    json::SyntaxError error;
    if (!event.parse(rest, {}, error) || event.root().kind != json::Kind::object) return 0;
    const bool answer = rules::matches(*pattern, event);
    expect(rules::matches(*again, event) == answer, "the pattern written again gives the same answer");
    const rules::Explanation why = rules::explain(*pattern, event);
    expect(why.matched == answer, "the explanation gives the same answer");
    check_explanation(why);
    if (event.values().size() > searched_values_max || pattern->body().fields.size() > searched_fields_max)
        return 0;
    static rules::Projection projection;
    projection.build(pattern->body().positions, event);
    expect(rules::Evaluator(pattern->body(), event, projection, nullptr).run_by_search() == answer,
           "the search gives the same answer");
    return 0;
}
