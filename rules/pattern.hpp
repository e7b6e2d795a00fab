// rules/pattern.hpp — one event pattern: a located tree in, a compiled pattern out.
//
// The language is EventBridge's with the differences listed in docs/patterns.md. This header is the
// reference evaluator: simple, exact and able to explain itself. Patterns are immutable and may be
// shared between threads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.hpp"
#include "core/node.hpp"

namespace eventyard::rules {

class Pattern {
public:
    struct Body;  // rules/pattern_body.hpp
    explicit Pattern(std::shared_ptr<const Body> body) : body_(std::move(body)) {}
    [[nodiscard]] const Body& body() const noexcept { return *body_; }

private:
    std::shared_ptr<const Body> body_;
};

/// Reads JSON pattern text into a located tree: duplicate members and number text are kept.
/// Every syntax mistake goes to `report`, placed in `file` (may be null) starting at `start`.
std::optional<Node> read_pattern_text(std::string_view json, const Place& start, Report& report);

/// Compiles a pattern. Every mistake goes to `report` at its place; nothing comes back if there was
/// one. Warnings (patterns that can never match, a forgotten list) do not prevent a result.
std::optional<Pattern> compile_pattern(const Node& pattern, Report& report);

[[nodiscard]] bool matches(const Pattern& pattern, const json::Document& event);

}  // namespace eventyard::rules
