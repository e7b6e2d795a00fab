#include "rules/engine/engine.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "rules/engine/access_find.hpp"

namespace eventyard::rules {
/// One event's way through the rule set.
class Engine::Run {
public:
    Run(const Engine& engine, const json::Document* event, EngineMemory& memory, MatchCost& cost,
        std::vector<std::uint32_t>& out, MatchSample* sample = nullptr)
        : engine_(engine), access_(engine.access_), event_(event), memory_(memory), cost_(cost), out_(out),
          at_{memory.selection, memory.facts, memory.stack}, selection_(memory.selection), first_(out.size()), sample_(sample)
    {}

    void run()
    {
        const auto& leaves = selection_.leaves();
        const auto count = static_cast<std::uint32_t>(leaves.size());
        memory_.facts.start(count);
        memory_.touched.clear();
        const std::size_t words = (engine_.size() + 63) / 64;
        if (memory_.matched.size() < words) memory_.matched.resize(words, 0);

        if (sample_ != nullptr) start_sample();
        for (std::uint32_t leaf = 0; leaf < count; ++leaf) access_.prefetch(at_, leaf);
        access_.touch_without_value(selection_, memory_.touched);
        if (sample_ != nullptr) book(none);
        for (std::uint32_t leaf = 0; leaf < count; ++leaf) {
            memory_.doubtful.clear();
            if (!repeated(leaf)) access_.touch(at_, leaf, *this);
            if (sample_ != nullptr) book(leaf);
        }
        cost_.touched += memory_.touched.size();
        for (const Touch& touch : memory_.touched)
            if ((touch.ref & Access::single) != 0) engine_.programs_.prefetch(touch.ref & ~Access::single);
        for (const Touch& touch : memory_.touched)
            if ((touch.ref & Access::single) != 0) engine_.programs_.prefetch_tests(touch.ref & ~Access::single);
        for (const Touch& touch : memory_.touched) {
            leaves_[0] = touch.leaf;
            visit(touch.ref, 0);
            if (sample_ != nullptr) book(touch.leaf);
        }
        finish();
    }

    // What Access::touch() tells.
    void found(Ref ref, std::uint32_t leaf)
    {
        if ((ref & Access::excluding) != 0) doubt(ref & ~Access::excluding);
        else memory_.touched.push_back({ref, leaf});
    }
    void decided(std::uint32_t rule)
    {
        ++cost_.touched;
        ++cost_.candidates;
        accept(rule);
    }
    /// All of the rules match but those in doubt; these are looked at one by one.
    void negatives(const std::uint32_t* rules, std::uint32_t count)
    {
        ++cost_.touched;
        auto& doubtful = memory_.doubtful;
        // Another program of the same rule may have decided it since.
        std::erase_if(doubtful, [this](std::uint32_t program) { return is_matched(engine_.programs_.rule(program)); });
        if (count < engine_.size() / few_words) {
            for (const std::uint32_t program : doubtful) mark(engine_.programs_.rule(program));
            for (std::uint32_t i = 0; i < count; ++i) accept(rules[i]);
        } else {
            for (std::uint32_t i = 0; i < count; ++i) mark(rules[i]);
            many_ = true;
        }
        for (const std::uint32_t program : doubtful) {
            const std::uint32_t rule = engine_.programs_.rule(program);
            memory_.matched[rule / 64] &= ~(std::uint64_t{1} << rule % 64);
        }
        for (const std::uint32_t program : doubtful) candidate(program);
    }

private:
    static constexpr std::uint32_t none = Selection::none;
    /// Fewer matches than rules / few_words are sorted; of more the bits are read.
    static constexpr std::size_t few_words = 64 * 16;

    void start_sample()
    {
        booked_candidates_ = cost_.candidates;
        booked_at_ = sample_->clock.steady();
    }
    /// Puts what was done since the last call down to the path of a leaf.
    void book(std::uint32_t leaf)
    {
        const std::uint32_t path = leaf == none ? 0 : selection_.leaves()[leaf].position;
        auto& rows = sample_->rows;
        if (rows.empty() || rows.back().path != path) rows.push_back({path, 0, {}});
        const SteadyTime now = sample_->clock.steady();
        rows.back().candidates += cost_.candidates - std::exchange(booked_candidates_, cost_.candidates);
        rows.back().time += now - std::exchange(booked_at_, now);
    }

