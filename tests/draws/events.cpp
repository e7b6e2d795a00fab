#include "tests/draws/events.hpp"

#include <algorithm>

#include "tests/draws/pools.hpp"

namespace eventyard::draws {
namespace {

using Kind = Tree::Kind;

/// What shall stand at one name: values of its own, and names below it.
struct Spot {
    std::string name;
    std::vector<Tree> values;
    std::vector<std::pair<std::size_t, std::size_t>> fields;  // aim, field of the aim
    std::vector<Spot> below;

    Spot& at(const std::string& wanted)
    {
        for (Spot& spot : below)
            if (spot.name == wanted) return spot;
        below.push_back({wanted, {}, {}, {}});
        return below.back();
    }
};

class Builder {
public:
    Builder(const Vocabulary& words, Dice& random) : words_(words), random_(random) {}

    AimedEvent made;

    /// Puts what `pattern` wants below `root`, with one branch of each `$or`.
    /// @param spoiled  how many of its fields get a value that nearly satisfies them
    void want(const Tree& pattern, std::uint32_t rule, std::size_t spoiled, Spot& root)
    {
        made.aims.push_back({rule, {}});
        asked_.clear();
        root_ = &root;
        object(pattern, root, {});
        for (; spoiled > 0 && !asked_.empty(); --spoiled) asked_[random_.below(asked_.size())].spoiled = true;
        for (const Asked& asked : asked_) fill(asked);
    }

    Tree object_of(const Spot& spot, std::uint32_t arrays)
    {
        Tree out = Tree::object();
        for (const Spot& child : spot.below) members(child, arrays, out);
        if (random_.below(4) == 0) noise(out);
        if (random_.chance(40)) random_.shuffle(out.items);
        return out;
    }

private:
    struct Asked {
        std::vector<std::string> path;
        const Tree* item;
        bool spoiled;
    };

    void object(const Tree& pattern, Spot& spot, const std::vector<std::string>& path)
    {
        for (const Tree& member : pattern.items) {
            if (member.key == "$or") {
                const bool lists = !member.items.empty() && member.items.front().is(Kind::array);
                if (!lists) either(member, spot, path);
                else for (const Tree& one : member.items) either(one, spot, path);
                continue;
            }
            Spot* at = &spot;
            std::vector<std::string> inner = path;
            for (std::string& name : names_of(member.key)) {
                at = &at->at(name);
                inner.push_back(std::move(name));
            }
            if (member.is(Kind::object)) object(member, *at, inner);
            else if (!member.items.empty()) field(member, *at, std::move(inner));
        }
    }

    void either(const Tree& branches, Spot& spot, const std::vector<std::string>& path)
    {
        if (!branches.items.empty()) object(random_.pick(branches.items), spot, path);
    }

    void field(const Tree& list, Spot& spot, std::vector<std::string> path)
    {
        const Tree& item = random_.pick(list.items);
        Aim& aim = made.aims.back();
        spot.fields.emplace_back(made.aims.size() - 1, aim.fields.size());
        aim.fields.push_back({form_of(item), 0});
        asked_.push_back({std::move(path), &item, false});
    }

    void fill(const Asked& asked)
    {
        Spot* spot = root_;
        for (const std::string& name : asked.path) spot = &spot->at(name);
        const Form form = form_of(*asked.item);
        const auto put = [&](Tree value) { spot->values.push_back(std::move(value)); };
        if (form == Form::exists_false) {
            if (asked.spoiled) put(draw_scalar(words_, random_));
        } else if (form == Form::exists_true) {
            if (!asked.spoiled) put(draw_scalar(words_, random_));
        } else if (form == Form::all_of) {
            const auto& all = asked.item->items.front().items;
            const std::size_t missed = asked.spoiled ? random_.below(all.size()) : all.size();
            for (std::size_t i = 0; i < all.size(); ++i)
                put(i == missed ? near_miss(all[i], words_, random_) : witness(all[i], words_, random_));
        } else if (form == Form::none_of) {
            const Tree& one = random_.pick(asked.item->items.front().items);
            if (asked.spoiled) put(witness(one, words_, random_));
            else if (random_.chance(60)) put(near_miss(one, words_, random_));
        } else {
            put(asked.spoiled ? near_miss(*asked.item, words_, random_) : witness(*asked.item, words_, random_));
        }
    }

