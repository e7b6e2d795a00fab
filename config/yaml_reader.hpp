// config/yaml_reader.hpp — YAML text in, a located tree out (core/node.hpp).
//
// YAML as Eventyard reads it: only JSON's number grammar makes a number, only true, false, null, ~
// and an empty value are literals, quoted text stays text. Aliases are expanded, up to a cap;
// repeated keys, merge keys (<<), tags, keys that are no plain text and several documents in one
// file are mistakes. Built on yaml-cpp's events, because its Node drops repeated keys and quoting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/node.hpp"
#include "core/report.hpp"

namespace eventyard::config {

struct YamlLimits {
    std::uint32_t depth = 200;          // maps and lists inside one another
    std::size_t aliased = 100'000;      // values that aliases may stand for, all together
};

/// Reads one document. A null node's `text` is how it was written: "null", "~" or "" (empty).
/// Of repeated keys the first is kept, so that no mistake is reported twice. Nothing comes back
/// when the text is not YAML; mistakes that leave a tree (a repeated key) come with one.
/// @param file  as the person named it; may be null
[[nodiscard]] std::optional<Node> read_yaml(std::string_view text,
                                            std::shared_ptr<const std::string> file, Report& report,
                                            const YamlLimits& limits = {});

/// Whether a plain scalar is a number: JSON's grammar, nothing else.
[[nodiscard]] bool is_json_number(std::string_view text) noexcept;

}  // namespace eventyard::config
