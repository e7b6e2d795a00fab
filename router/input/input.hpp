// router/input/input.hpp — what a rule's target gets instead of the event: a part of it, a constant, or a template.
//
// Read once, where a rule is read or a routing version comes from disk; rendered at each attempt. A handle: copies share
// what was read. What is inserted are pieces of the event's own text, so repeated members and the spelling of numbers
// come through; what comes out is JSON whatever the event holds. docs/configuration.md has the language. Pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/event.hpp"
#include "core/json.hpp"
#include "core/result.hpp"

namespace eventyard::router {

struct InputLimits {
    static constexpr std::size_t text = 8192;  // bytes of a constant, as JSON, and of a template
    static constexpr std::size_t path = 256;   // bytes of a path, and of its name
    static constexpr std::size_t paths = 100;
};

class Input {
public:
    /// The event as it came.
    Input() = default;

    // The stored forms. What they hold is checked by parse().
    [[nodiscard]] static std::string path_text(std::string_view path);
    /// @param json  one JSON value
    [[nodiscard]] static std::string constant_text(std::string_view json);
    [[nodiscard]] static std::string template_text(const std::vector<std::pair<std::string, std::string>>& paths,
                                                   std::string_view text);

    /// @param text  a stored form; empty: the event as it came. Errc::invalid when it is none.
    static Result<Input> parse(std::string_view text);

    [[nodiscard]] bool empty() const noexcept { return program_ == nullptr; }
    /// The stored form.
    [[nodiscard]] const std::string& text() const noexcept;

    /// Makes the body that is sent; of an empty input nothing. False: it is larger than `max`.
    /// @param rule  its name, as the configuration has it
    [[nodiscard]] bool render(const Event& event, std::string_view rule, json::Document& scratch, std::size_t max,
                              std::string& out) const;

    bool operator==(const Input& other) const noexcept { return program_ == other.program_ || text() == other.text(); }

private:
    struct Program;
    explicit Input(std::shared_ptr<const Program> program) noexcept : program_(std::move(program)) {}

    std::shared_ptr<const Program> program_;
};

}  // namespace eventyard::router
