// Events in which one path is an object and an array at once.
//
// Witnesses may then lie in the object and in one element of the array together, further down in
// several such arrays. The search fixes one choice (an element, or none) for each array and decides
// the groups below it independently. An element counts as chosen only when a witness lies in it, so
// an outcome says which of the objects looked at hold a witness. Three things keep it short:
// elements that look alike to the pattern are tried once, a choice that leaves some field without
// any possible witness is left at once, and outcomes that hold fewer witnesses than another fall away.
#include <algorithm>
#include <set>

#include "rules/evaluate.hpp"

namespace eventyard::rules {

struct Evaluator::Outcome {
    std::vector<bool> witnessed;  // one for each active object
    Trace trace;
};

struct Evaluator::Active {
    std::uint32_t node = none;
    std::size_t origin = 0;  // of the active object above
};

struct Evaluator::Array {
    std::uint32_t node = none;
    std::size_t origin = 0;
    std::vector<std::uint32_t> elements;
    std::vector<std::vector<bool>> covered;  // by each element
    std::vector<bool> reachable;             // by this array and all after it
};

struct Evaluator::Search {
    const Conjunction& all;
    std::size_t origins = 0;
    std::vector<Array> arrays;
    std::vector<std::uint32_t> actives, passives;
    std::vector<std::size_t> origin_of;  // active
    std::vector<bool> needs_witness;     // active
    std::vector<std::vector<bool>> covered;  // by the actives so far, a stack
    std::vector<Outcome> found;
    std::size_t successes = 0;
    bool coverage_decides = false;  // what is covered says all about a choice
    std::set<std::pair<std::size_t, std::vector<bool>>> hopeless;  // array, covered so far
};

namespace {

/// Whether only witnesses directly in an element matter: no absence, no further arrays below.
bool coverage_decides(const Conjunction& all, const std::vector<Field>& fields)
{
    for (const auto& part : all.parts)
        if (part.below || (part.field != none && fields[part.field].may_be_absent())) return false;
    for (const auto& either : all.alternatives)
        for (const Branch& branch : either.branches)
            if (!coverage_decides(branch.all, fields)) return false;
    return true;
}

void unite(std::vector<bool>& into, const std::vector<bool>& from)
{
    for (std::size_t i = 0; i < from.size(); ++i)
        if (from[i]) into[i] = true;
}

bool within(const std::vector<bool>& less, const std::vector<bool>& more)
{
    for (std::size_t i = 0; i < less.size(); ++i)
        if (less[i] && !more[i]) return false;
    return true;
}

template <class Outcome>
void keep_best(std::vector<Outcome>& all, Outcome one)
{
    for (const Outcome& other : all)
        if (within(one.witnessed, other.witnessed)) return;
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const Outcome& o) { return within(o.witnessed, one.witnessed); }),
              all.end());
    all.push_back(std::move(one));
}

void append(Trace& into, const Trace& from)
{
    into.fields.insert(into.fields.end(), from.fields.begin(), from.fields.end());
    into.branches.insert(into.branches.end(), from.branches.begin(), from.branches.end());
    into.elements.insert(into.elements.end(), from.elements.begin(), from.elements.end());
}

template <class Outcome>
std::vector<Outcome> both(const std::vector<Outcome>& one, const std::vector<Outcome>& other)
{
    std::vector<Outcome> all;
    for (const Outcome& a : one)
        for (const Outcome& b : other) {
            Outcome together = a;
            unite(together.witnessed, b.witnessed);
            append(together.trace, b.trace);
            keep_best(all, std::move(together));
        }
    return all;
}

}  // namespace

bool Evaluator::run_by_search() { return !search(body_.root, {0}, {}).empty(); }

Held Evaluator::mixed(const Conjunction& all, std::uint32_t node)
{
    Trace* const trace = trace_;
    trace_ = nullptr;  // the search keeps its own
    const auto outcomes = choose(all, {{node, 0}}, {});
    trace_ = trace;
    if (outcomes.empty()) return Held::no;
    if (trace_ != nullptr) append(*trace_, outcomes.front().trace);
    return outcomes.front().witnessed[0] ? Held::witnessed : Held::absent;
}

