// rules/engine/predicates.hpp — every distinct test of a scalar that rules of a set make, once.
//
// A predicate is one item of a leaf list at one position, e.g. "region starts with eu-". Tests hold
// exactly what rules/matcher.hpp says of them. The table is written while rules are added and only
// read afterwards; what a test needs of a value beyond its text is worked out once and kept in
// LeafFacts.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <re2/re2.h>
#include <string>
#include <string_view>
#include <vector>

#include "rules/cidr.hpp"
#include "rules/engine/approximate.hpp"
#include "rules/engine/selection.hpp"
#include "rules/fold.hpp"
#include "rules/matcher.hpp"

namespace eventyard::rules {

enum class Op : std::uint8_t {
    any,           // {"exists": true}
    null, yes, no, // literals
    string,        // the text itself
    prefix, suffix,
    folded, folded_prefix, folded_suffix,  // of the text with its case folded
    wildcard,
    number,        // equal as decimals
    number_not,
    range,
    cidr,
    regex,
    none_of_these, // anything-but: no listed predicate holds
};

/// A number's approximation, for quick answers, and its text for exact ones.
struct Bound {
    Approximate number;
    std::uint32_t text = 0;       // in the texts
    std::uint32_t text_size = 0;  // 0: no bound on this side
};

struct Range {
    Bound low, high;
    bool low_included = false, high_included = false;
};

/// What was worked out about one leaf of the event at hand.
struct LeafFacts {
    bool approximated = false, folded = false, hashed = false;
    Approximate number;
    std::uint32_t folded_at = 0, folded_size = 0;  // in FactMemory::folded
    std::uint64_t hash = 0;                        // Access::exact_hash
};

/// The facts of all leaves, reused from event to event.
struct FactMemory {
    std::vector<LeafFacts> leaves;
    std::string folded;

    void start(std::size_t count)
    {
        leaves.assign(count, LeafFacts{});
        folded.clear();
    }
};

/// One leaf with its facts.
struct LeafView {
    const json::Value& value;
    LeafFacts& facts;
    FactMemory& memory;

    [[nodiscard]] std::string_view folded() const
    {
        if (!facts.folded) fold();
        return std::string_view(memory.folded).substr(facts.folded_at, facts.folded_size);
    }
    [[nodiscard]] const Approximate& number() const noexcept
    {
        if (!facts.approximated) facts.number = approximate_padded(value.text), facts.approximated = true;
        return facts.number;
    }

private:
    void fold() const;
};

class Predicates {
public:
    static constexpr std::uint32_t none = UINT32_MAX;

    Predicates();

    /// The predicate of that test at that position: an equal one that is there, or a new one.
    std::uint32_t add(std::uint32_t position, const Matcher& matcher);
    /// The parts of add(), for those who have no Matcher. `pool_index`: of a cidr or regex.
    std::uint32_t add_text(std::uint32_t position, Op op, std::string_view text, std::uint32_t pool_index = none);
    std::uint32_t add_number(std::uint32_t position, Op op, std::string_view number);
    struct Ends {
        std::string_view low, high;  // numbers; empty: no end on that side
        bool low_included = false, high_included = false;
    };
    std::uint32_t add_range(std::uint32_t position, const Ends& ends);
    /// None of the predicates, which are put in order.
    std::uint32_t add_none_of(std::uint32_t position, std::vector<std::uint32_t>& predicates);
    /// Once, after the last add(): drops what only add() needs.
    void finish();

    void prefetch(std::uint32_t predicate) const noexcept { __builtin_prefetch(&all_[predicate]); }
    [[nodiscard]] bool holds(std::uint32_t predicate, const LeafView& leaf) const;

    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
    [[nodiscard]] Op op(std::uint32_t i) const noexcept { return all_[i].op; }
    [[nodiscard]] std::uint32_t position(std::uint32_t i) const noexcept { return positions_[i]; }
    /// The operand of an op with a text.
    [[nodiscard]] std::string_view text(std::uint32_t i) const noexcept { return all_[i].text(texts_); }
    /// What a wildcard asks for at its start, at its end, or (the longest such) in between; maybe nothing.
    enum class Piece : std::uint8_t { first, last, longest };
    [[nodiscard]] std::string_view piece(std::uint32_t wildcard, Piece which) const noexcept;
    [[nodiscard]] const Range& range(std::uint32_t i) const noexcept { return ranges_[all_[i].index()]; }
    [[nodiscard]] const Cidr& cidr(std::uint32_t i) const noexcept { return cidrs_[all_[i].index()]; }
    [[nodiscard]] const re2::RE2& regex(std::uint32_t i) const noexcept { return *regexes_[all_[i].index()]; }
    [[nodiscard]] const Bound& number(std::uint32_t i) const noexcept { return bounds_[all_[i].index()]; }
    /// The predicates a none_of_these lists.
    [[nodiscard]] const std::uint32_t* listed(std::uint32_t i, std::uint32_t& count) const noexcept;
    [[nodiscard]] std::size_t bytes() const noexcept;

private:
    /// Sixteen bytes: short texts lie inside, where a test finds them without another look at memory.
    struct Predicate {
        Op op = Op::any;
        std::uint8_t size = 0;  // of the text inside
        char inside[14] = {};   // or: its offset and size in texts_, and an index into a pool

        static constexpr std::uint8_t outside = 255;
        [[nodiscard]] std::string_view text(const std::string& texts) const noexcept
        {
            if (size != outside) return {inside, size};
            return std::string_view(texts).substr(word(0), word(1));
        }
        [[nodiscard]] std::uint32_t index() const noexcept { return word(2); }
        [[nodiscard]] std::uint32_t word(std::size_t i) const noexcept
        {
            std::uint32_t out;
            std::memcpy(&out, inside + 2 + 4 * i, sizeof out);
            return out;
        }
        void set_word(std::size_t i, std::size_t to) noexcept
        {
            const auto word = static_cast<std::uint32_t>(to);
            std::memcpy(inside + 2 + 4 * i, &word, sizeof word);
        }
    };
    static_assert(sizeof(Predicate) == 16);

    template <class Equal, class Make>
    std::uint32_t intern(std::uint64_t hash, const Equal& equal, const Make& make);
    void grow();
    [[nodiscard]] Bound make_bound(std::string_view text);
    /// -1, 0 or 1 as the leaf is below, at or above the bound.
    [[nodiscard]] int compare(const LeafView& leaf, const Bound& bound) const;
    [[nodiscard]] std::string_view bound_text(const Bound& bound) const noexcept;

    std::vector<Predicate> all_;
    std::vector<std::uint32_t> positions_;
    std::string texts_;
    std::vector<Bound> bounds_;
    std::vector<Range> ranges_;
    std::vector<Cidr> cidrs_;
    std::vector<std::shared_ptr<const re2::RE2>> regexes_;
    std::vector<std::uint32_t> lists_;
    // While rules are added: predicates by hash of position, op and operand.
    struct Slot {
        std::uint32_t tag = 0, predicate = none;
    };
    std::vector<Slot> slots_;
    std::vector<std::uint64_t> hashes_;
};

}  // namespace eventyard::rules
