// rules/engine/programs.hpp — rules as they are verified: which fields lie where, and their tests.
//
// Rules of one form share a shape (a tree of positions and alternatives); a program is a rule's id, its
// shape, and one slot a field: a predicate, or a list of them. Verifying follows the definition in
// docs/patterns.md as rules/evaluate.cpp does, on the selection all rules share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "rules/engine/predicates.hpp"
#include "rules/engine/selection.hpp"

namespace eventyard::rules {

/// A conjunction while a rule set is built: rules/pattern_body.hpp on the set's positions.
struct Tree {
    struct Part {
        std::uint32_t position = 0;
        bool field = false;
        bool absentable = false;      // the field may be held by there being no value
        std::uint32_t slot = 0;       // of the field
        std::unique_ptr<Tree> below;  // null: nothing
    };
    std::vector<Part> parts;
    std::vector<std::vector<Tree>> alternatives;

    Tree() = default;
    Tree(const Tree&) = delete;
    Tree(Tree&&) noexcept = default;
    Tree& operator=(Tree&&) noexcept = default;
    [[nodiscard]] Tree clone() const;
};

/// What verifying one event needs.
struct Verification {
    Selection& selection;
    FactMemory& facts;
    std::vector<std::uint32_t>& stack;  // objects and nodes being looked at

    [[nodiscard]] LeafView leaf(std::uint32_t i) const
    {
        return {selection.value(selection.leaves()[i]), facts.leaves[i], facts};
    }
};

/// The items of a field's list. Stored one after the other, see Programs::add_list.
struct ItemList {
    std::vector<std::uint32_t> any;
    std::vector<std::vector<std::uint32_t>> all_of, none_of;
    bool exists_false = false;
};

class Programs {
public:
    static constexpr std::uint32_t none = UINT32_MAX;

    explicit Programs(const Predicates& predicates) : predicates_(predicates) {}

    /// A slot: the predicate itself when it is the only item.
    std::uint32_t add_list(const ItemList& list);
    /// Returns the program.
    std::uint32_t add(std::uint32_t rule, const Tree& tree);
    /// As above, for a tree without alternatives given by its parts in order, each as append_part() puts
    /// it, with the number of parts at each level before them; and the slots of its fields in order.
    std::uint32_t add(std::uint32_t rule, const std::vector<std::uint32_t>& description,
                      const std::vector<std::uint32_t>& slots);
    static void append_part(std::vector<std::uint32_t>& description, std::uint32_t position, bool field, bool absentable,
                            bool below)
    {
        description.push_back(position);
        description.push_back((field ? 1U : 0U) | (absentable ? 2U : 0U) | (below ? 4U : 0U));
    }
    void finish();

    [[nodiscard]] std::uint32_t rule(std::uint32_t program) const noexcept { return words_[program]; }
    /// Whether the event satisfies the program. Nodes with a `chosen` element are looked at there only.
    [[nodiscard]] bool holds(std::uint32_t program, const Verification& at) const;
    /// The one predicate that is all a program asks for, or none.
    [[nodiscard]] std::uint32_t only(std::uint32_t program) const noexcept;

    /// The predicates of a slot that a witness may satisfy; an all-of is held by any of its own.
    struct Witnesses {
        std::vector<std::uint32_t> any;
        std::vector<std::vector<std::uint32_t>> all_of;
    };
    /// Whether a slot is one predicate, and so has that value.
    [[nodiscard]] static bool is_predicate(std::uint32_t slot) noexcept { return (slot & list_bit) == 0; }
    /// The position of a program's field when that is all it asks for: [{"exists": false}].
    [[nodiscard]] std::optional<std::uint32_t> only_absence(std::uint32_t program) const noexcept;
    [[nodiscard]] Witnesses witnesses(std::uint32_t slot) const;
    /// Calls visit(position, slot) for each field of the program outside any alternatives that needs a witness.
    template <class Visit>
    void each_field(std::uint32_t program, const Visit& visit) const
    {
        const Shape& shape = shapes_[words_[program + 1]];
        for (std::uint32_t i = shape.flat_first; i < shape.flat_first + shape.flat_count; ++i)
            if (!flat_[i].absentable) visit(flat_[i].position, words_[program + 2 + flat_[i].slot]);
    }
    /// Two steps of getting a program near: its own words, and, when these are there, what its tests look at.
    void prefetch(std::uint32_t program) const noexcept { __builtin_prefetch(&words_[program]); }
    void prefetch_tests(std::uint32_t program) const noexcept
    {
        const std::uint32_t count = shapes_[words_[program + 1]].slots;
        for (std::uint32_t i = 0; i < count; ++i)
            if (const std::uint32_t slot = words_[program + 2 + i]; is_predicate(slot)) predicates_.prefetch(slot);
    }
    [[nodiscard]] std::size_t shapes() const noexcept { return shapes_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept;

private:
    static constexpr std::uint32_t list_bit = 1U << 31;
    enum class Held : std::uint8_t { no, absent, witnessed };

    struct Part {
        std::uint32_t position = 0;
        std::uint32_t slot = none;   // among the program's slots
        std::uint32_t below = none;  // a shape
    };
    struct Flat {
        std::uint32_t position = 0;
        std::uint32_t slot = 0;
        bool absentable = false;
    };
    struct Either {
        std::uint32_t branch_first = 0, branch_count = 0;  // in branches_: shapes
    };
    struct Shape {
        std::uint32_t part_first = 0, part_count = 0;
        std::uint32_t either_first = 0, either_count = 0;
        std::uint32_t flat_first = 0, flat_count = 0;                // all fields at and below it
        std::uint32_t flat_either_first = 0, flat_either_count = 0;  // all alternatives at and below it
        std::uint32_t slots = 0;                                     // of a program with this shape
        bool may_be_absent = true;
    };
    class Walk;
    class ListReader;

    std::uint32_t shape_of(const std::vector<std::uint32_t>& description, const Tree* tree);
    static void describe(const Tree& tree, std::vector<std::uint32_t>& out);
    std::uint32_t make_shape(const Tree& tree, std::uint32_t& slot);

    const Predicates& predicates_;
    std::vector<std::uint32_t> words_;
    std::vector<std::uint32_t> lists_;
    std::vector<Shape> shapes_;
    std::vector<Part> parts_;
    std::vector<Either> eithers_;
    std::vector<std::uint32_t> branches_;
    std::vector<Flat> flat_;
    std::vector<Either> flat_eithers_;
    // While programs are added: shapes by their description.
    std::vector<std::vector<std::uint32_t>> descriptions_;
    std::vector<std::uint32_t> described_shapes_;
    std::vector<std::uint32_t> slots_;  // a hash table of descriptions_
    std::vector<std::uint32_t> scratch_;
};

}  // namespace eventyard::rules