    /// Rules listed there may exclude the value at hand.
    void doubt(Ref ref)
    {
        if ((ref & Access::single) != 0) return memory_.doubtful.push_back(ref & ~Access::single);
        const Access::Node& node = access_.node(ref);
        for (std::uint32_t i = node.program_first; i < node.program_first + node.program_count; ++i)
            memory_.doubtful.push_back(access_.program(i));
    }

    void mark(std::uint32_t rule) noexcept { memory_.matched[rule / 64] |= std::uint64_t{1} << rule % 64; }
    [[nodiscard]] bool is_matched(std::uint32_t rule) const noexcept
    {
        return (memory_.matched[rule / 64] >> rule % 64 & 1) != 0;
    }

    /// A value that its array has held before touches nothing new. Long arrays only.
    bool repeated(std::uint32_t leaf)
    {
        constexpr std::uint32_t long_array = 8;
        const std::uint32_t node = selection_.leaves()[leaf].node;
        const std::uint32_t count = selection_.node(node).leaf_count;
        if (count <= long_array) return false;
        if (selection_.node(node).leaf_first == leaf) {
            long_node_ = node;
            std::size_t size = 16;
            while (size < count * std::size_t{2}) size *= 2;
            memory_.seen.assign(size, none);
        }
        if (node != long_node_) return false;  // an array in pieces, with others in between
        const LeafView view = at_.leaf(leaf);
        const std::size_t mask = memory_.seen.size() - 1;
        std::size_t at = Access::exact_hash(selection_.leaves()[leaf].position, view) & mask;
        for (; memory_.seen[at] != none; at = (at + 1) & mask) {
            const LeafView other = at_.leaf(memory_.seen[at]);
            if (other.value.kind == view.value.kind && other.value.text == view.value.text &&
                other.value.truth == view.value.truth)
                return true;
        }
        memory_.seen[at] = leaf;
        return false;
    }

    void visit(Ref ref, std::uint32_t level)
    {
        const bool anchored = selection_.has_elements() && leaves_[level] != none;
        if (anchored) choose(leaves_[level], true);
        if ((ref & Access::single) != 0) {
            candidate(ref & ~Access::single);
        } else {
            const Access::Node& node = access_.node(ref);
            for (std::uint32_t i = node.program_first; i < node.program_first + node.program_count; ++i)
                candidate(access_.program(i));
            for (std::uint32_t i = node.branching_first; i < node.branching_first + node.branching_count; ++i)
                branch(ref, access_.branching(i), level);
        }
        if (anchored) choose(leaves_[level], false);
    }

    /// On to the rules under `ref` that also ask for a value at another path.
    void branch(Ref ref, const Access::Branching& branching, std::uint32_t level)
    {
        const auto on_leaf = [&](std::uint32_t leaf) {
            access_.branch(at_, ref, leaf, [&](Ref next) {
                ++cost_.touched;
                leaves_[level + 1] = leaf;
                visit(next, level + 1);
            });
        };
        const auto below = [&](std::uint32_t node) {
            for (std::uint32_t leaf = selection_.node(node).leaf_first; leaf != none; leaf = selection_.leaves()[leaf].next)
                on_leaf(leaf);
        };
        if (!selection_.has_elements() && !selection_.mixed()) {
            if (const auto node = selection_.first(branching.position); node != none) below(node);
            return;
        }
        if (selection_.mixed()) {  // values of an object and of an element agree, too
            for (std::uint32_t leaf = 0; leaf < selection_.leaves().size(); ++leaf)
                if (selection_.node(selection_.leaves()[leaf].node).position == branching.position) on_leaf(leaf);
            return;
        }
        // Up to the object both paths have in common, then down to every value that agrees.
        const std::uint32_t from = leaves_[branching.level];
        std::uint32_t node = selection_.leaves()[from].node;
        std::uint32_t depth = engine_.names_.depth(selection_.node(node).position);
        std::uint32_t object = selection_.node(node).owner;
        for (; depth > branching.common + 1; --depth) {
            node = selection_.object(object).node;
            object = selection_.node(node).owner;
        }
        descend(object, branching.chain_first, branching.chain_first + branching.chain_count, below);
    }