/// What can be had of `all` when exactly `actives` may hold witnesses; `passives` are the elements
/// of arrays of which none is chosen: they only stand in the way of absence.
std::vector<Evaluator::Outcome> Evaluator::search(const Conjunction& all,
                                                  const std::vector<std::uint32_t>& actives,
                                                  const std::vector<std::uint32_t>& passives)
{
    const std::vector<bool> nothing(actives.size(), false);
    std::vector<Outcome> outcomes{{nothing, {}}};
    for (const auto& part : all.parts) {
        std::vector<Active> nodes;
        std::vector<std::uint32_t> passive_nodes;
        for (std::size_t i = 0; i < actives.size(); ++i)
            if (const auto node = projection_.child(actives[i], part.position); node != none)
                nodes.push_back({node, i});
        for (const std::uint32_t object : passives)
            if (const auto node = projection_.child(object, part.position); node != none)
                passive_nodes.push_back(node);
        if (part.field != none) {
            const Field& field = body_.fields[part.field];
            std::vector<Outcome> options;
            std::vector<std::uint32_t> in_the_way = passive_nodes;
            for (const Active& at : nodes) {
                in_the_way.push_back(at.node);
                const std::uint32_t leaf = witness(field, at.node);
                if (leaf == none) continue;
                Outcome one{nothing, {{{part.field, leaf}}, {}, {}}};
                one.witnessed[at.origin] = true;
                keep_best(options, std::move(one));
            }
            if (field.may_be_absent() && absent(field, in_the_way))
                keep_best(options, Outcome{nothing, {{{part.field, none}}, {}, {}}});
            outcomes = both(outcomes, options);
        }
        if (part.below && !outcomes.empty()) {
            auto options = choose(*part.below, nodes, passive_nodes);
            for (Outcome& option : options) option.witnessed.resize(actives.size(), false);
            outcomes = both(outcomes, options);
        }
        if (outcomes.empty()) return outcomes;
    }
    for (const auto& either : all.alternatives) {
        std::vector<Outcome> options;
        for (const Branch& branch : either.branches)
            for (Outcome& one : search(branch.all, actives, passives)) {
                one.trace.branches.insert(one.trace.branches.end(), branch.labels.begin(),
                                          branch.labels.end());
                keep_best(options, std::move(one));
            }
        outcomes = both(outcomes, options);
        if (outcomes.empty()) break;
    }
    return outcomes;
}

/// One choice for each array among `nodes`; outcomes are by origin.
std::vector<Evaluator::Outcome> Evaluator::choose(const Conjunction& all,
                                                  const std::vector<Active>& nodes,
                                                  const std::vector<std::uint32_t>& passives)
{
    Search search{all, 1, {}, {}, {}, {}, {}, {}, {}, 0, coverage_decides(all, body_.fields), {}};
    std::vector<bool> covered(body_.fields.size(), false);
    for (const Active& active : nodes) {
        search.origins = std::max(search.origins, active.origin + 1);
        const auto& at = projection_.node(active.node);
        if (at.direct != none) {
            search.actives.push_back(at.direct);
            search.origin_of.push_back(active.origin);
            search.needs_witness.push_back(false);
            cover(all, at.direct, covered);
        }
        if (at.element_first == none) continue;
        Array array{active.node, active.origin, distinct_elements(all, active.node), {}, {}};
        for (const std::uint32_t element : array.elements) {
            array.covered.emplace_back(body_.fields.size(), false);
            cover(all, element, array.covered.back());
        }
        search.arrays.push_back(std::move(array));
    }
    for (const std::uint32_t node : passives) {
        const auto& at = projection_.node(node);
        if (at.direct != none) search.passives.push_back(at.direct);
        for (auto e = at.element_first; e != none; e = projection_.object(e).next)
            search.passives.push_back(e);
    }
    std::vector<bool> reachable(body_.fields.size(), false);
    for (std::size_t i = search.arrays.size(); i-- > 0;) {
        for (const auto& one : search.arrays[i].covered) unite(reachable, one);
        search.arrays[i].reachable = reachable;
    }
    search.covered.push_back(std::move(covered));
    choose_next(search, 0);
    return std::move(search.found);
}

