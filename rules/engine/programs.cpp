#include "rules/engine/programs.hpp"

#include <algorithm>

#include "core/huge_pages.hpp"
#include "rules/engine/hash.hpp"

namespace eventyard::rules {

/// A list as stored: exists-false, then any, all-of and none-of, each with its count before it.
class Programs::ListReader {
public:
    explicit ListReader(const std::uint32_t* at) : at_(at) {}
    std::uint32_t take() noexcept { return *at_++; }
    struct Span {
        const std::uint32_t* first;
        std::uint32_t size;
        [[nodiscard]] const std::uint32_t* begin() const noexcept { return first; }
        [[nodiscard]] const std::uint32_t* end() const noexcept { return first + size; }
    };
    Span span() noexcept
    {
        const std::uint32_t size = *at_++;
        const std::uint32_t* const first = at_;
        at_ += size;
        return {first, size};
    }

private:
    const std::uint32_t* at_;
};

Tree Tree::clone() const
{
    Tree copy;
    for (const Part& part : parts)
        copy.parts.push_back({part.position, part.field, part.absentable, part.slot,
                              part.below ? std::make_unique<Tree>(part.below->clone()) : nullptr});
    for (const auto& branches : alternatives) {
        auto& into = copy.alternatives.emplace_back();
        for (const Tree& branch : branches) into.push_back(branch.clone());
    }
    return copy;
}

std::uint32_t Programs::add_list(const ItemList& list)
{
    if (list.any.size() == 1 && list.all_of.empty() && list.none_of.empty() && !list.exists_false)
        return list.any.front();
    const auto slot = static_cast<std::uint32_t>(lists_.size()) | list_bit;
    const auto put = [this](const std::vector<std::uint32_t>& items) {
        lists_.push_back(static_cast<std::uint32_t>(items.size()));
        lists_.insert(lists_.end(), items.begin(), items.end());
    };
    lists_.push_back(list.exists_false ? 1 : 0);
    put(list.any);
    for (const auto* lists : {&list.all_of, &list.none_of}) {
        lists_.push_back(static_cast<std::uint32_t>(lists->size()));
        for (const auto& items : *lists) put(items);
    }
    return slot;
}

Programs::Witnesses Programs::witnesses(std::uint32_t slot) const
{
    if ((slot & list_bit) == 0) return {{slot}, {}};
    Witnesses out;
    ListReader list(&lists_[slot & ~list_bit]);
    list.take();
    const auto any = list.span();
    out.any.assign(any.begin(), any.end());
    for (std::uint32_t n = list.take(); n > 0; --n) {
        const auto all = list.span();
        out.all_of.emplace_back(all.begin(), all.end());
    }
    return out;
}

std::optional<std::uint32_t> Programs::only_absence(std::uint32_t program) const noexcept
{
    const Shape& shape = shapes_[words_[program + 1]];
    const std::uint32_t slot = words_[program + 2];
    if (shape.flat_count != 1 || shape.flat_either_count != 0 || is_predicate(slot)) return std::nullopt;
    const std::uint32_t* const list = &lists_[slot & ~list_bit];
    if (list[0] != 1 || list[1] != 0 || list[2] != 0 || list[3] != 0) return std::nullopt;
    return flat_[shape.flat_first].position;
}

// ---- building -----------------------------------------------------------------------------------

/// What two trees of one shape have in common; slots are left out.
void Programs::describe(const Tree& tree, std::vector<std::uint32_t>& out)
{
    out.push_back(static_cast<std::uint32_t>(tree.parts.size()));
    for (const auto& part : tree.parts) {
        append_part(out, part.position, part.field, part.absentable, part.below != nullptr);
        if (part.below) describe(*part.below, out);
    }
    out.push_back(static_cast<std::uint32_t>(tree.alternatives.size()));
    for (const auto& branches : tree.alternatives) {
        out.push_back(static_cast<std::uint32_t>(branches.size()));
        for (const Tree& branch : branches) describe(branch, out);
    }
}

namespace {

/// The slots of a tree's fields, in the order make_shape() counts them.
void collect_slots(const Tree& tree, std::vector<std::uint32_t>& out)
{
    for (const auto& part : tree.parts) {
        if (part.field) out.push_back(part.slot);
        if (part.below) collect_slots(*part.below, out);
    }
    for (const auto& branches : tree.alternatives)
        for (const Tree& branch : branches) collect_slots(branch, out);
}

}  // namespace

std::uint32_t Programs::make_shape(const Tree& tree, std::uint32_t& slot)
{
    Shape shape;
    std::vector<Part> parts;
    std::vector<Flat> flat;
    std::vector<Either> eithers, flat_eithers;
    for (const auto& part : tree.parts) {
        Part made{part.position, none, none};
        if (part.field) {
            made.slot = slot++;
            flat.push_back({part.position, made.slot, part.absentable});
            shape.may_be_absent = shape.may_be_absent && part.absentable;
        }
        if (part.below) {
            made.below = make_shape(*part.below, slot);
            const Shape& below = shapes_[made.below];
            shape.may_be_absent = shape.may_be_absent && below.may_be_absent;
            flat.insert(flat.end(), flat_.begin() + below.flat_first,
                        flat_.begin() + below.flat_first + below.flat_count);
            flat_eithers.insert(flat_eithers.end(), flat_eithers_.begin() + below.flat_either_first,
                                flat_eithers_.begin() + below.flat_either_first + below.flat_either_count);
        }
        parts.push_back(made);
    }
    for (const auto& branches : tree.alternatives) {
        std::vector<std::uint32_t> made;
        bool one_may_be_absent = false;
        for (const Tree& branch : branches) {
            made.push_back(make_shape(branch, slot));
            one_may_be_absent = one_may_be_absent || shapes_[made.back()].may_be_absent;
        }
        shape.may_be_absent = shape.may_be_absent && one_may_be_absent;
        eithers.push_back({static_cast<std::uint32_t>(branches_.size()), static_cast<std::uint32_t>(made.size())});
        branches_.insert(branches_.end(), made.begin(), made.end());
    }
    flat_eithers.insert(flat_eithers.end(), eithers.begin(), eithers.end());
    const auto append = [](auto& pool, const auto& items, std::uint32_t& first, std::uint32_t& count) {
        first = static_cast<std::uint32_t>(pool.size());
        count = static_cast<std::uint32_t>(items.size());
        pool.insert(pool.end(), items.begin(), items.end());
    };
    append(parts_, parts, shape.part_first, shape.part_count);
    append(eithers_, eithers, shape.either_first, shape.either_count);
    append(flat_, flat, shape.flat_first, shape.flat_count);
    append(flat_eithers_, flat_eithers, shape.flat_either_first, shape.flat_either_count);
    shapes_.push_back(shape);
    return static_cast<std::uint32_t>(shapes_.size() - 1);
}

namespace {

/// The tree of a description without alternatives.
Tree tree_of_description(const std::uint32_t*& at)
{
    Tree tree;
    for (std::uint32_t n = *at++; n > 0; --n) {
        Tree::Part part;
        part.position = *at++;
        const std::uint32_t flags = *at++;
        part.field = (flags & 1) != 0;
        part.absentable = (flags & 2) != 0;
        if ((flags & 4) != 0) part.below = std::make_unique<Tree>(tree_of_description(at));
        tree.parts.push_back(std::move(part));
    }
    ++at;  // no alternatives
    return tree;
}

std::uint64_t description_hash(const std::vector<std::uint32_t>& description) noexcept
{
    return hash_of({reinterpret_cast<const char*>(description.data()), description.size() * sizeof description[0]}, 0);
}

}  // namespace

std::uint32_t Programs::shape_of(const std::vector<std::uint32_t>& description, const Tree* tree)
{
    if (descriptions_.size() * 2 >= slots_.size()) {
        slots_.assign(std::max<std::size_t>(64, slots_.size() * 4), none);
        for (std::uint32_t i = 0; i < descriptions_.size(); ++i) {
            std::size_t at = description_hash(descriptions_[i]) & (slots_.size() - 1);
            while (slots_[at] != none) at = (at + 1) & (slots_.size() - 1);
            slots_[at] = i;
        }
    }
    std::size_t at = description_hash(description) & (slots_.size() - 1);
    for (; slots_[at] != none; at = (at + 1) & (slots_.size() - 1))
        if (descriptions_[slots_[at]] == description) return described_shapes_[slots_[at]];
    slots_[at] = static_cast<std::uint32_t>(descriptions_.size());
    std::uint32_t slot = 0;
    const std::uint32_t* words = description.data();
    described_shapes_.push_back(tree != nullptr ? make_shape(*tree, slot) : make_shape(tree_of_description(words), slot));
    shapes_[described_shapes_.back()].slots = slot;
    descriptions_.push_back(description);
    return described_shapes_.back();
}

std::uint32_t Programs::add(std::uint32_t rule, const Tree& tree)
{
    scratch_.clear();
    describe(tree, scratch_);
    const std::uint32_t shape = shape_of(scratch_, &tree);
    const auto program = static_cast<std::uint32_t>(words_.size());
    words_.push_back(rule);
    words_.push_back(shape);
    collect_slots(tree, words_);
    return program;
}

std::uint32_t Programs::add(std::uint32_t rule, const std::vector<std::uint32_t>& description,
                            const std::vector<std::uint32_t>& slots)
{
    const auto program = static_cast<std::uint32_t>(words_.size());
    words_.push_back(rule);
    words_.push_back(shape_of(description, nullptr));
    words_.insert(words_.end(), slots.begin(), slots.end());
    return program;
}

void Programs::finish()
{
    descriptions_ = {};
    described_shapes_ = {};
    slots_ = {};
    words_.shrink_to_fit();
    lists_.shrink_to_fit();
    prefer_huge_pages(words_);
    prefer_huge_pages(lists_);
}

std::uint32_t Programs::only(std::uint32_t program) const noexcept
{
    const Shape& shape = shapes_[words_[program + 1]];
    const std::uint32_t slot = words_[program + 2];
    return shape.flat_count == 1 && shape.flat_either_count == 0 && (slot & list_bit) == 0 ? slot : none;
}

std::size_t Programs::bytes() const noexcept
{
    return words_.capacity() * 4 + lists_.capacity() * 4 + shapes_.capacity() * sizeof(Shape) +
           parts_.capacity() * sizeof(Part) + eithers_.capacity() * sizeof(Either) + branches_.capacity() * 4 +
           flat_.capacity() * sizeof(Flat) + flat_eithers_.capacity() * sizeof(Either);
}

// ---- verifying ----------------------------------------------------------------------------------

class Programs::Walk {
public:
    Walk(const Programs& programs, std::uint32_t program, const Verification& at)
        : programs_(programs), slots_(&programs.words_[program + 2]), at_(at), selection_(at.selection),
          stack_(at.stack)
    {}