    template <class Below>
    void descend(std::uint32_t object, std::uint32_t step, std::uint32_t end, const Below& below)
    {
        const std::uint32_t node = selection_.child(object, access_.chain(step));
        if (node == none) return;
        if (step + 1 == end) return below(node);
        if (selection_.node(node).direct != none) descend(selection_.node(node).direct, step + 1, end, below);
        for (auto e = selection_.node(node).element_first; e != none; e = selection_.object(e).next)
            descend(e, step + 1, end, below);
    }

    /// Restricts the arrays around a leaf to the elements it lies in, or undoes that.
    void choose(std::uint32_t leaf, bool on)
    {
        std::uint32_t node = selection_.leaves()[leaf].node;
        for (;;) {
            const std::uint32_t owner = selection_.node(node).owner;
            node = selection_.object(owner).node;
            if (node == none) return;
            if (selection_.object(owner).element) selection_.node(node).chosen = on ? owner : none;
        }
    }

    void candidate(std::uint32_t program)
    {
        const std::uint32_t rule = engine_.programs_.rule(program);
        if (is_matched(rule)) return;
        ++cost_.candidates;
        const bool holds = selection_.mixed() ? engine_.references_.match(rule, *event_)
                                              : engine_.programs_.holds(program, at_);
        if (holds) accept(rule);
    }

    void accept(std::uint32_t rule)
    {
        std::uint64_t& word = memory_.matched[rule / 64];
        const std::uint64_t bit = std::uint64_t{1} << rule % 64;
        if ((word & bit) != 0) return;
        word |= bit;
        if (many_) return;
        out_.push_back(rule);
        many_ = out_.size() - first_ > engine_.size() / few_words;
    }

    /// Puts what was found in order and forgets the bits.
    void finish()
    {
        if (!many_) {
            const auto begin = out_.begin() + static_cast<std::ptrdiff_t>(first_);
            for (auto i = begin; i != out_.end(); ++i) memory_.matched[*i / 64] = 0;
            std::sort(begin, out_.end());
        } else {
            // Reading the bits costs less than sorting.
            const std::size_t words = (engine_.size() + 63) / 64;
            out_.resize(first_);
            for (std::size_t w = 0; w < words; ++w) {
                std::uint64_t word = memory_.matched[w];
                memory_.matched[w] = 0;
                for (; word != 0; word &= word - 1)
                    out_.push_back(static_cast<std::uint32_t>(w * 64 + static_cast<unsigned>(__builtin_ctzll(word))));
            }
        }
        cost_.matches += out_.size() - first_;
    }

    const Engine& engine_;
    const Access& access_;
    const json::Document* event_;
    EngineMemory& memory_;
    MatchCost& cost_;
    std::vector<std::uint32_t>& out_;
    Verification at_;
    Selection& selection_;
    std::size_t first_;
    std::uint32_t long_node_ = none;
    bool many_ = false;  // out_ lacks rules that matched: the bits have all
    MatchSample* sample_;
    std::uint64_t booked_candidates_ = 0;
    SteadyTime booked_at_{};
    std::array<std::uint32_t, Access::levels_max + 1> leaves_{};  // the leaves whose values led here
};

void Engine::match(const json::Document& event, EngineMemory& memory, MatchCost& cost, std::vector<std::uint32_t>& out,
                   MatchSample* sample) const
{
    memory.selection.read(names_, event);
    Run(*this, &event, memory, cost, out, sample).run();
}

void Engine::match_unchecked(std::string_view event, EngineMemory& memory, MatchCost& cost,
                             std::vector<std::uint32_t>& out) const
{
    memory.selection.read_unchecked(names_, event);
    if (memory.selection.mixed()) {
        json::Document document;
        json::SyntaxError error;
        if (document.parse_padded(event, {}, error)) match(document, memory, cost, out);
        return;
    }
    Run(*this, nullptr, memory, cost, out).run();
}

RuleSetFigures Engine::figures() const noexcept
{
    RuleSetFigures figures;
    figures.rules = size();
    figures.predicates = predicates_.size();
    figures.keys = access_.keys();
    figures.bytes = names_.bytes() + predicates_.bytes() + programs_.bytes() + access_.bytes();
    return figures;
}

}  // namespace eventyard::rules
