#include "rules/expand.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <set>

namespace eventyard::rules {
namespace {

using Names = std::set<std::string, std::less<>>;

void first_names(const Written& written, Names& out)
{
    for (const auto& part : written.parts) out.insert(part.name);
    for (const auto& either : written.ors)
        for (const auto& branch : either.branches) first_names(branch, out);
}

void merge(Written& into, const Written& from)
{
    for (const auto& part : from.parts) {
        auto& mine = into.part(part.name);
        if (part.field != none) mine.field = part.field;  // never both: compile checks repeated paths
        if (!part.below) continue;
        if (mine.below) {
            mine.below = std::make_shared<Written>(*mine.below);
            merge(*mine.below, *part.below);
        } else {
            mine.below = part.below;
        }
    }
    into.ors.insert(into.ors.end(), from.ors.begin(), from.ors.end());
}

class Expander {
public:
    Expander(Pattern::Body& body, Report& report) : body_(body), report_(report) {}

    bool scope(const Written& written, std::uint32_t position, const std::string& path, Conjunction& out);

private:
    struct Component {
        std::vector<const Written::Part*> parts;
        std::vector<const WrittenOr*> ors;
        Names names;
    };

    static std::vector<Component> components(const Written& written);
    bool multiply(const Component& component, std::uint32_t position, const std::string& path,
                  Alternatives& out);
    bool too_many(const Component& component, const std::string& path, const std::string& figure);
    std::uint32_t child(std::uint32_t position, const std::string& name);

