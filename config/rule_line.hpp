// config/rule_line.hpp — rules of the common form, read from a line of a .jsonl file without a tree.
//
// Common is {"name": ..., "pattern": {...}, "targets": [...]}, maybe with a "bus", all of them plain text.
// Generated files hold a million of these. Any other line, and every mistake, is left to
// config/rule_file.hpp, which knows what to say.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/json.hpp"

namespace eventyard::config {

struct RuleLine {
    std::string_view name, bus;               // bus empty: not named
    std::uint32_t name_column = 0;            // from 1
    std::vector<std::string_view> targets;    // each once, at least one
    std::uint32_t pattern = 0;                // index of its value in text()
};

class RuleLineReader {
public:
    /// The rule, or null when the line is not of the common form. Until the next call.
    const RuleLine* read(std::string_view line);
    [[nodiscard]] const json::Document& text() const noexcept { return text_; }

private:
    bool read_targets(std::uint32_t list);

    json::Document text_;
    RuleLine line_;
};

}  // namespace eventyard::config