    enum class Flat : std::uint8_t { no, yes, elements };

    /// Decides field by field, as is right where no value lies in an element of an array; says so when
    /// one does. The rest need not agree then, so a field that fails decides in any case.
    Flat flat(const Shape& shape)
    {
        bool elements = false;
        for (std::uint32_t i = shape.flat_first; i < shape.flat_first + shape.flat_count; ++i) {
            const Programs::Flat& part = programs_.flat_[i];
            const std::uint32_t node = selection_.first(part.position);
            if (node != none && selection_.node(node).in_element) elements = true;
            else if (field(slots_[part.slot], node) == Held::no) return Flat::no;
        }
        for (std::uint32_t i = shape.flat_either_first; i < shape.flat_either_first + shape.flat_either_count; ++i) {
            const Either& either = programs_.flat_eithers_[i];
            const std::uint32_t* const branches = &programs_.branches_[either.branch_first];
            Flat best = Flat::no;
            for (std::uint32_t b = 0; b < either.branch_count && best == Flat::no; ++b)
                best = flat(programs_.shapes_[branches[b]]);
            if (best == Flat::no) return Flat::no;
            elements = elements || best == Flat::elements;
        }
        return elements ? Flat::elements : Flat::yes;
    }

    Held conjunction(const Shape& shape, std::uint32_t object)
    {
        Held held = Held::absent;
        const auto holds = [&held](Held one) {
            held = std::max(held, one);
            return one != Held::no;
        };
        for (std::uint32_t i = shape.part_first; i < shape.part_first + shape.part_count; ++i) {
            const Part& part = programs_.parts_[i];
            const std::uint32_t node = selection_.child(object, part.position);
            if (part.slot != none && !holds(field(slots_[part.slot], node))) return Held::no;
            if (part.below != none && !holds(below(programs_.shapes_[part.below], node))) return Held::no;
        }
        for (std::uint32_t i = shape.either_first; i < shape.either_first + shape.either_count; ++i)
            if (!holds(alternatives(programs_.eithers_[i], object))) return Held::no;
        return held;
    }

private:
    [[nodiscard]] bool test(std::uint32_t predicate, std::uint32_t leaf) const
    {
        return programs_.predicates_.holds(predicate, at_.leaf(leaf));
    }
    /// Whether some leaf of the node satisfies the predicate.
    [[nodiscard]] bool some(std::uint32_t predicate, std::uint32_t node) const
    {
        for (std::uint32_t leaf = selection_.node(node).leaf_first; leaf != none; leaf = selection_.leaves()[leaf].next)
            if (test(predicate, leaf)) return true;
        return false;
    }