    Pattern::Body& body_;
    Report& report_;
    int depth_ = 0;            // of components inside one another
    std::uint64_t made_ = 0;   // conjunctions made for the outermost of them
};

/// Groups what shares a first name; a `$or` brings all its names.
std::vector<Expander::Component> Expander::components(const Written& written)
{
    std::vector<Component> all;
    const auto join = [&](Component one) {
        std::vector<Component> apart;
        for (auto& other : all) {
            const bool shared = std::any_of(other.names.begin(), other.names.end(),
                                            [&](const auto& name) { return one.names.count(name) != 0; });
            if (!shared) {
                apart.push_back(std::move(other));
                continue;
            }
            one.names.merge(other.names);
            one.parts.insert(one.parts.begin(), other.parts.begin(), other.parts.end());
            one.ors.insert(one.ors.begin(), other.ors.begin(), other.ors.end());
        }
        apart.push_back(std::move(one));
        all = std::move(apart);
    };
    if (written.ors.empty()) {  // the common case, without the search for shared names
        for (const auto& part : written.parts) all.push_back({{&part}, {}, {}});
        return all;
    }
    for (const auto& part : written.parts) join({{&part}, {}, {part.name}});
    for (const auto& either : written.ors) {
        Component one{{}, {&either}, {}};
        for (const auto& branch : either.branches) first_names(branch, one.names);
        join(std::move(one));
    }
    return all;
}

bool Expander::scope(const Written& written, std::uint32_t position, const std::string& path,
                     Conjunction& out)
{
    const auto below_path = [&](const std::string& name) { return path.empty() ? name : path + "." + name; };
    for (const Component& component : components(written)) {
        if (component.ors.empty()) {
            for (const auto* part : component.parts) {
                auto& made = out.parts.emplace_back();
                made.position = child(position, part->name);
                made.field = part->field;
                if (made.field != none) {
                    body_.positions[made.position].field = true;
                    out.may_be_absent = out.may_be_absent && body_.fields[made.field].may_be_absent();
                }
                if (!part->below) continue;
                made.below = std::make_unique<Conjunction>();
                if (!scope(*part->below, made.position, below_path(part->name), *made.below)) return false;
                out.may_be_absent = out.may_be_absent && made.below->may_be_absent;
            }
            continue;
        }
        auto& alternatives = out.alternatives.emplace_back();
        if (component.parts.empty() && component.ors.size() == 1) {
            const WrittenOr& either = *component.ors.front();
            for (std::size_t i = 0; i < either.branches.size(); ++i) {
                Branch branch{{fmt::format("{}[{}]", either.label, i)}, {}};
                if (!scope(either.branches[i], position, path, branch.all)) return false;
                alternatives.branches.push_back(std::move(branch));
            }
        } else if (!multiply(component, position, path, alternatives)) {
            return false;
        }
        out.may_be_absent = out.may_be_absent &&
                            std::any_of(alternatives.branches.begin(), alternatives.branches.end(),
                                        [](const Branch& b) { return b.all.may_be_absent; });
    }
    return true;
}

bool Expander::multiply(const Component& component, std::uint32_t position, const std::string& path,
                        Alternatives& out)
{
    std::uint64_t product = 1;
    bool overflow = false;
    for (const auto* either : component.ors) {
        overflow = overflow ||
                   product > std::numeric_limits<std::uint64_t>::max() / either->branches.size();
        product = overflow ? product : product * either->branches.size();
    }
    if (overflow || product > combinations_max)
        return too_many(component, path, overflow ? "more than 10^18" : std::to_string(product));

    if (depth_++ == 0) made_ = 0;
    std::vector<std::size_t> taken(component.ors.size(), 0);
    for (std::uint64_t n = 0; n < product; ++n) {
        if (++made_ > combinations_max)
            return too_many(component, path, fmt::format("more than {}", combinations_max));
        Written together;
        Branch branch;
        for (const auto* part : component.parts) together.parts.push_back(*part);
        for (std::size_t i = 0; i < taken.size(); ++i) {
            merge(together, component.ors[i]->branches[taken[i]]);
            branch.labels.push_back(fmt::format("{}[{}]", component.ors[i]->label, taken[i]));
        }
        if (!scope(together, position, path, branch.all)) return false;
        out.branches.push_back(std::move(branch));
        for (std::size_t i = taken.size(); i-- > 0;) {
            if (++taken[i] < component.ors[i]->branches.size()) break;
            taken[i] = 0;
        }
    }
    --depth_;
    return true;
}

bool Expander::too_many(const Component& component, const std::string& path, const std::string& figure)
{
    std::string labels;
    for (const auto* either : component.ors) labels += (labels.empty() ? "" : ", ") + either->label;
    std::string names;
    std::size_t shown = 0;
    for (const auto& name : component.names) {
        std::size_t users = 0;
        for (const auto* part : component.parts) users += part->name == name ? 1 : 0;
        for (const auto* either : component.ors) {
            Names theirs;
            for (const auto& branch : either->branches) first_names(branch, theirs);
            users += theirs.count(name);
        }
        // Nested `$or`s are multiplied for names shared further in: then the only name counts.
        if (users < 2 && component.names.size() > 1) continue;
        if (++shown > 8) {
            names += ", ...";
            break;
        }
        names += (names.empty() ? "" : ", ") + (path.empty() ? name : path + "." + name);
    }
    report_.error(component.ors.front()->place,
                  fmt::format("{} combinations of {} would have to be told apart, and {} are allowed: they "
                              "share paths below {}; write those paths in one branch each",
                              figure, labels, combinations_max, names));
    return false;
}

std::uint32_t Expander::child(std::uint32_t position, const std::string& name)
{
    auto& list = body_.positions[position].children;
    const auto at = std::lower_bound(list.begin(), list.end(), name,
                                     [](const auto& entry, const auto& wanted) { return entry.first < wanted; });
    if (at != list.end() && at->first == name) return at->second;
    const auto made = static_cast<std::uint32_t>(body_.positions.size());
    list.insert(at, {name, made});
    body_.positions.emplace_back();
    return made;
}

}  // namespace

Written::Part& Written::part(std::string_view name)
{
    const auto found = std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.name == name; });
    if (found != parts.end()) return *found;
    return parts.emplace_back(Part{std::string(name), none, nullptr});
}

std::uint32_t Position::child(std::string_view name) const noexcept
{
    const auto at = std::lower_bound(children.begin(), children.end(), name,
                                     [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
    return at != children.end() && at->first == name ? at->second : none;
}

bool expand(const Written& root, Pattern::Body& body, Report& report)
{
    return Expander(body, report).scope(root, 0, "", body.root);
}

}  // namespace eventyard::rules