void Evaluator::choose_next(Search& search, std::size_t index)
{
    std::vector<bool> hoped = search.covered.back();
    if (index < search.arrays.size()) unite(hoped, search.arrays[index].reachable);
    if (!possible(search.all, hoped)) return;
    const auto state = std::make_pair(index, search.covered.back());
    if (search.coverage_decides && search.hopeless.count(state) != 0) return;
    const std::size_t before_successes = search.successes;

    if (index == search.arrays.size()) {
        for (Outcome& one : this->search(search.all, search.actives, search.passives)) {
            if (!within(search.needs_witness, one.witnessed)) continue;
            ++search.successes;
            Outcome above{std::vector<bool>(search.origins, false), std::move(one.trace)};
            for (std::size_t i = 0; i < search.actives.size(); ++i) {
                if (one.witnessed[i]) above.witnessed[search.origin_of[i]] = true;
                if (search.needs_witness[i])
                    above.trace.elements.push_back(projection_.object(search.actives[i]).value);
            }
            keep_best(search.found, std::move(above));
        }
        return;
    }
    const auto complete = [&] {
        return std::any_of(search.found.begin(), search.found.end(), [](const Outcome& o) {
            return std::find(o.witnessed.begin(), o.witnessed.end(), false) == o.witnessed.end();
        });
    };
    const Array& array = search.arrays[index];
    for (std::size_t i = 0; i < array.elements.size() && !complete(); ++i) {
        if (std::find(array.covered[i].begin(), array.covered[i].end(), true) == array.covered[i].end())
            continue;  // no witness can lie in it
        search.actives.push_back(array.elements[i]);
        search.origin_of.push_back(array.origin);
        search.needs_witness.push_back(true);
        search.covered.push_back(search.covered.back());
        unite(search.covered.back(), array.covered[i]);
        choose_next(search, index + 1);
        search.covered.pop_back();
        search.needs_witness.pop_back();
        search.origin_of.pop_back();
        search.actives.pop_back();
    }
    if (complete()) return;
    const std::size_t before = search.passives.size();
    search.passives.insert(search.passives.end(), array.elements.begin(), array.elements.end());
    choose_next(search, index + 1);
    search.passives.resize(before);
    if (search.coverage_decides && search.successes == before_successes)
        search.hopeless.insert(state);
}

/// Marks the fields of `all` that have a witness somewhere in `object`, whatever is chosen.
void Evaluator::cover(const Conjunction& all, std::uint32_t object, std::vector<bool>& out) const
{
    for (const auto& part : all.parts) {
        const std::uint32_t node = projection_.child(object, part.position);
        if (node == none) continue;
        if (part.field != none && !out[part.field] && witness(body_.fields[part.field], node) != none)
            out[part.field] = true;
        if (!part.below) continue;
        const auto& at = projection_.node(node);
        if (at.direct != none) cover(*part.below, at.direct, out);
        for (auto e = at.element_first; e != none; e = projection_.object(e).next)
            cover(*part.below, e, out);
    }
    for (const auto& either : all.alternatives)
        for (const Branch& branch : either.branches) cover(branch.all, object, out);
}

bool Evaluator::possible(const Conjunction& all, const std::vector<bool>& covered) const
{
    for (const auto& part : all.parts) {
        if (part.field != none && !covered[part.field] && !body_.fields[part.field].may_be_absent())
            return false;
        if (part.below && !possible(*part.below, covered)) return false;
    }
    return std::all_of(all.alternatives.begin(), all.alternatives.end(), [&](const Alternatives& either) {
        return std::any_of(either.branches.begin(), either.branches.end(),
                           [&](const Branch& branch) { return possible(branch.all, covered); });
    });
}

/// Everything the pattern can tell about `object`: equal texts, equal answers.
void Evaluator::describe(const Conjunction& all, std::uint32_t object, std::string& out) const
{
    for (const auto& part : all.parts) {
        const std::uint32_t node = projection_.child(object, part.position);
        if (node == none) {
            out += '-';
            continue;
        }
        if (part.field != none) {
            const Field& field = body_.fields[part.field];
            out += witness(field, node) != none ? 'w' : 'n';
            out += projection_.node(node).leaf_first != none ? 'l' : 'e';
            for (const auto& items : field.none_of) {
                Field one;
                one.none_of.push_back(items);
                out += absent(one, {node}) ? 'a' : 'b';
            }
        }
        if (!part.below) continue;
        const auto& at = projection_.node(node);
        out += '{';
        if (at.direct != none) describe(*part.below, at.direct, out);
        out += '|';
        std::set<std::string> elements;
        for (auto e = at.element_first; e != none; e = projection_.object(e).next) {
            std::string one;
            describe(*part.below, e, one);
            elements.insert(std::move(one));
        }
        for (const std::string& one : elements) out += one + ",";
        out += '}';
    }
    for (const auto& either : all.alternatives)
        for (const Branch& branch : either.branches) {
            out += '(';
            describe(branch.all, object, out);
            out += ')';
        }
}

std::vector<std::uint32_t> Evaluator::distinct_elements(const Conjunction& all, std::uint32_t node) const
{
    std::set<std::string> seen;
    std::vector<std::uint32_t> elements;
    for (auto e = projection_.node(node).element_first; e != none; e = projection_.object(e).next) {
        std::string text;
        describe(all, e, text);
        if (seen.insert(std::move(text)).second) elements.push_back(e);
    }
    return elements;
}

}  // namespace eventyard::rules
