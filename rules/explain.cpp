#include "rules/explain.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "rules/evaluate.hpp"

namespace eventyard::rules {
namespace {

constexpr std::size_t seen_max = 10;
constexpr std::size_t shown_bytes_max = 200;

/// What became of the fields under one choice of branches and elements.
struct Near {
    struct Seen {
        std::uint32_t field = none;
        std::uint32_t leaf = none;  // the witness
        bool held = false;
    };
    std::size_t failures = 0;
    std::size_t witnesses = 0;
    std::vector<Seen> fields;
    std::vector<std::string> branches;
    std::vector<std::uint32_t> elements;

    void add(Near other)
    {
        failures += other.failures;
        witnesses += other.witnesses;
        fields.insert(fields.end(), other.fields.begin(), other.fields.end());
        branches.insert(branches.end(), other.branches.begin(), other.branches.end());
        elements.insert(elements.end(), other.elements.begin(), other.elements.end());
    }
    [[nodiscard]] bool nearer_than(const Near& other) const noexcept
    {
        return failures != other.failures ? failures < other.failures : witnesses > other.witnesses;
    }
};

class Explainer {
public:
    Explainer(const Pattern::Body& body, const json::Document& event) : body_(body), event_(event)
    {
        projection_.build(body.positions, event);
    }

    Explanation run()
    {
        Explanation out;
        Trace trace;
        out.matched = Evaluator(body_, event_, projection_, &trace).run();
        Near near;
        if (out.matched) {
            for (const auto& one : trace.fields) near.fields.push_back({one.field, one.leaf, true});
            near.branches = trace.branches;
            near.elements = trace.elements;
        } else {
            near = nearest(body_.root, {0}, {});
        }
        std::stable_sort(near.fields.begin(), near.fields.end(),
                         [](const auto& a, const auto& b) { return a.field < b.field; });
        for (const auto& one : near.fields) out.fields.push_back(verdict(one));
        if (!out.matched && near.failures == 0 && !out.fields.empty()) {
            out.fields.back().held = false;
            out.fields.back().witness.clear();
            out.fields.back().reason = "held, but no one choice of array elements serves all fields";
        }
        out.or_branches = near.branches;
        std::sort(out.or_branches.begin(), out.or_branches.end());
        std::sort(near.elements.begin(), near.elements.end());
        for (const std::uint32_t value : near.elements) out.elements.push_back(place(value));
        return out;
    }

private:
    using Ids = std::vector<std::uint32_t>;

    [[nodiscard]] Ids children(const Ids& objects, std::uint32_t position) const
    {
        Ids nodes;
        for (const std::uint32_t object : objects)
            if (const auto node = projection_.child(object, position); node != none) nodes.push_back(node);
        return nodes;
    }

    Ids elements(std::uint32_t node) const
    {
        Ids list;
        for (auto e = projection_.node(node).element_first; e != none; e = projection_.object(e).next)
            list.push_back(e);
        return list;
    }

    /// The branches and elements under which most fields hold; a greedy guess where one path is
    /// object and array at once.
    Near nearest(const Conjunction& all, const Ids& actives, const Ids& passives)
    {
        Near near;
        for (const auto& part : all.parts) {
            const Ids nodes = children(actives, part.position);
            const Ids others = children(passives, part.position);
            if (part.field != none) near.add(field(part.field, nodes, others));
            if (part.below) near.add(below(*part.below, nodes, others));
        }
        for (const auto& either : all.alternatives) {
            Near best;
            bool first = true;
            for (const Branch& branch : either.branches) {
                Near one = nearest(branch.all, actives, passives);
                one.branches.insert(one.branches.end(), branch.labels.begin(), branch.labels.end());
                if (first || one.nearer_than(best)) best = std::move(one);
                first = false;
            }
            near.add(std::move(best));
        }
        return near;
    }

    Near field(std::uint32_t index, Ids nodes, const Ids& others)
    {
        const Field& field = body_.fields[index];
        Near near;
        Near::Seen seen{index, none, false};
        for (const std::uint32_t node : nodes)
            if (seen.leaf == none) seen.leaf = evaluator_.witness(field, node);
        seen.held = seen.leaf != none;
        near.witnesses = seen.held ? 1 : 0;
        if (!seen.held && field.may_be_absent()) {
            nodes.insert(nodes.end(), others.begin(), others.end());
            seen.held = evaluator_.absent(field, nodes);
        }
        near.failures = seen.held ? 0 : 1;
        near.fields.push_back(seen);
        return near;
    }

    Near below(const Conjunction& all, const Ids& nodes, const Ids& others)
    {
        Ids actives;
        Ids passives;
        Ids choices;
        for (const std::uint32_t node : others) {
            if (projection_.node(node).direct != none) passives.push_back(projection_.node(node).direct);
            for (const std::uint32_t e : elements(node)) passives.push_back(e);
        }
        for (const std::uint32_t node : nodes) {
            if (projection_.node(node).direct != none) actives.push_back(projection_.node(node).direct);
            Ids here = elements(node);
            if (choices.empty()) choices = std::move(here);
            else passives.insert(passives.end(), here.begin(), here.end());
        }
        Ids unchosen = passives;
        unchosen.insert(unchosen.end(), choices.begin(), choices.end());
        Near best = nearest(all, actives, unchosen);
        for (const std::uint32_t element : choices) {
            Ids with = actives;
            with.push_back(element);
            Near one = nearest(all, with, passives);
            if (one.witnesses == 0) continue;  // nothing chooses it
            one.elements.push_back(projection_.object(element).value);
            if (one.nearer_than(best)) best = std::move(one);
        }
        return best;
    }

