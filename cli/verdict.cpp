#include "cli/verdict.hpp"

#include <algorithm>

#include "cli/table.hpp"

namespace eventyard::cli {
namespace {

constexpr std::size_t cell_max = 60;  // bytes of one cell; --json has the whole

std::string cut(std::string text)
{
    if (text.size() <= cell_max) return text;
    std::size_t size = cell_max - 3;
    while (size > 0 && (text[size] & 0xc0) == 0x80) --size;
    return text.substr(0, size) + "...";
}

std::string joined(const std::vector<std::string>& list)
{
    std::string all;
    for (const std::string& item : list) all += (all.empty() ? "" : ", ") + item;
    return all;
}

}  // namespace

std::size_t failed_fields(const rules::Explanation& explanation) noexcept
{
    return static_cast<std::size_t>(std::count_if(explanation.fields.begin(),
                                                  explanation.fields.end(),
                                                  [](const auto& field) { return !field.held; }));
}

std::string verdict_text(const rules::Explanation& explanation, std::size_t indent)
{
    Table table({"FIELD", "HELD", "WANTED", "SEEN", "WHY"});
    for (const rules::FieldVerdict& field : explanation.fields) {
        const std::string seen = field.seen.empty() ? "nothing" : joined(field.seen);
        const std::string& why = field.held ? field.witness : field.reason;
        table.add({field.path, field.held ? "yes" : "no", cut(field.wanted), cut(seen),
                   field.held && why.empty() ? "absent, as asked" : why});
    }
    std::string out = table.empty() ? std::string() : table.text(indent);
    const std::string blanks(indent, ' ');
    if (!explanation.or_branches.empty())
        out += blanks + "branches taken: " + joined(explanation.or_branches) + "\n";
    if (!explanation.elements.empty())
        out += blanks + "elements chosen: " + joined(explanation.elements) + "\n";
    return out;
}

nlohmann::ordered_json verdict_json(const rules::Explanation& explanation)
{
    nlohmann::ordered_json fields = nlohmann::ordered_json::array();
    for (const rules::FieldVerdict& field : explanation.fields) {
        nlohmann::ordered_json one{{"path", field.path},
                                   {"held", field.held},
                                   {"wanted", field.wanted},
                                   {"seen", field.seen}};
        if (!field.witness.empty()) one["witness"] = field.witness;
        if (!field.reason.empty()) one["reason"] = field.reason;
        fields.push_back(std::move(one));
    }
    return {{"match", explanation.matched},
            {"fields", std::move(fields)},
            {"or_branches", explanation.or_branches},
            {"elements", explanation.elements}};
}

bool parse_event(const std::string& text, const std::string& name, json::Document& event,
                 Report& report)
{
    report.add_source(name, text);
    json::SyntaxError error;
    Place place{std::make_shared<const std::string>(name), 1, 1};
    if (event.parse(text, {}, error)) {
        if (event.root().kind == json::Kind::object) return true;
        report.error(place, "an event is a JSON object");
        return false;
    }
    for (std::size_t i = 0; i < std::min(error.offset, text.size()); ++i) {
        if (text[i] == '\n') {
            ++place.line;
            place.column = 1;
        } else {
            ++place.column;
        }
    }
    report.error(std::move(place), error.message);
    return false;
}

std::string one_line(const nlohmann::ordered_json& value)
{
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace eventyard::cli