    Held field(std::uint32_t slot, std::uint32_t node)
    {
        if ((slot & list_bit) == 0) return node != none && some(slot, node) ? Held::witnessed : Held::no;
        if (node != none && witness(slot, node)) return Held::witnessed;
        const std::size_t mark = stack_.size();
        if (node != none) stack_.push_back(node);
        const bool held = absent(slot, mark);
        stack_.resize(mark);
        return held ? Held::absent : Held::no;
    }

    [[nodiscard]] bool witness(std::uint32_t slot, std::uint32_t node) const
    {
        ListReader list(&programs_.lists_[slot & ~list_bit]);
        list.take();
        for (const std::uint32_t predicate : list.span())
            if (some(predicate, node)) return true;
        for (std::uint32_t n = list.take(); n > 0; --n) {
            const auto all = list.span();
            if (std::all_of(all.begin(), all.end(), [&](std::uint32_t predicate) { return some(predicate, node); }))
                return true;
        }
        return false;
    }

    /// Whether a list is held by absence over the nodes on the stack from `mark` on.
    [[nodiscard]] bool absent(std::uint32_t slot, std::size_t mark) const
    {
        if ((slot & list_bit) == 0) return false;
        ListReader list(&programs_.lists_[slot & ~list_bit]);
        const auto nodes_begin = stack_.begin() + static_cast<std::ptrdiff_t>(mark);
        if (list.take() != 0 && std::all_of(nodes_begin, stack_.end(), [&](std::uint32_t node) {
                return selection_.node(node).leaf_first == none;
            }))
            return true;
        list.span();
        for (std::uint32_t n = list.take(); n > 0; --n) list.span();
        for (std::uint32_t n = list.take(); n > 0; --n) {
            const auto items = list.span();
            const bool free = std::none_of(nodes_begin, stack_.end(), [&](std::uint32_t node) {
                return std::any_of(items.begin(), items.end(), [&](std::uint32_t item) { return some(item, node); });
            });
            if (free) return true;
        }
        return false;
    }