    /// All nodes at the field's path.
    Ids nodes_at(const std::string& path) const
    {
        Ids objects{0};
        Ids nodes;
        std::uint32_t position = 0;
        for (std::string_view rest = path;;) {
            const auto dot = rest.find('.');
            position = body_.positions[position].child(rest.substr(0, dot));
            nodes = children(objects, position);
            if (dot == std::string_view::npos) return nodes;
            rest.remove_prefix(dot + 1);
            objects.clear();
            for (const std::uint32_t node : nodes) {
                if (projection_.node(node).direct != none) objects.push_back(projection_.node(node).direct);
                const Ids more = elements(node);
                objects.insert(objects.end(), more.begin(), more.end());
            }
        }
    }

    Ids leaves_at(const Ids& nodes) const
    {
        Ids leaves;
        for (const std::uint32_t node : nodes)
            for (auto at = projection_.node(node).leaf_first; at != none; at = projection_.leaf(at).next)
                leaves.push_back(projection_.leaf(at).value);
        std::sort(leaves.begin(), leaves.end());
        return leaves;
    }

    /// Where a value stands: "detail.items[2].id". `array`, if given, gets the innermost array.
    std::string place(std::uint32_t value, std::string* array = nullptr) const
    {
        const auto& values = event_.values();
        std::string text;
        for (std::uint32_t at = 0; at != value;) {
            const bool in_array = values[at].kind == json::Kind::array;
            std::uint32_t index = 0;
            std::uint32_t child = at + 1;
            for (; values[child].next <= value; child = values[child].next) ++index;
            if (in_array) {
                if (array != nullptr && values[child].kind != json::Kind::array &&
                    child != value)
                    *array = text;
                text += fmt::format("[{}]", index);
            } else {
                if (at != 0) text += '.';
                text += values[child].key;
            }
            at = child;
        }
        return text;
    }

    std::string shown(std::uint32_t value) const
    {
        std::string text(event_.source(event_.values()[value]));
        if (text.size() <= shown_bytes_max) return text;
        std::size_t cut = shown_bytes_max;
        while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
        return text.substr(0, cut) + "...";
    }

    FieldVerdict verdict(const Near::Seen& seen) const
    {
        const Field& field = body_.fields[seen.field];
        FieldVerdict out;
        out.path = field.path;
        out.wanted = field.wanted;
        out.held = seen.held;
        const Ids nodes = nodes_at(field.path);
        const Ids leaves = leaves_at(nodes);
        for (const std::uint32_t leaf : leaves) {
            if (out.seen.size() == seen_max) {
                out.seen.push_back(fmt::format("... {} more", leaves.size() - seen_max));
                break;
            }
            out.seen.push_back(shown(leaf));
        }
        if (seen.leaf != none) out.witness = place(seen.leaf) + " = " + shown(seen.leaf);
        if (!seen.held) out.reason = reason(field, nodes, leaves);
        return out;
    }

    std::string reason(const Field& field, const Ids& nodes, const Ids& leaves) const
    {
        if (leaves.empty()) return "no value at the path";
        for (const std::uint32_t node : nodes) {
            const std::uint32_t leaf = evaluator_.witness(field, node);
            if (leaf == none) continue;
            std::string array;
            (void)place(leaf, &array);
            return array.empty() ? "held, but not together with the other fields"
                                 : "held, but only in another element of " + array;
        }
        if (field.any.empty() && field.all_of.empty()) return in_the_way(field, leaves);
        std::string text;
        if (field.any.size() == 1 && field.all_of.empty()) {
            for (std::size_t i = 0; i < std::min<std::size_t>(leaves.size(), 3); ++i)
                text += (i == 0 ? "" : "; ") +
                        why_not(field.any.front(), shown(leaves[i]), event_.values()[leaves[i]]);
            if (leaves.size() > 3) text += fmt::format("; nor do {} more values fit", leaves.size() - 3);
        } else if (field.any.empty() && field.all_of.size() == 1) {
            text = missing(field.all_of.front(), leaves);
        } else {
            text = leaves.size() == 1 ? shown(leaves.front()) + " satisfies none of the items"
                                      : fmt::format("none of {} values satisfies any of the items", leaves.size());
        }
        if (field.may_be_absent()) text += ", and " + in_the_way(field, leaves);
        return text;
    }

    std::string missing(const std::vector<Matcher>& all, const Ids& leaves) const
    {
        for (const Matcher& matcher : all)
            if (std::none_of(leaves.begin(), leaves.end(),
                             [&](auto leaf) { return matcher.matches(event_.values()[leaf]); }))
                return "no value satisfies " + matcher.text + " of all-of";
        return "the items of all-of are not satisfied in one place";
    }

    std::string in_the_way(const Field& field, const Ids& leaves) const
    {
        if (field.none_of.empty())
            return "a value is there: " + place(leaves.front()) + " = " + shown(leaves.front());
        for (const std::uint32_t leaf : leaves)
            for (const auto& items : field.none_of)
                for (const Matcher& matcher : items)
                    if (matcher.matches(event_.values()[leaf]))
                        return fmt::format("{} = {} satisfies {} of none-of", place(leaf), shown(leaf),
                                           matcher.text);
        return "a value is there: " + place(leaves.front()) + " = " + shown(leaves.front());
    }

    const Pattern::Body& body_;
    const json::Document& event_;
    Projection projection_;
    Evaluator evaluator_{body_, event_, projection_, nullptr};
};

}  // namespace

Explanation explain(const Pattern& pattern, const json::Document& event)
{
    return Explainer(pattern.body(), event).run();
}

}  // namespace eventyard::rules
