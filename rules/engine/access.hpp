// rules/engine/access.hpp — from the values of an event to the rules that could match it.
//
// Each rule is listed under the predicates of one of its fields, which one the builder chose (see
// docs/adr/0014). A rule matches only when one of them holds; finding those costs a few hash look-ups
// a value, whatever the number of rules:
//   equal values          a hash of the value
//   prefixes, suffixes    hashes of the value's beginnings or ends of the lengths there are
//   wildcards, regexes    the literal they begin or end with, or up to eight bytes of one inside, looked
//                         up at each byte of the value
//   numeric ranges        an interval index
//   blocks of addresses   a hash of the address under each mask there is
//   anything else         the presence of a value
// Rules listed under one predicate are told apart further by hashes of pairs (node, value at another path).
#pragma once

#include <cstdint>
#include <vector>

#include "rules/engine/hash.hpp"
#include "rules/engine/interval_index.hpp"
#include "rules/engine/predicates.hpp"
#include "rules/engine/programs.hpp"

namespace eventyard::rules {

/// How predicates of one kind are found. A position has a bit for each that it needs.
enum class KeyKind : std::uint8_t { exact, folded, prefix, suffix, folded_prefix, folded_suffix, piece, range, cidr, present };

struct Key {
    KeyKind kind = KeyKind::present;
    std::uint32_t predicate = 0;
    std::string_view text;  // of all but exact, range, cidr and present
};

/// Either one program, or a node with a list of them.
using Ref = std::uint32_t;

struct Touch {
    Ref ref = 0;
    std::uint32_t leaf = 0;  // none: the rules have no witness to begin from
};

class Access {
public:
    static constexpr std::uint32_t none = UINT32_MAX;
    static constexpr Ref single = 1U << 31;
    /// Of a key whose predicate the rules exclude.
    static constexpr Ref excluding = 1U << 30;
    /// Paths after the first by which rules under one predicate are told apart.
    static constexpr std::uint32_t levels_max = 3;

    /// Rules are told apart at another path, whose values must agree with those found so far.
    struct Branching {
        std::uint32_t position = 0;
        std::uint32_t level = 0;         // which of the leaves found so far shares most of the path
        std::uint32_t common = 0;        // how many names of it
        std::uint32_t chain_first = 0;   // in chain(): the positions from there to `position`
        std::uint32_t chain_count = 0;
    };
    struct Node {
        std::uint32_t program_first = 0, program_count = 0;
        std::uint32_t branching_first = 0, branching_count = 0;
    };

    // ---- building
    void start(std::size_t positions) { path_of_.assign(positions, none); }
    Ref add_node(const std::vector<std::uint32_t>& programs, const std::vector<Branching>& branchings);
    /// `only`: the rule that asks for nothing but this key's predicate, or none.
    void add_key(const Predicates& predicates, std::uint32_t position, const Key& key, Ref ref, std::uint32_t only);
    /// Rules that ask for nothing but a value at the position for which some predicates do not hold; ascending.
    /// The keys of those predicates are added with refs that are `excluding`.
    void add_negatives(std::uint32_t position, const std::vector<std::uint32_t>& rules);
    void add_branch(const Predicates& predicates, Ref node, std::uint32_t position, std::uint32_t predicate, Ref ref);
    void set_always(Ref ref) { always_ = ref; }
    void add_absent(std::uint32_t position, Ref ref) { absent_.push_back({position, ref}); }
    std::uint32_t add_chain(const std::vector<std::uint32_t>& positions);
    void finish();