    void noise(Tree& object)
    {
        const auto& path = random_.pick(words_.paths);
        Tree value = random_.chance(75) ? draw_scalar(words_, random_)
                     : random_.chance(50)
                         ? Tree::array({draw_scalar(words_, random_), Tree::object(random_.pick(path), draw_scalar(words_, random_))})
                         : Tree::object(random_.pick(path), draw_scalar(words_, random_));
        object.add(random_.chance(60) ? random_.pick(path) : random_.pick(name_pool()), std::move(value));
    }

    Tree decoy(const Tree& object)
    {
        Tree other = object;
        for (std::size_t n = random_.between(1, 4); n > 0; --n) mutate(other, words_.paths, words_, random_);
        return other;
    }

    /// The object for the names below `spot`, maybe within an array.
    Tree below(const Spot& spot, std::uint32_t arrays)
    {
        const std::size_t style = random_.below(100);
        if (style >= words_.array_percent) return object_of(spot, arrays);
        Tree object = object_of(spot, arrays + 1);
        Tree list = Tree::array();
        for (std::size_t n = random_.below(3); n > 0; --n) list.items.push_back(decoy(object));
        const std::size_t at = random_.below(list.items.size() + 1);
        list.items.insert(list.items.begin() + static_cast<std::ptrdiff_t>(at), std::move(object));
        if (style % 8 == 0) {
            Tree inner = Tree::array({std::move(list.items[at])});
            list.items[at] = std::move(inner);
        }
        return list;
    }

    void members(const Spot& spot, std::uint32_t arrays, Tree& out)
    {
        for (const auto& [aim, field] : spot.fields) made.aims[aim].fields[field].arrays = arrays;
        std::vector<Tree> parts;
        for (const Tree& value : spot.values) {
            Tree& part = parts.emplace_back(value);
            if (part.is(Kind::string) && random_.below(25) == 0) part.spelled = spell_oddly(part.text, random_);
        }
        if (!spot.below.empty()) parts.push_back(below(spot, arrays));
        if (parts.empty()) {
            const std::size_t kind = random_.below(10);  // nothing, or what counts as nothing
            if (kind == 0) parts.push_back(Tree::array());
            else if (kind == 1) parts.push_back(Tree::object());
            else if (kind == 2) parts.push_back(Tree::array({Tree::object(), Tree::array()}));
            else return;
        }
        if (parts.size() > 1 && random_.chance(75)) {
            Tree list = Tree::array();
            for (Tree& part : parts) {
                if (part.is(Kind::array) && random_.chance(60))
                    std::move(part.items.begin(), part.items.end(), std::back_inserter(list.items));
                else
                    list.items.push_back(std::move(part));
            }
            if (random_.chance(40)) random_.shuffle(list.items);
            parts.clear();
            parts.push_back(std::move(list));
        } else if (parts.size() == 1 && parts.front().is_scalar() && random_.chance(20)) {
            Tree list = Tree::array({std::move(parts.front())});
            for (std::size_t n = random_.below(3); n > 0; --n) list.items.push_back(draw_scalar(words_, random_));
            if (random_.chance(25)) list.items.front() = Tree::array({std::move(list.items.front())});
            random_.shuffle(list.items);
            parts.front() = std::move(list);
        }
        for (Tree& part : parts) member(spot.name, std::move(part), out);
    }

