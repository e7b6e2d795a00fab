#include "rules/engine/builder.hpp"

#include <algorithm>
#include <array>

#include "rules/engine/hash.hpp"
#include "rules/engine/literals.hpp"

namespace eventyard::rules {
namespace {

/// So many rules under one predicate are verified one by one.
constexpr std::size_t bucket_max = 8;
/// A rule's alternatives are listed branch by branch up to so many programs.
constexpr std::size_t clauses_max = 4096;
/// Stands for the values that no rule names.
constexpr double others = 4;

KeyKind kind_of(Op op) noexcept
{
    switch (op) {
        case Op::null:
        case Op::yes:
        case Op::no:
        case Op::string:
        case Op::number: return KeyKind::exact;
        case Op::prefix: return KeyKind::prefix;
        case Op::suffix: return KeyKind::suffix;
        case Op::folded: return KeyKind::folded;
        case Op::folded_prefix: return KeyKind::folded_prefix;
        case Op::folded_suffix: return KeyKind::folded_suffix;
        case Op::wildcard:
        case Op::regex: return KeyKind::piece;
        case Op::range: return KeyKind::range;
        case Op::cidr: return KeyKind::cidr;
        case Op::any:
        case Op::number_not:
        case Op::none_of_these: break;
    }
    return KeyKind::present;
}

/// How often a value holds a text of that size at a place of that kind, when nothing else is known.
double by_chance(KeyKind kind, std::size_t size) noexcept
{
    constexpr std::array<double, 6> affix{1, 0.2, 0.05, 0.02, 0.005, 0.001};
    constexpr std::array<double, 6> inside{1, 0.6, 0.3, 0.1, 0.03, 0.005};
    return (kind == KeyKind::piece ? inside : affix)[std::min<std::size_t>(size, 5)];
}

std::uint64_t literal_id(std::uint32_t position, const Key& key) noexcept
{
    return hash_of(key.text, std::uint64_t{position} << 4 | static_cast<std::uint64_t>(key.kind));
}

}  // namespace

Builder::Builder(Engine& engine)
    : engine_(engine), names_(engine.names_), predicates_(engine.predicates_), programs_(engine.programs_),
      access_(engine.access_), plain_(names_, predicates_, programs_)
{}

namespace {

bool has_alternatives(const Tree& tree)
{
    return !tree.alternatives.empty() || std::any_of(tree.parts.begin(), tree.parts.end(), [](const Tree::Part& part) {
        return part.below && has_alternatives(*part.below);
    });
}

}  // namespace

void Builder::add(std::uint32_t rule, const Pattern& pattern)
{
    Tree tree = tree_of(pattern.body());
    if (has_alternatives(tree)) trees_.emplace_back(rule, std::move(tree));
    else programs_without_alternatives_.push_back(programs_.add(rule, tree));
}

bool Builder::add(std::uint32_t rule, const json::Document& text, std::uint32_t index)
{
    const auto program = plain_.add(rule, text, index);
    if (program) programs_without_alternatives_.push_back(*program);
    return program.has_value();
}

void Builder::finish()
{
    names_.finish();
    uses_.resize(predicates_.size(), 0);
    for (const std::uint32_t program : programs_without_alternatives_)
        programs_.each_field(program, [this](std::uint32_t, std::uint32_t slot) { count_slot(slot); });
    for (const auto& [rule, tree] : trees_) count(tree);
    totals_.resize(names_.size());
    for (std::uint32_t i = 0; i < predicates_.size(); ++i) count_predicate(i);
    spread_ranges();
    expected_.assign(predicates_.size(), -1);
    for (const std::uint32_t program : programs_without_alternatives_) list(program);
    for (auto& [rule, tree] : trees_) {
        std::size_t clauses = 0;
        list(rule, std::move(tree), clauses);
    }
    trees_.clear();
    trees_.shrink_to_fit();
    make_keys();
    access_.finish();
    programs_.finish();
    predicates_.finish();
}

// ---- from patterns to trees ---------------------------------------------------------------------

Tree Builder::tree_of(const Pattern::Body& body)
{
    std::vector<std::uint32_t> positions(body.positions.size(), 0);
    std::vector<std::uint32_t> open{0};
    while (!open.empty()) {
        const std::uint32_t at = open.back();
        open.pop_back();
        for (const auto& [name, child] : body.positions[at].children) {
            positions[child] = names_.add(positions[at], name);
            open.push_back(child);
        }
    }
    return tree_of(body, body.root, positions);
}

Tree Builder::tree_of(const Pattern::Body& body, const Conjunction& all, const std::vector<std::uint32_t>& positions)
{
    Tree tree;
    for (const auto& part : all.parts) {
        Tree::Part made;
        made.position = positions[part.position];
        if (part.field != rules::none) {
            const Field& field = body.fields[part.field];
            made.field = true;
            made.absentable = field.may_be_absent();
            made.slot = slot_of(field, made.position);
            names_.mark_field(made.position);
        }
        if (part.below) made.below = std::make_unique<Tree>(tree_of(body, *part.below, positions));
        tree.parts.push_back(std::move(made));
    }
    for (const auto& either : all.alternatives) {
        auto& branches = tree.alternatives.emplace_back();
        for (const Branch& branch : either.branches) branches.push_back(tree_of(body, branch.all, positions));
    }
    return tree;
}

std::uint32_t Builder::slot_of(const Field& field, std::uint32_t position)
{
    ItemList list;
    list.exists_false = field.exists_false;
    for (const Matcher& matcher : field.any) list.any.push_back(predicates_.add(position, matcher));
    const auto nested = [&](const auto& from, auto& to) {
        for (const auto& items : from) {
            auto& into = to.emplace_back();
            for (const Matcher& matcher : items) into.push_back(predicates_.add(position, matcher));
        }
    };
    nested(field.all_of, list.all_of);
    nested(field.none_of, list.none_of);
    return programs_.add_list(list);
}

// ---- what events are expected to touch ----------------------------------------------------------

void Builder::count(const Tree& tree)
{
    for (const auto& part : tree.parts) {
        if (part.field && !part.absentable) count_slot(part.slot);
        if (part.below) count(*part.below);
    }
    for (const auto& branches : tree.alternatives)
        for (const Tree& branch : branches) count(branch);
}

void Builder::count_slot(std::uint32_t slot)
{
    if (Programs::is_predicate(slot)) {
        ++uses_[slot];
        return;
    }
    const auto witnesses = programs_.witnesses(slot);
    for (const std::uint32_t predicate : witnesses.any) ++uses_[predicate];
    for (const auto& all : witnesses.all_of)
        for (const std::uint32_t predicate : all) ++uses_[predicate];
}

void Builder::count_predicate(std::uint32_t predicate)
{
    const std::uint32_t position = predicates_.position(predicate);
    const KeyKind kind = kind_of(predicates_.op(predicate));
    totals_[position][static_cast<std::size_t>(kind)] += uses_[predicate];
    if (kind == KeyKind::piece)
        for (const Key& key : literal_keys(predicate)) literals_[literal_id(position, key)] += uses_[predicate];
    if (kind == KeyKind::range && uses_[predicate] > 0) {
        const Range& range = predicates_.range(predicate);
        auto& lows = lows_[position];
        lows.insert(lows.end(), uses_[predicate],
                    range.low.text_size != 0 ? range.low.number.value : range.high.number.value);
    }
}

void Builder::spread_ranges()
{
    for (auto& [position, lows] : lows_) std::sort(lows.begin(), lows.end());
}

std::vector<Key> Builder::literal_keys(std::uint32_t predicate) const
{
    std::vector<Key> keys;
    const auto add = [&](KeyKind kind, std::string_view text) {
        if (!text.empty()) keys.push_back({kind, predicate, text});
    };
    const auto add_piece = [&](std::string_view text) {
        add(KeyKind::piece, text.substr(0, 8));
        if (text.size() > 8) add(KeyKind::piece, text.substr(text.size() - 8));
    };
    if (predicates_.op(predicate) == Op::wildcard) {
        add(KeyKind::prefix, predicates_.piece(predicate, Predicates::Piece::first));
        add(KeyKind::suffix, predicates_.piece(predicate, Predicates::Piece::last));
        add_piece(predicates_.piece(predicate, Predicates::Piece::longest));
        return keys;
    }
    auto [at, fresh] = regex_literals_.try_emplace(predicate);
    if (fresh) {
        at->second.first = required_prefix(predicates_.regex(predicate));
        at->second.second = required_piece(predicates_.regex(predicate));
    }
    add(KeyKind::prefix, at->second.first);
    add_piece(at->second.second);
    return keys;
}

Key Builder::key_of(std::uint32_t predicate) const
{
    const KeyKind kind = kind_of(predicates_.op(predicate));
    switch (kind) {
        case KeyKind::exact:
        case KeyKind::range:
        case KeyKind::cidr: return {kind, predicate, {}};
        case KeyKind::piece: break;
        case KeyKind::present: return {kind, predicate, {}};
        default: {
            const std::string_view text = predicates_.text(predicate);
            // Every string begins with nothing: the presence of a value is what is left to find it by.
            if (text.empty() && kind != KeyKind::folded) return {KeyKind::present, predicate, {}};
            return {kind, predicate, text};
        }
    }
    Key best{KeyKind::present, predicate, {}};
    double least = 1;
    for (const Key& key : literal_keys(predicate)) {
        const double expected = expected_of(key);
        if (expected < least) best = key, least = expected;
    }
    return best;
}

double Builder::expected_of(const Key& key) const
{
    const std::uint32_t position = predicates_.position(key.predicate);
    const auto known = literals_.find(literal_id(position, key));
    const double uses = known == literals_.end() ? 0 : known->second;
    return std::max(by_chance(key.kind, key.text.size()), 
                    uses / (totals_[position][static_cast<std::size_t>(KeyKind::piece)] + others));
}

double Builder::expected(std::uint32_t predicate) const
{
    float& known = expected_[predicate];
    if (known < 0) known = static_cast<float>(work_out(predicate));
    return known;
}

double Builder::work_out(std::uint32_t predicate) const
{
    const std::uint32_t position = predicates_.position(predicate);
    const KeyKind kind = kind_of(predicates_.op(predicate));
    const double share = uses_[predicate] / (totals_[position][static_cast<std::size_t>(kind)] + others);
    switch (kind) {
        case KeyKind::exact: {
            // A long number is seldom met by chance; a name like "ok" may be in every other event.
            const bool long_number = predicates_.op(predicate) == Op::number && predicates_.number(predicate).text_size > 6;
            return long_number ? share / 10 : share;
        }
        case KeyKind::folded: return 1.1 * share;
        case KeyKind::prefix:
        case KeyKind::suffix:
        case KeyKind::folded_prefix:
        case KeyKind::folded_suffix:
            return std::min(0.9, std::max(1.2 * share, by_chance(kind, predicates_.text(predicate).size())));
        case KeyKind::piece: {
            const Key key = key_of(predicate);
            return key.kind == KeyKind::present ? 0.95 : std::min(0.9, expected_of(key));
        }
        case KeyKind::range: {
            const auto found = lows_.find(position);
            if (found == lows_.end()) return 0.5;
            const auto& lows = found->second;
            const Range& range = predicates_.range(predicate);
            const auto from = range.low.text_size != 0 ? std::lower_bound(lows.begin(), lows.end(), range.low.number.value)
                                                       : lows.begin();
            const auto to = range.high.text_size != 0 ? std::upper_bound(lows.begin(), lows.end(), range.high.number.value)
                                                      : lows.end();
            const bool bounded = range.low.text_size != 0 && range.high.text_size != 0;
            const double within = static_cast<double>(std::max<std::ptrdiff_t>(to - from, 1)) /
                                  (static_cast<double>(lows.size()) + others);
            return std::min(0.9, bounded ? 1.5 * within : std::max(0.3, within));
        }
        case KeyKind::cidr: return std::min(0.9, 2 * share);
        case KeyKind::present: break;
    }
    return 0.95;
}

// ---- choosing -----------------------------------------------------------------------------------

void Builder::consider_field(std::uint32_t slot, Choice& best) const
{
    if (Programs::is_predicate(slot)) {
        const double cost = expected(slot);
        if (cost < best.cost) {
            best.cost = cost;
            best.predicates.assign(1, slot);
            best.scope = nullptr;
        }
        return;
    }
    double cost = 0;
    std::vector<std::uint32_t> chosen;
    const auto witnesses = programs_.witnesses(slot);
    for (const std::uint32_t predicate : witnesses.any) {
        cost += expected(predicate);
        if (cost >= best.cost) return;
        chosen.push_back(predicate);
    }
    for (const auto& all : witnesses.all_of) {
        const auto least = std::min_element(all.begin(), all.end(), [this](std::uint32_t a, std::uint32_t b) {
            return expected(a) < expected(b);
        });
        cost += expected(*least);
        chosen.push_back(*least);
    }
    if (cost >= best.cost) return;
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    best = {cost, std::move(chosen), nullptr, 0};
}

void Builder::choose(Tree& tree, Choice& best, bool with_alternatives) const
{
    for (auto& part : tree.parts) {
        if (part.field && !part.absentable) consider_field(part.slot, best);
        if (part.below) choose(*part.below, best, with_alternatives);
    }
    if (!with_alternatives) return;
    for (std::size_t i = 0; i < tree.alternatives.size(); ++i) {
        double cost = 0;
        for (Tree& branch : tree.alternatives[i]) {
            Choice of_branch;
            of_branch.cost = unlimited;
            choose(branch, of_branch, true);
            if (!of_branch.found()) {
                cost = unlimited;
                break;
            }
            cost += of_branch.cost;
        }
        // Verifying a rule looks at all its branches unless it was found by one of them.
        if (cost < unlimited) cost /= 1 + static_cast<double>(tree.alternatives[i].size()) / 8;
        if (cost < best.cost) best = {cost, {}, &tree, i};
    }
}

void Builder::list(std::uint32_t rule, Tree tree, std::size_t& clauses)
{
    Choice best;
    best.cost = unlimited;
    choose(tree, best, clauses < clauses_max);
    if (best.scope == nullptr) {
        ++clauses;
        list_under(programs_.add(rule, tree), best);
        return;
    }
    // Each branch with all that stands beside the alternatives, by itself.
    Tree& scope = *best.scope;
    std::vector<Tree> branches = std::move(scope.alternatives[best.alternative]);
    scope.alternatives.erase(scope.alternatives.begin() + static_cast<std::ptrdiff_t>(best.alternative));
    const std::size_t parts = scope.parts.size();
    const std::size_t alternatives = scope.alternatives.size();
    for (Tree& branch : branches) {
        std::move(branch.parts.begin(), branch.parts.end(), std::back_inserter(scope.parts));
        std::move(branch.alternatives.begin(), branch.alternatives.end(), std::back_inserter(scope.alternatives));
        list(rule, tree.clone(), clauses);
        scope.parts.erase(scope.parts.begin() + static_cast<std::ptrdiff_t>(parts), scope.parts.end());
        scope.alternatives.erase(scope.alternatives.begin() + static_cast<std::ptrdiff_t>(alternatives),
                                 scope.alternatives.end());
    }
}

void Builder::list(std::uint32_t program)
{
    best_.cost = unlimited;
    best_.predicates.clear();
    programs_.each_field(program, [this](std::uint32_t, std::uint32_t slot) { consider_field(slot, best_); });
    list_under(program, best_);
}

/// A rule that may hold without any value has nothing to be found by, unless it asks for nothing
/// but the absence of one path's values.
void Builder::list_under(std::uint32_t program, const Choice& choice)
{
    for (const std::uint32_t predicate : choice.predicates) listed_.emplace_back(predicate, program);
    if (!choice.predicates.empty()) return;
    if (const auto position = programs_.only_absence(program)) absent_.emplace_back(*position, program);
    else always_.push_back(program);
}

// ---- keys and nodes -----------------------------------------------------------------------------

/// Programs stay in order under each predicate.
void Builder::sort_by_predicate()
{
    std::vector<std::uint32_t> first(predicates_.size() + 1, 0);
    for (const auto& [predicate, program] : listed_) ++first[predicate + 1];
    for (std::size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
    std::vector<std::pair<std::uint32_t, std::uint32_t>> sorted(listed_.size());
    for (const auto& one : listed_) sorted[first[one.first]++] = one;
    listed_.swap(sorted);
}

void Builder::make_keys()
{
    access_.start(names_.size());
    sort_by_predicate();
    std::unordered_map<std::uint32_t, Programs_> present;  // by position
    Programs_ programs;
    for (std::size_t i = 0; i < listed_.size();) {
        const std::uint32_t predicate = listed_[i].first;
        programs.clear();
        for (; i < listed_.size() && listed_[i].first == predicate; ++i) programs.push_back(listed_[i].second);
        const std::uint32_t position = predicates_.position(predicate);
        const Key key = key_of(predicate);
        if (key.kind == KeyKind::present) {
            auto& all = present[position];
            all.insert(all.end(), programs.begin(), programs.end());
            continue;
        }
        const bool only = programs.size() == 1 && programs_.only(programs.front()) == predicate;
        const std::uint32_t rule = only ? programs_.rule(programs.front()) : none;
        access_.add_key(predicates_, position, key, make_node(programs, {position}), rule);
    }
    for (auto& [position, all] : present) {
        std::sort(all.begin(), all.end());
        all.erase(std::unique(all.begin(), all.end()), all.end());
        take_negatives(position, all);
        if (!all.empty()) access_.add_key(predicates_, position, {}, make_node(all, {position}), none);
    }
    std::sort(absent_.begin(), absent_.end());
    for (std::size_t i = 0; i < absent_.size();) {
        const std::uint32_t position = absent_[i].first;
        programs.clear();
        for (; i < absent_.size() && absent_[i].first == position; ++i) programs.push_back(absent_[i].second);
        access_.add_absent(position, access_.add_node(programs, {}));
    }
    if (!always_.empty()) access_.set_always(access_.add_node(always_, {}));
}

/// Rules that are no more than "anything but these" match nearly every event: they are answered all at
/// once, those excepted that exclude something the value at hand touches.
void Builder::take_negatives(std::uint32_t position, Programs_& programs)
{
    constexpr std::size_t worth_it = 3;
    const auto excludes = [this](std::uint32_t program, std::uint32_t& count) -> const std::uint32_t* {
        const std::uint32_t predicate = programs_.only(program);
        if (predicate == none || predicates_.op(predicate) != Op::none_of_these) return nullptr;
        const std::uint32_t* const list = predicates_.listed(predicate, count);
        const bool found = std::all_of(list, list + count, [this](std::uint32_t item) {
            return key_of(item).kind != KeyKind::present;
        });
        return found ? list : nullptr;
    };
    std::uint32_t count = 0;
    // Branches of one rule may stand here each by itself: what one excludes, another may allow.
    std::unordered_map<std::uint32_t, std::uint32_t> programs_of;
    for (const std::uint32_t program : programs) ++programs_of[programs_.rule(program)];
    const auto rest = std::stable_partition(programs.begin(), programs.end(), [&](std::uint32_t program) {
        return programs_of[programs_.rule(program)] > 1 || excludes(program, count) == nullptr;
    });
    if (static_cast<std::size_t>(programs.end() - rest) < worth_it) return;
    std::vector<std::uint32_t> negatives;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> excluded;  // predicate, program
    for (auto program = rest; program != programs.end(); ++program) {
        negatives.push_back(programs_.rule(*program));
        const std::uint32_t* const list = excludes(*program, count);
        for (std::uint32_t i = 0; i < count; ++i) excluded.emplace_back(list[i], *program);
    }
    programs.erase(rest, programs.end());
    std::sort(negatives.begin(), negatives.end());
    access_.add_negatives(position, negatives);
    std::sort(excluded.begin(), excluded.end());
    for (std::size_t i = 0; i < excluded.size();) {
        const std::uint32_t predicate = excluded[i].first;
        Programs_ of_it;
        for (; i < excluded.size() && excluded[i].first == predicate; ++i) of_it.push_back(excluded[i].second);
        access_.add_key(predicates_, position, key_of(predicate), access_.add_node(of_it, {}) | Access::excluding, none);
    }
}

Ref Builder::make_node(const Programs_& programs, const std::vector<std::uint32_t>& path)
{
    if (programs.size() <= bucket_max || path.size() > Access::levels_max) return access_.add_node(programs, {});

    // Fields of single values at other paths, and how often each value is asked for here.
    struct Option {
        std::uint32_t position;
        std::vector<std::uint32_t> predicates;
    };
    const auto each_option = [&](std::uint32_t program, const auto& visit) {
        programs_.each_field(program, [&](std::uint32_t position, std::uint32_t slot) {
            if (std::find(path.begin(), path.end(), position) != path.end()) return;
            const auto witnesses = programs_.witnesses(slot);
            if (!witnesses.all_of.empty()) return;
            for (const std::uint32_t predicate : witnesses.any)
                if (kind_of(predicates_.op(predicate)) != KeyKind::exact) return;
            visit(Option{position, witnesses.any});
        });
    };
    std::unordered_map<std::uint32_t, std::uint32_t> uses;
    for (const std::uint32_t program : programs)
        each_option(program, [&](const Option& option) {
            for (const std::uint32_t predicate : option.predicates) ++uses[predicate];
        });
    std::vector<std::pair<std::uint32_t, std::uint32_t>> below;  // predicate, program
    Programs_ here;
    for (const std::uint32_t program : programs) {
        std::size_t least = programs.size() / 4;  // a value that most ask for tells few apart
        Option best{none, {}};
        each_option(program, [&](Option option) {
            std::size_t shared = 0;
            for (const std::uint32_t predicate : option.predicates) shared += uses[predicate];
            if (shared < least) least = shared, best = std::move(option);
        });
        if (best.position == none) here.push_back(program);
        for (const std::uint32_t predicate : best.predicates) below.emplace_back(predicate, program);
    }
    if (below.empty()) return access_.add_node(programs, {});

    std::sort(below.begin(), below.end());
    below.erase(std::unique(below.begin(), below.end()), below.end());
    std::vector<Access::Branching> branchings;
    std::vector<std::pair<std::uint32_t, Ref>> children;  // predicate
    std::vector<std::uint32_t> positions;
    for (std::size_t i = 0; i < below.size();) {
        const std::uint32_t predicate = below[i].first;
        Programs_ of_it;
        for (; i < below.size() && below[i].first == predicate; ++i) of_it.push_back(below[i].second);
        const std::uint32_t position = predicates_.position(predicate);
        if (std::find(positions.begin(), positions.end(), position) == positions.end()) positions.push_back(position);
        std::vector<std::uint32_t> further = path;
        further.push_back(position);
        children.emplace_back(predicate, make_node(of_it, further));
    }
    for (const std::uint32_t position : positions) branchings.push_back(branching_to(position, path));
    const Ref node = access_.add_node(here, branchings);
    for (const auto& [predicate, ref] : children)
        access_.add_branch(predicates_, node, predicates_.position(predicate), predicate, ref);
    return node;
}

Access::Branching Builder::branching_to(std::uint32_t position, const std::vector<std::uint32_t>& path)
{
    const auto way = [this](std::uint32_t to) {
        std::vector<std::uint32_t> out;
        for (; to != 0; to = names_.parent(to)) out.push_back(to);
        std::reverse(out.begin(), out.end());
        return out;
    };
    const std::vector<std::uint32_t> to = way(position);
    Access::Branching made;
    made.position = position;
    for (std::uint32_t level = 0; level < path.size(); ++level) {
        const std::vector<std::uint32_t> from = way(path[level]);
        // Arrays behind a path's last name are not crossed by its values.
        const std::size_t most = std::min(from.size(), to.size()) - 1;
        const auto shared = static_cast<std::uint32_t>(
            std::mismatch(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(most), to.begin()).first - from.begin());
        if (level == 0 || shared > made.common) made.level = level, made.common = shared;
    }
    made.chain_first = access_.add_chain({to.begin() + made.common, to.end()});
    made.chain_count = static_cast<std::uint32_t>(to.size() - made.common);
    return made;
}

}  // namespace eventyard::rules
