#include "config/rule_input.hpp"

#include <algorithm>

#include "config/document.hpp"
#include "config/json_text.hpp"
#include "core/json_path.hpp"
#include "router/input/template.hpp"

namespace eventyard::config {
namespace {

using router::Input;
using router::InputLimits;
using Paths = std::vector<std::pair<std::string, std::string>>;

bool is_text(const Node& node, const std::string& what, Report& report)
{
    if (node.kind == Node::Kind::string) return true;
    report.error(node.place, what + " must be text, found " + kind_name(node.kind));
    return false;
}

void check_path(const Node& node, const std::string& what, Report& report)
{
    if (!is_text(node, what, report)) return;
    if (node.text.size() > InputLimits::path)
        return report.error(node.place, what + " is longer than " + std::to_string(InputLimits::path) + " bytes");
    if (const auto path = json::Path::parse(node.text); !path.has_value())
        report.error(node.place, "path '" + node.text + "': " + path.error().what);
}

bool is_placeholder(std::string_view name) noexcept
{
    return !name.empty() && name.size() <= InputLimits::path && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

Paths read_paths(const Node* node, Report& report)
{
    Paths paths;
    if (node == nullptr) return paths;
    if (node->kind != Node::Kind::map) {
        report.error(node->place, std::string("'paths' must be a map of names to paths, found ") + kind_name(node->kind));
        return paths;
    }
    if (node->members.size() > InputLimits::paths)
        report.error(node->place, "'paths' has " + std::to_string(node->members.size()) + " names; there can be " +
                                      std::to_string(InputLimits::paths));
    for (const Member& member : node->members) {
        const bool again = std::any_of(paths.begin(), paths.end(), [&](const auto& one) { return one.first == member.key; });
        if (again) report.error(member.key_place, "'" + member.key + "' is given twice");
        else if (!is_placeholder(member.key))
            report.error(member.key_place, "a placeholder's name is 1 to 256 letters, digits, '_' or '-'; found '" + member.key + "'");
        check_path(member.value, "a path", report);
        paths.emplace_back(member.key, member.value.text);
    }
    return paths;
}

std::string read_template(const Node& node, const Node* paths_node, std::string_view source, Report& report)
{
    const Paths paths = read_paths(paths_node, report);
    if (!is_text(node, "'template'", report)) return {};
    if (node.text.empty() || node.text.size() > InputLimits::text) {
        report.error(node.place, "'template' has " + std::to_string(node.text.size()) + " bytes; it is 1 to " +
                                     std::to_string(InputLimits::text));
        return {};
    }
    std::vector<std::string> names;
    for (const auto& [name, path] : paths) names.push_back(name);
    router::Template::Fault fault;
    const auto form = router::Template::parse(node.text, names, fault);
    if (!form) {
        const auto place = place_in_text(node, source, fault.offset);
        report.error(place.value_or(node.place),
                     "template: " + fault.message + (place ? "" : " at character " + std::to_string(fault.offset + 1)));
        return {};
    }
    for (std::uint32_t i = 0; i < names.size(); ++i)
        if (!form->uses(i))
            report.warning(paths_node->members[i].key_place, "the template does not use <" + names[i] + ">");
    return Input::template_text(paths, node.text);
}

std::string read_constant(const Node& node, Report& report)
{
    const std::string json = to_json(node);
    if (json.size() > InputLimits::text)
        report.error(node.place, "'constant' has " + std::to_string(json.size()) + " bytes as JSON; there can be " +
                                     std::to_string(InputLimits::text));
    const std::size_t begin = node.kind == Node::Kind::string ? node.text.find_first_not_of(" \t\r\n") : std::string::npos;
    if (begin != std::string::npos && (node.text[begin] == '{' || node.text[begin] == '['))
        report.warning(node.place, "this constant is sent as a string; without quotes it is the JSON it looks like");
    return Input::constant_text(json);
}

}  // namespace

Input read_input(const Node& node, std::string_view source, Report& report, SecretSource& secrets)
{
    Fields fields(node, report, secrets);
    const std::size_t errors = report.errors();
    const Node* const path = fields.node("path");
    const Node* const constant = fields.node("constant");
    const Node* const paths = fields.node("paths");
    const Node* const form = fields.node("template");
    fields.finish("an input");
    if (node.kind != Node::Kind::map) return {};
    const int given = (path != nullptr) + (constant != nullptr) + (form != nullptr);
    if (given > 1) {
        report.error(node.place, "an input has one of 'path', 'constant' and 'template'");
    } else if (paths != nullptr && form == nullptr) {
        report.error(paths->place, "'paths' needs a 'template' that says where they go");
    } else if (given == 0 && report.errors() == errors) {
        report.error(node.place, "an input has 'path', 'constant', or 'template' with 'paths'");
    }
    std::string text;
    if (path != nullptr) {
        check_path(*path, "'path'", report);
        text = Input::path_text(path->text);
    }
    if (constant != nullptr) text = read_constant(*constant, report);
    if (form != nullptr) text = read_template(*form, paths, source, report);
    if (report.errors() != errors) return {};
    auto input = Input::parse(text);
    if (!input.has_value()) {
        report.error(node.place, input.error().what);
        return {};
    }
    return std::move(*input);
}

}  // namespace eventyard::config