    /// One value under one name: sometimes spelled with dots, or cut in two under one key.
    void member(const std::string& name, Tree value, Tree& out)
    {
        if (value.is(Kind::object) && random_.chance(words_.odd_percent)) {
            for (Tree& inner : value.items) {
                std::string key = name + "." + inner.key;
                out.add(std::move(key), std::move(inner));
            }
            return;
        }
        if ((value.is(Kind::object) || value.is(Kind::array)) && value.items.size() > 1 &&
            random_.chance(words_.odd_percent)) {
            Tree second = value;
            const auto half = static_cast<std::ptrdiff_t>(random_.below(value.items.size()));
            second.items.erase(second.items.begin(), second.items.begin() + half);
            value.items.erase(value.items.begin() + half, value.items.end());
            out.add(name, std::move(second));
        }
        out.add(name, std::move(value));
        if (random_.below(40) == 0) out.items.back().key_spelled = spell_oddly(name, random_);
    }

    const Vocabulary& words_;
    Dice& random_;
    std::vector<Asked> asked_;  // of the rule at hand
    Spot* root_ = nullptr;
};

struct Spotted {
    Tree* parent;
    std::size_t index;
    [[nodiscard]] Tree& value() const { return parent->items[index]; }
};

void collect(Tree& tree, std::vector<Spotted>& out)
{
    for (std::size_t i = 0; i < tree.items.size(); ++i) {
        out.push_back({&tree, i});
        collect(tree.items[i], out);
    }
}

/// Grows one array of the event to about `elements` objects.
void grow(Tree& event, std::size_t elements, const Vocabulary& words, Dice& random)
{
    std::vector<Spotted> all;
    collect(event, all);
    std::vector<Tree*> arrays;
    for (const Spotted& one : all)
        if (one.value().is(Kind::array) && !one.value().items.empty()) arrays.push_back(&one.value());
    if (arrays.empty()) {
        if (event.items.empty()) return;
        Tree& value = random.pick(all).value();
        Tree inner = value;
        Tree list = Tree::array({std::move(inner)});
        list.key = value.key;
        value = std::move(list);
        arrays.push_back(&value);
    }
    Tree& list = *random.pick(arrays);
    const std::vector<Tree> seeds = list.items;
    const std::size_t at = random.below(elements + 1);
    std::vector<Tree> grown;
    for (std::size_t i = 0; i < elements; ++i) {
        if (i == at) grown.insert(grown.end(), seeds.begin(), seeds.end());
        Tree other = random.pick(seeds);
        if (random.chance(80)) mutate(other, words.paths, words, random);
        grown.push_back(std::move(other));
    }
    list.items = std::move(grown);
}

}  // namespace

void mutate(Tree& event, const std::vector<std::vector<std::string>>& paths, const Vocabulary& words, Dice& random)
{
    std::vector<Spotted> all;
    collect(event, all);
    const std::size_t kind = all.empty() ? 9 : random.below(16);
    if (all.empty() && !event.is(Kind::object)) return;
    if (kind == 9 || kind == 10) {  // a value where a field looks
        Tree* at = &event;
        const auto& path = random.pick(paths);
        if (!event.is(Kind::object)) {
            event.items.push_back(draw_scalar(words, random));
            return;
        }
        for (std::size_t i = 0; i + 1 < path.size(); ++i) {
            Tree* next = nullptr;
            for (Tree& item : at->items)
                if (item.key == path[i]) next = &item;
            if (next == nullptr) {
                at->add(path[i], Tree::object());
                next = &at->items.back();
            }
            if (next->is(Kind::array) && !next->items.empty()) next = &next->items[random.below(next->items.size())];
            if (!next->is(Kind::object)) break;
            at = next;
        }
        Tree value = draw_scalar(words, random);
        if (random.chance(20)) value = Tree::array({std::move(value)});
        at->add(path.back(), std::move(value));
        return;
    }
    const Spotted one = random.pick(all);
    Tree& value = one.value();
    Tree& parent = *one.parent;
    const auto replace = [&](Tree made) {
        made.key = value.key;
        made.key_spelled = value.key_spelled;
        value = std::move(made);
    };
    switch (kind) {
        case 4: parent.items.erase(parent.items.begin() + static_cast<std::ptrdiff_t>(one.index)); return;
        case 5: {  // once more, a little different: a repeated key, or another element
            Tree copy = value;
            if (copy.is_scalar()) copy = changed(copy, words, random);
            else if (!copy.items.empty()) mutate(copy, paths, words, random);
            copy.key = value.key;
            parent.items.push_back(std::move(copy));
            return;
        }
        case 6: replace(Tree::array({value})); return;
        case 7: {  // to a neighbour, as from one element of an array to the next
            if (!value.is(Kind::object) || value.items.empty()) break;
            Tree& other = random.pick(all).value();
            if (&other == &value || !other.is(Kind::object)) break;
            const Tree moved = random.pick(value.items);
            // Either may hold the other, so nothing is removed before the copy is in place.
            other.items.push_back(moved);
            return;
        }
        case 8:
            if (!parent.is(Kind::object)) break;
            value.key = random.chance(70) ? random.pick(random.pick(paths)) : random.pick(name_pool());
            value.key_spelled.clear();
            return;
        case 11:
            if (!value.is(Kind::array) || value.items.empty()) break;
            {
                Tree first = random.pick(value.items);
                replace(std::move(first));
            }
            return;
        case 12: std::swap(parent.items[one.index], parent.items[random.below(parent.items.size())]);
            return;
        case 13: {  // from nested to dotted
            if (!parent.is(Kind::object) || !value.is(Kind::object)) break;
            std::vector<Tree> inner = value.items;
            const std::string name = value.key;
            parent.items.erase(parent.items.begin() + static_cast<std::ptrdiff_t>(one.index));
            for (Tree& member : inner) {
                std::string key = name + "." + member.key;
                parent.add(std::move(key), std::move(member));
            }
            return;
        }
        case 14:
            if (value.is(Kind::string)) value.spelled = spell_oddly(value.text, random);
            if (parent.is(Kind::object)) value.key_spelled = spell_oddly(value.key, random);
            return;
        default: break;
    }
    // A scalar: the one picked, or any.
    if (value.is_scalar()) {
        replace(changed(value, words, random));
        return;
    }
    std::vector<Tree*> scalars;
    for (const Spotted& other : all)
        if (other.value().is_scalar()) scalars.push_back(&other.value());
    if (!scalars.empty()) {
        Tree& scalar = *random.pick(scalars);
        scalar = changed(scalar, words, random);
    }
}

AimedEvent draw_event(const std::vector<Tree>& patterns, const std::vector<std::uint32_t>& aimed,
                      const Vocabulary& words, const EventOptions& options, Dice& random)
{
    Builder builder(words, random);
    Spot root;
    const bool together = random.chance(60);
    Tree event = Tree::object();
    std::size_t elsewhere = 0;  // changes of the whole event
    for (const std::uint32_t rule : aimed) {
        std::size_t spoiled = 0;
        for (std::size_t n = random.chance(words.spoiled_percent) ? random.between(1, 2) : 0; n > 0; --n) ++(random.chance(80) ? spoiled : elsewhere);
        builder.want(patterns[rule], rule, std::min(spoiled, options.mutations_max), root);
        if (together) continue;
        Tree one = builder.object_of(root, 0);
        std::move(one.items.begin(), one.items.end(), std::back_inserter(event.items));
        root = {};
    }
    if (together) event = builder.object_of(root, 0);
    if (options.elements > 0) grow(event, options.elements, words, random);
    for (std::size_t n = std::min(elsewhere, options.mutations_max); n > 0; --n) mutate(event, words.paths, words, random);
    builder.made.event = std::move(event);
    return std::move(builder.made);
}

}  // namespace eventyard::draws
