#include "router/input/input.hpp"

#include "core/json_path.hpp"
#include "router/input/template.hpp"

namespace eventyard::router {
namespace {

using What = Template::What;

constexpr json::Limits any_depth{10'001};  // the most that limits.depth can be, and an envelope

void append_member(std::string& out, std::string_view name)
{
    json::append_quoted(out, name);
    out += ':';
}

/// As the inside of a string.
void append_escaped(std::string& out, std::string_view text)
{
    const std::size_t begin = out.size();
    json::append_quoted(out, text);
    out.pop_back();
    out.erase(begin, 1);
}

/// The outermost object without what is usually the most of it.
void append_envelope(std::string& out, const json::Document& document, EventFormat format)
{
    const bool cloudevent = format == EventFormat::cloudevents;
    const auto values = document.values();
    const char* separator = "";
    out += '{';
    for (std::uint32_t at = 1; at < values.size(); at = values[at].next) {
        const json::Value& member = values[at];
        if (cloudevent ? member.key == "data" || member.key == "data_base64" : member.key == "detail") continue;
        out += separator;
        append_member(out, member.key);
        out += document.source(member);
        separator = ",";
    }
    out += '}';
}

void append_list(std::string& out, const json::Document& document, const json::Path& path)
{
    const char* separator = "";
    out += '[';
    path.each(document, [&](const json::Value& value) {
        out += separator;
        out += document.source(value);
        separator = ",";
    });
    out += ']';
}

/// One event on its way into a body.
struct Insertion {
    const Event& event;
    std::string_view rule;
    const json::Document& document;
    std::string scratch{};

    void value(const Template::Piece& piece, const json::Path* path, std::string& out)
    {
        switch (piece.what) {
            case What::path: at_path(*path, "\"\"", out); break;
            case What::whole_event: out += event.body; break;
            case What::event: append_envelope(out, document, event.format); break;
            case What::rule_name: json::append_quoted(out, rule); break;
            case What::ingestion_time: json::append_quoted(out, to_rfc3339(event.received)); break;
        }
    }

    /// Structured values come as their JSON text, strings as they are spelled in the event.
    void text(const Template::Piece& piece, const json::Path* path, std::string& out)
    {
        const json::Value* const found = piece.what == What::path && path->single() ? path->find(document) : nullptr;
        if (found != nullptr && found->kind == json::Kind::string) {
            const std::string_view quoted = document.source(*found);
            out += quoted.substr(1, quoted.size() - 2);
            return;
        }
        scratch.clear();
        switch (piece.what) {
            case What::path: at_path(*path, {}, scratch); break;
            case What::rule_name: scratch += rule; break;
            case What::ingestion_time: scratch += to_rfc3339(event.received); break;
            default: value(piece, path, scratch); break;
        }
        append_escaped(out, scratch);
    }

    void at_path(const json::Path& path, std::string_view missing, std::string& out) const
    {
        if (!path.single()) return append_list(out, document, path);
        const json::Value* const found = path.find(document);
        out += found != nullptr ? document.source(*found) : missing;
    }
};

Result<json::Path> parse_path(const json::Value& value)
{
    if (value.kind != json::Kind::string) return fail(Errc::invalid, "a path must be text");
    if (value.text.size() > InputLimits::path) return fail(Errc::invalid, "a path is too long");
    return json::Path::parse(value.text);
}

}  // namespace

struct Input::Program {
    std::string text;                    // the stored form
    std::string constant;                // not empty: that
    std::vector<json::Path> paths;       // of the template; without one: the path
    std::optional<Template> form;
    bool reads_event = true;             // false: nothing of it but its bytes as they are
};

std::string Input::path_text(std::string_view path)
{
    std::string text = "{";
    append_member(text, "path");
    json::append_quoted(text, path);
    return text + '}';
}

std::string Input::constant_text(std::string_view json)
{
    std::string text = "{";
    append_member(text, "constant");
    return text.append(json) + '}';
}

std::string Input::template_text(const std::vector<std::pair<std::string, std::string>>& paths, std::string_view text)
{
    std::string out = "{";
    append_member(out, "paths");
    out += '{';
    for (const auto& [name, path] : paths) {
        if (out.back() != '{') out += ',';
        append_member(out, name);
        json::append_quoted(out, path);
    }
    out += "},";
    append_member(out, "template");
    json::append_quoted(out, text);
    return out + '}';
}

const std::string& Input::text() const noexcept
{
    static const std::string none;
    return program_ ? program_->text : none;
}

Result<Input> Input::parse(std::string_view text)
{
    if (text.empty()) return Input{};
    json::Document document;
    json::SyntaxError error;
    if (!document.parse(text, any_depth, error)) return fail(Errc::invalid, "an input is no JSON: " + error.message);
    auto program = std::make_shared<Program>();
    program->text = text;
    const json::Value* const path = document.member(0, "path");
    const json::Value* const constant = document.member(0, "constant");
    const json::Value* const form = document.member(0, "template");
    if ((path != nullptr) + (constant != nullptr) + (form != nullptr) != 1)
        return fail(Errc::invalid, "an input is a path, a constant or a template");
    if (constant != nullptr) {
        program->constant = document.source(*constant);
        program->reads_event = false;
        return Input{std::move(program)};
    }
    if (path != nullptr) {
        EVENTYARD_TRY(parsed, parse_path(*path));
        program->reads_event = !parsed.whole();
        program->paths.push_back(std::move(parsed));
        return Input{std::move(program)};
    }
    std::vector<std::string> names;
    if (const json::Value* const paths = document.member(0, "paths")) {
        const auto values = document.values();
        const auto list = static_cast<std::uint32_t>(paths - values.data());
        if (paths->kind != json::Kind::object) return fail(Errc::invalid, "an input's paths are no map");
        for (std::uint32_t at = list + 1; at < paths->next; at = values[at].next) {
            EVENTYARD_TRY(parsed, parse_path(values[at]));
            names.emplace_back(values[at].key);
            program->paths.push_back(std::move(parsed));
        }
    }
    if (form->kind != json::Kind::string) return fail(Errc::invalid, "an input's template is no text");
    Template::Fault fault;
    program->form = Template::parse(form->text, names, fault);
    if (!program->form) return fail(Errc::invalid, "an input's template: " + fault.message);
    return Input{std::move(program)};
}

bool Input::render(const Event& event, std::string_view rule, json::Document& scratch, std::size_t max, std::string& out) const
{
    out.clear();
    if (!program_) return true;
    const Program& program = *program_;
    if (!program.constant.empty()) {
        out = program.constant;
        return out.size() <= max;
    }
    json::SyntaxError error;
    const bool there = program.reads_event && scratch.parse(event.body, any_depth, error);
    static const json::Document nothing;
    Insertion insertion{event, rule, there ? scratch : nothing};
    if (!program.form) {
        if (program.reads_event) insertion.at_path(program.paths.front(), "null", out);
        else out = event.body;
        return out.size() <= max;
    }
    for (const Template::Piece& piece : program.form->pieces()) {
        out += piece.before;
        const json::Path* const path = piece.what == What::path ? &program.paths[piece.path] : nullptr;
        if (piece.in_string) insertion.text(piece, path, out);
        else insertion.value(piece, path, out);
        if (out.size() > max) return false;
    }
    out += program.form->rest();
    return out.size() <= max;
}

}  // namespace eventyard::router
