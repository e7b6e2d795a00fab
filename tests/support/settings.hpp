// tests/support/settings.hpp — a target's settings from JSON text, without the configuration files.
//
//     const ReadTarget read = read_target("webhook", R"({"url":"http://127.0.0.1:9/"})");
//     REQUIRE(read.blueprint);
//     CHECK(read.mistakes == std::vector<std::string>{});
//
// "${test:VALUE}" in a text stands for the secret VALUE.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/fields.hpp"
#include "core/node.hpp"
#include "targets/registry.hpp"

namespace eventyard::support {

inline Node to_node(const nlohmann::ordered_json& value)
{
    Node node;
    node.place.line = 1;
    node.place.column = 1;
    if (value.is_object()) {
        node.kind = Node::Kind::map;
        for (const auto& [key, member] : value.items())
            node.members.push_back({key, node.place, to_node(member)});
    } else if (value.is_array()) {
        node.kind = Node::Kind::list;
        for (const auto& item : value) node.items.push_back(to_node(item));
    } else if (value.is_string()) {
        node.kind = Node::Kind::string;
        node.text = value.get<std::string>();
    } else if (!value.is_null()) {
        node.kind = value.is_boolean() ? Node::Kind::boolean : Node::Kind::number;
        node.text = value.dump();
    }
    return node;
}

class TestSecrets final : public SecretSource {
public:
    std::string resolve(const std::string& text, const Place&, Report&, bool& found_any) override
    {
        std::string result = text;
        for (auto at = result.find("${test:"); at != std::string::npos; at = result.find("${test:")) {
            const auto end = result.find('}', at);
            if (end == std::string::npos) break;
            found_any = true;
            result.replace(at, end - at + 1, result.substr(at + 7, end - at - 7));
        }
        return result;
    }
};

struct ReadTarget {
    std::shared_ptr<const targets::Blueprint> blueprint;
    std::vector<std::string> mistakes;
    std::string report;  // as a person would see it
};

inline ReadTarget read_settings(
    const std::string& settings,
    const std::function<std::shared_ptr<const targets::Blueprint>(Fields&)>& read)
{
    const Node node = to_node(nlohmann::ordered_json::parse(settings));
    Report report;
    TestSecrets secrets;
    Fields fields{node, report, secrets};
    ReadTarget result;
    result.blueprint = read(fields);
    for (const Diagnostic& mistake : report.diagnostics()) result.mistakes.push_back(mistake.message);
    result.report = report.text();
    return result;
}

inline ReadTarget read_target(const char* kind, const std::string& settings)
{
    return read_settings(settings, targets::find_kind(kind)->read);
}

}  // namespace eventyard::support
