// core/json_path.hpp — where in a JSON text a value stands: $.detail.id, $['a b'][0], $.list[-1], $.items[*].sku.
//
// Steps are names, indices (below zero from the end) and '*', which takes every element of an array and every member
// of an object. Of a repeated member the last counts. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/json.hpp"
#include "core/result.hpp"

namespace eventyard::json {

class Path {
public:
    /// Errc::invalid: "expected ... at character N".
    /// @param slashes  names may hold '/' without quotes, as EventBridge's paths do
    static Result<Path> parse(std::string_view text, bool slashes = true);
    /// The member `name` of the outermost object.
    static Path member(std::string_view name);
    /// One value of an event: a path with a step and without '*', or the name of a CloudEvents attribute or another
    /// member of the outermost object.
    static Result<Path> of_one(std::string_view text);

    /// The same steps, however they are written, make the same bytes; others make others.
    void append_to(std::string& out) const;

    /// It has no '*': there is at most one such value.
    [[nodiscard]] bool single() const noexcept;
    /// No step: the whole text.
    [[nodiscard]] bool whole() const noexcept { return steps_.empty(); }

    /// Of a single path; null: there is no such value. A document that is empty has none.
    [[nodiscard]] const Value* find(const Document& document) const;
    /// Every value, in the order of the text, to `visit(const Value&)`.
    template <class Visit>
    void each(const Document& document, Visit visit) const
    {
        if (!document.empty()) walk(document, 0, 0, visit);
    }

    /// What a name may hold without quotes.
    [[nodiscard]] static bool is_name(char c) noexcept;

private:
    struct Every {};
    using Step = std::variant<std::string, std::int64_t, Every>;

    [[nodiscard]] static std::optional<std::uint32_t> take(const Document& document, std::uint32_t at, const Step& step);
    template <class Visit>
    void walk(const Document& document, std::uint32_t at, std::size_t step, Visit& visit) const
    {
        const auto values = document.values();
        for (; step < steps_.size(); ++step) {
            if (std::holds_alternative<Every>(steps_[step])) {
                const bool container = values[at].kind == Kind::array || values[at].kind == Kind::object;
                for (std::uint32_t i = at + 1; container && i < values[at].next; i = values[i].next)
                    walk(document, i, step + 1, visit);
                return;
            }
            const auto next = take(document, at, steps_[step]);
            if (!next) return;
            at = *next;
        }
        visit(values[at]);
    }

    std::vector<Step> steps_;
};

}  // namespace eventyard::json