    /// Whether all of a shape is held by absence over the objects on the stack in [first, last).
    bool absent(const Shape& shape, std::size_t first, std::size_t last)
    {
        if (!shape.may_be_absent) return false;
        const std::size_t mark = stack_.size();
        for (std::uint32_t i = shape.part_first; i < shape.part_first + shape.part_count; ++i) {
            const Part& part = programs_.parts_[i];
            for (std::size_t o = first; o < last; ++o)
                if (const auto node = selection_.child(stack_[o], part.position); node != none) stack_.push_back(node);
            bool held = part.slot == none || absent(slots_[part.slot], mark);
            if (held && part.below != none) {
                const std::size_t nodes_end = stack_.size();
                for (std::size_t n = mark; n < nodes_end; ++n) push_objects(stack_[n]);
                held = absent(programs_.shapes_[part.below], nodes_end, stack_.size());
            }
            stack_.resize(mark);
            if (!held) return false;
        }
        for (std::uint32_t i = shape.either_first; i < shape.either_first + shape.either_count; ++i) {
            const Either& either = programs_.eithers_[i];
            const std::uint32_t* const branches = &programs_.branches_[either.branch_first];
            if (std::none_of(branches, branches + either.branch_count, [&](std::uint32_t branch) {
                    return absent(programs_.shapes_[branch], first, last);
                }))
                return false;
        }
        return true;
    }

    void push_objects(std::uint32_t node)
    {
        const auto& at = selection_.node(node);
        if (at.direct != none) stack_.push_back(at.direct);
        for (auto e = at.element_first; e != none; e = selection_.object(e).next) stack_.push_back(e);
    }

    Held alternatives(const Either& either, std::uint32_t object)
    {
        Held best = Held::no;
        const std::uint32_t* const branches = &programs_.branches_[either.branch_first];
        for (std::uint32_t i = 0; i < either.branch_count && best != Held::witnessed; ++i)
            best = std::max(best, conjunction(programs_.shapes_[branches[i]], object));
        return best;
    }

    Held below(const Shape& shape, std::uint32_t node)
    {
        if (node == none) return absent(shape, 0, 0) ? Held::absent : Held::no;
        const auto& at = selection_.node(node);
        if (at.direct != none) return conjunction(shape, at.direct);
        // An element is chosen by a witness in it, by nothing else.
        if (at.chosen != none) return conjunction(shape, at.chosen) == Held::witnessed ? Held::witnessed : Held::no;
        for (auto e = at.element_first; e != none; e = selection_.object(e).next)
            if (conjunction(shape, e) == Held::witnessed) return Held::witnessed;
        if (!shape.may_be_absent) return Held::no;
        const std::size_t mark = stack_.size();
        push_objects(node);
        const bool held = absent(shape, mark, stack_.size());
        stack_.resize(mark);
        return held ? Held::absent : Held::no;
    }

    const Programs& programs_;
    const std::uint32_t* slots_;
    const Verification& at_;
    const Selection& selection_;
    std::vector<std::uint32_t>& stack_;
};

bool Programs::holds(std::uint32_t program, const Verification& at) const
{
    const Shape& shape = shapes_[words_[program + 1]];
    Walk walk(*this, program, at);
    const auto flat = walk.flat(shape);
    return flat == Walk::Flat::elements ? walk.conjunction(shape, 0) != Held::no : flat == Walk::Flat::yes;
}

}  // namespace eventyard::rules
