#include "rules/evaluate.hpp"

#include <algorithm>

namespace eventyard::rules {
namespace {

/// The walk's memory, kept by each thread for its next event.
Projection& scratch()
{
    thread_local Projection projection;
    return projection;
}

}  // namespace

bool matches(const Pattern& pattern, const json::Document& event)
{
    Projection& projection = scratch();
    projection.build(pattern.body().positions, event);
    return Evaluator(pattern.body(), event, projection, nullptr).run();
}

Evaluator::Mark Evaluator::mark() const noexcept
{
    if (trace_ == nullptr) return {};
    return {trace_->fields.size(), trace_->branches.size(), trace_->elements.size()};
}

void Evaluator::undo(const Mark& mark)
{
    if (trace_ == nullptr) return;
    trace_->fields.resize(mark.fields);
    trace_->branches.resize(mark.branches);
    trace_->elements.resize(mark.elements);
}

std::uint32_t Evaluator::witness(const Field& field, std::uint32_t node) const
{
    const std::uint32_t first = projection_.node(node).leaf_first;
    for (std::uint32_t at = first; at != none; at = projection_.leaf(at).next) {
        const std::uint32_t value = projection_.leaf(at).value;
        for (const Matcher& matcher : field.any)
            if (matcher.matches(values_[value])) return value;
    }
    // Values at one node have one chain: what all-of needs of its witnesses.
    for (const auto& all : field.all_of) {
        std::uint32_t found = none;
        const bool good = std::all_of(all.begin(), all.end(), [&](const Matcher& matcher) {
            for (std::uint32_t at = first; at != none; at = projection_.leaf(at).next) {
                if (!matcher.matches(values_[projection_.leaf(at).value])) continue;
                if (found == none) found = projection_.leaf(at).value;
                return true;
            }
            return false;
        });
        if (good) return found;
    }
    return none;
}

bool Evaluator::absent(const Field& field, const std::vector<std::uint32_t>& nodes) const
{
    const auto no_leaf = [&](const auto& blocks) {
        for (const std::uint32_t node : nodes)
            for (std::uint32_t at = projection_.node(node).leaf_first; at != none;
                 at = projection_.leaf(at).next)
                if (blocks(values_[projection_.leaf(at).value])) return false;
        return true;
    };
    if (field.exists_false && no_leaf([](const json::Value&) { return true; })) return true;
    return std::any_of(field.none_of.begin(), field.none_of.end(), [&](const auto& items) {
        return no_leaf([&](const json::Value& leaf) {
            return std::any_of(items.begin(), items.end(),
                               [&](const Matcher& matcher) { return matcher.matches(leaf); });
        });
    });
}

bool Evaluator::absent(const Conjunction& all, const std::vector<std::uint32_t>& objects)
{
    if (!all.may_be_absent) return false;
    const Mark start = mark();
    std::vector<std::uint32_t> nodes;
    std::vector<std::uint32_t> inner;
    for (const auto& part : all.parts) {
        nodes.clear();
        for (const std::uint32_t object : objects)
            if (const auto node = projection_.child(object, part.position); node != none)
                nodes.push_back(node);
        if (part.field != none) {
            if (!absent(body_.fields[part.field], nodes)) return undo(start), false;
            if (trace_ != nullptr) trace_->fields.push_back({part.field, none});
        }
        if (!part.below) continue;
        inner.clear();
        for (const std::uint32_t node : nodes) {
            const auto& at = projection_.node(node);
            if (at.direct != none) inner.push_back(at.direct);
            for (auto e = at.element_first; e != none; e = projection_.object(e).next) inner.push_back(e);
        }
        if (!absent(*part.below, inner)) return undo(start), false;
    }
    for (const auto& either : all.alternatives) {
        const bool good = std::any_of(either.branches.begin(), either.branches.end(), [&](const Branch& b) {
            if (!absent(b.all, objects)) return false;
            if (trace_ != nullptr)
                trace_->branches.insert(trace_->branches.end(), b.labels.begin(), b.labels.end());
            return true;
        });
        if (!good) return undo(start), false;
    }
    return true;
}

Held Evaluator::field(std::uint32_t index, std::uint32_t node)
{
    const Field& field = body_.fields[index];
    if (node != none) {
        if (const std::uint32_t leaf = witness(field, node); leaf != none) {
            if (trace_ != nullptr) trace_->fields.push_back({index, leaf});
            return Held::witnessed;
        }
    }
    if (!field.may_be_absent()) return Held::no;
    if (node != none && !absent(field, {node})) return Held::no;
    if (trace_ != nullptr) trace_->fields.push_back({index, none});
    return Held::absent;
}

Held Evaluator::conjunction(const Conjunction& all, std::uint32_t object)
{
    const Mark start = mark();
    Held held = Held::absent;
    const auto holds = [&](Held one) {
        held = one == Held::no ? one : std::max(held, one);
        return one != Held::no;
    };
    for (const auto& part : all.parts) {
        const std::uint32_t node = projection_.child(object, part.position);
        if ((part.field != none && !holds(field(part.field, node))) ||
            (part.below && !holds(below(*part.below, node))))
            return undo(start), Held::no;
    }
    for (const auto& either : all.alternatives)
        if (!holds(alternatives(either, object))) return undo(start), Held::no;
    return held;
}

Held Evaluator::alternatives(const Alternatives& either, std::uint32_t object)
{
    const Mark start = mark();
    const Branch* without_witness = nullptr;
    for (const Branch& branch : either.branches) {
        const Held held = conjunction(branch.all, object);
        if (held == Held::witnessed) {
            if (trace_ != nullptr)
                trace_->branches.insert(trace_->branches.end(), branch.labels.begin(), branch.labels.end());
            return held;
        }
        undo(start);
        if (held == Held::absent && without_witness == nullptr) without_witness = &branch;
    }
    if (without_witness == nullptr) return Held::no;
    if (trace_ != nullptr) {
        (void)conjunction(without_witness->all, object);  // once more, for its trace
        trace_->branches.insert(trace_->branches.end(), without_witness->labels.begin(),
                                without_witness->labels.end());
    }
    return Held::absent;
}

Held Evaluator::below(const Conjunction& all, std::uint32_t node)
{
    if (node == none) return absent(all, {}) ? Held::absent : Held::no;
    const auto& at = projection_.node(node);
    if (at.direct != none && at.element_first != none) return mixed(all, node);
    if (at.direct != none) return conjunction(all, at.direct);

    const Mark start = mark();
    for (auto e = at.element_first; e != none; e = projection_.object(e).next) {
        // An element is chosen by a witness in it, by nothing else.
        if (conjunction(all, e) == Held::witnessed) {
            if (trace_ != nullptr) trace_->elements.push_back(projection_.object(e).value);
            return Held::witnessed;
        }
        undo(start);
    }
    if (!all.may_be_absent) return Held::no;
    std::vector<std::uint32_t> elements;
    for (auto e = at.element_first; e != none; e = projection_.object(e).next) elements.push_back(e);
    return absent(all, elements) ? Held::absent : Held::no;
}

}  // namespace eventyard::rules