    // ---- asking
    /// Tells the visitor what the leaf's value touches: found(ref, leaf), decided(rule) where that is all
    /// the rule asks for; last, where any value will do, negatives(rules, count): all but those that what
    /// was found excludes.
    template <class Visitor>
    void touch(const Verification& at, std::uint32_t leaf, Visitor& visitor) const;
    /// Announces the look-ups of touch().
    void prefetch(const Verification& at, std::uint32_t leaf) const;
    /// What is touched whatever the event holds, or because it lacks something.
    void touch_without_value(const Selection& selection, std::vector<Touch>& out) const;
    /// Calls found(ref) for the rules under `node` whose value at another path is this leaf's.
    template <class Found>
    void branch(const Verification& at, Ref node, std::uint32_t leaf, const Found& found) const
    {
        probe(mix(exact_hash(at.selection.leaves()[leaf].position, at.leaf(leaf)), node), found);
    }
    /// Equal values at one position have equal hashes.
    [[nodiscard]] static std::uint64_t exact_hash(std::uint32_t position, const LeafView& leaf);
    [[nodiscard]] const Node& node(Ref ref) const noexcept { return nodes_[ref]; }
    [[nodiscard]] std::uint32_t program(std::uint32_t i) const noexcept { return programs_[i]; }
    [[nodiscard]] const Branching& branching(std::uint32_t i) const noexcept { return branchings_[i]; }
    [[nodiscard]] std::uint32_t chain(std::uint32_t i) const noexcept { return chains_[i]; }
    [[nodiscard]] std::size_t keys() const noexcept { return keys_; }
    [[nodiscard]] std::size_t bytes() const noexcept;

private:
    struct Slot {
        std::uint32_t tag = 0;
        Ref ref = none;
    };
    struct Lengths {
        std::uint32_t first = 0, count = 0;
    };
    struct Path {
        std::uint16_t kinds = 0;          // bits of KeyKind
        std::uint8_t piece_sizes = 0;     // bit n: pieces of n + 1 bytes
        Lengths prefix, suffix, folded_prefix, folded_suffix, v4, v6;
        std::uint32_t intervals = none;   // also of exact numbers, where there are ranges
        Ref present = none;
        Lengths negatives;                // in negatives_
    };
    /// A length and where it belongs, while keys are added.
    struct Pending {
        std::uint32_t path;
        std::uint8_t list;
        std::uint32_t length;
        bool operator<(const Pending& other) const noexcept;
        bool operator==(const Pending& other) const noexcept;
    };

    [[nodiscard]] static std::uint64_t seed(std::uint32_t position, KeyKind kind) noexcept
    {
        return std::uint64_t{position} << 4 | static_cast<std::uint64_t>(kind);
    }
    [[nodiscard]] static std::uint64_t exact_hash(std::uint32_t position, const Predicates& predicates,
                                                  std::uint32_t predicate);
    [[nodiscard]] bool has(const Path& path, KeyKind kind) const noexcept
    {
        return (path.kinds >> static_cast<int>(kind) & 1) != 0;
    }
    template <class Found>
    void probe(std::uint64_t hash, const Found& found) const
    {
        const auto tag = static_cast<std::uint32_t>(hash >> 32);
        for (std::size_t at = hash & mask_; slots_[at].ref != none; at = (at + 1) & mask_)
            if (slots_[at].tag == tag) found(slots_[at].ref);
    }
    Path& path_at(std::uint32_t position);
    static constexpr unsigned affix_kinds =
        1U << static_cast<int>(KeyKind::prefix) | 1U << static_cast<int>(KeyKind::suffix) |
        1U << static_cast<int>(KeyKind::folded_prefix) | 1U << static_cast<int>(KeyKind::folded_suffix);
    template <class Visitor>
    void touch_keys(const Verification& at, std::uint32_t leaf, const Path& path, Visitor& visitor) const;
    template <class Found>
    void find_affixes(std::uint32_t position, const Path& path, const LeafView& leaf, const Found& found) const;
    template <class Found>
    void find_pieces(std::uint32_t position, std::uint8_t sizes, std::string_view text, const Found& found) const;
    template <class Found>
    void find_blocks(std::uint32_t position, const Path& path, std::string_view text, const Found& found) const;

    std::vector<std::uint32_t> path_of_;  // by position
    std::vector<Path> paths_;
    std::vector<std::uint32_t> lengths_;
    std::vector<IntervalIndex> intervals_;
    std::vector<Slot> slots_;
    std::size_t mask_ = 0;
    std::vector<Node> nodes_;
    std::vector<std::uint32_t> programs_;
    std::vector<Branching> branchings_;
    std::vector<std::uint32_t> chains_;
    std::vector<std::uint32_t> negatives_;  // rules
    std::vector<std::uint64_t> pieces_;     // bits of the hashes of all pieces: most that are asked for are none
    std::size_t pieces_mask_ = 0;
    struct Absent {
        std::uint32_t position;
        Ref ref;
    };
    std::vector<Absent> absent_;
    Ref always_ = none;
    std::size_t keys_ = 0;
    // While keys are added.
    std::vector<std::pair<std::uint64_t, Ref>> hashed_;
    std::vector<Pending> pending_;
    struct ExactNumber {
        std::uint32_t position;
        Approximate number;
        Ref ref;
    };
    std::vector<ExactNumber> numbers_;
    std::vector<std::uint64_t> piece_hashes_;
};

}  // namespace eventyard::rules
