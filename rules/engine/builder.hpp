// rules/engine/builder.hpp — chooses under which predicates each rule is listed.
//
// A rule may be listed under the predicates of any field that it cannot match without, or, one branch
// at a time, under those of an alternative. The builder takes the field that events are expected to
// touch least, judged by how the rules' own operands are spread: one of a million tenants says more
// than one of fifty types. Where many rules share even the best predicate, they are told apart by the
// values they ask for at a second path, a third and so on.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rules/engine/engine.hpp"
#include "rules/engine/plain_patterns.hpp"
#include "rules/pattern_body.hpp"

namespace eventyard::rules {

class Builder {
public:
    explicit Builder(Engine& engine);
    /// The rule's pattern; each rule once, ids ascending from 0.
    void add(std::uint32_t rule, const Pattern& pattern);
    /// As above, when the value at `index` is a plain pattern; else false.
    [[nodiscard]] bool add(std::uint32_t rule, const json::Document& text, std::uint32_t index);
    /// Once, after all rules.
    void finish();

private:
    /// Rules to be listed together, as programs.
    using Programs_ = std::vector<std::uint32_t>;
    /// The cheapest way of finding a conjunction.
    struct Choice {
        double cost = 0;                        // expected touches an event; a new choice must cost less
        std::vector<std::uint32_t> predicates;  // of a field
        Tree* scope = nullptr;                  // or: the tree whose alternative this is, branch by branch
        std::size_t alternative = 0;
        [[nodiscard]] bool found() const noexcept { return scope != nullptr || !predicates.empty(); }
    };
    static constexpr double unlimited = 1e9;
    static constexpr std::size_t kinds = 10;  // of keys

    [[nodiscard]] Tree tree_of(const Pattern::Body& body);
    Tree tree_of(const Pattern::Body& body, const Conjunction& all, const std::vector<std::uint32_t>& positions);
    std::uint32_t slot_of(const Field& field, std::uint32_t position);

    void count(const Tree& tree);
    void count_slot(std::uint32_t slot);
    void count_predicate(std::uint32_t predicate);
    void spread_ranges();
    [[nodiscard]] std::vector<Key> literal_keys(std::uint32_t predicate) const;
    [[nodiscard]] Key key_of(std::uint32_t predicate) const;
    [[nodiscard]] double expected_of(const Key& literal) const;
    [[nodiscard]] double expected(std::uint32_t predicate) const;
    [[nodiscard]] double work_out(std::uint32_t predicate) const;

    void consider_field(std::uint32_t slot, Choice& best) const;
    void choose(Tree& tree, Choice& best, bool with_alternatives) const;
    void list(std::uint32_t rule, Tree tree, std::size_t& clauses);
    void list(std::uint32_t program);
    void list_under(std::uint32_t program, const Choice& choice);

    void sort_by_predicate();
    void make_keys();
    void take_negatives(std::uint32_t position, Programs_& programs);
    /// `path`: the positions whose values lead to the node.
    Ref make_node(const Programs_& programs, const std::vector<std::uint32_t>& path);
    [[nodiscard]] Access::Branching branching_to(std::uint32_t position, const std::vector<std::uint32_t>& path);

    Engine& engine_;
    Names& names_;
    Predicates& predicates_;
    Programs& programs_;
    Access& access_;
    PlainPatterns plain_;
    std::vector<std::uint32_t> programs_without_alternatives_;
    std::vector<std::pair<std::uint32_t, Tree>> trees_;      // rules that have some
    Choice best_;                                            // of the program at hand
    mutable std::vector<float> expected_;                    // by predicate; negative: not worked out yet
    std::vector<std::uint32_t> uses_;                        // of each predicate, by fields that need a witness
    std::vector<std::array<std::uint32_t, kinds>> totals_;   // by position and kind
    std::unordered_map<std::uint64_t, std::uint32_t> literals_;  // uses of each piece a wildcard could be found by
    mutable std::unordered_map<std::uint32_t, std::pair<std::string, std::string>> regex_literals_;  // prefix, piece
    std::unordered_map<std::uint32_t, std::vector<double>> lows_;  // by position: the low ends of ranges, sorted
    std::vector<std::pair<std::uint32_t, std::uint32_t>> listed_;  // predicate, program
    std::vector<std::pair<std::uint32_t, std::uint32_t>> absent_;  // position, program
    Programs_ always_;
};

}  // namespace eventyard::rules
