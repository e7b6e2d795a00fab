// compile_pattern: what is written is read into Written (spellings merged, every mistake reported),
// checked for repeated paths, then expanded.
#include <fmt/format.h>
#include <map>
#include <set>

#include "rules/expand.hpp"
#include "rules/operators.hpp"
#include "rules/pattern.hpp"
#include "rules/warnings.hpp"

namespace eventyard::rules {
namespace {

using Kind = Node::Kind;

constexpr std::size_t names_max = 1000;  // of one path: the evaluator recurses once a name

std::string join(const std::string& scope, const std::string& key)
{
    return scope.empty() ? key : scope + "." + key;
}

class Compiler {
public:
    Compiler(Pattern::Body& body, Report& report) : body_(body), report_(report) {}

    void root(const Node& node, Written& out)
    {
        if (node.kind != Kind::map) {
            report_.error(node.place, fmt::format("Filter is not an object: a pattern is a map of fields, not {}",
                                                  kind_name(node.kind)));
            return;
        }
        object(node, out, "", 0, false, false);
    }

    /// One path twice in one conjunction, wherever its `$or`s are.
    void check_paths(const Written& scope)
    {
        std::vector<std::string> added;
        check_paths(scope, added);
    }

private:
    void object(const Node& node, Written& scope, const std::string& path, std::size_t names,
                bool in_or, bool branch)
    {
        if (node.members.empty())
            report_.error(node.place, branch ? "Empty objects are not allowed: a branch of $or needs at least one field"
                                             : "Empty objects are not allowed: name at least one field");
        std::map<std::string, Kind, std::less<>> keys;
        for (const Member& member : node.members) {
            if (member.key == "$or") {
                either(member, scope, path, names);
                continue;
            }
            const auto [first, fresh] = keys.emplace(member.key, member.value.kind);
            if (!fresh && first->second == Kind::map && member.value.kind == Kind::map) {
                report_.warning(member.key_place,
                                fmt::format("'{}' is written twice; both are read as one", member.key));
            } else if (!fresh) {
                report_.error(member.key_place,
                              fmt::format("Path `{}` cannot be allowed multiple times: '{}' is written twice",
                                          join(path, member.key), member.key));
                continue;
            }
            this->member(member, scope, path, names, in_or);
        }
    }

    void member(const Member& member, Written& scope, const std::string& path, std::size_t names,
                bool in_or)
    {
        // k dots make k + 1 names, empty ones included.
        std::vector<std::string> segments(1);
        for (const char c : member.key) {
            if (c == '.') segments.emplace_back();
            else segments.back() += c;
        }
        names += segments.size();
        if (names > names_max) {
            report_.error(member.key_place, fmt::format("a path may have at most {} names", names_max));
            return;
        }
        for (const std::string& segment : segments) {
            if (segment == "$or") {
                report_.error(member.key_place,
                              "'$or' must be a whole key, with a list of alternatives; it cannot be "
                              "part of a dotted path");
                return;
            }
            if (in_or && is_reserved_in_or(segment)) {
                report_.error(member.key_place,
                              fmt::format("{} is Ruler reserved fieldName which cannot be used inside $or: "
                                          "an operator stands in a list, {}",
                                          segment, "\"field\": [{\"" + segment + "\": ...}]"));
                return;
            }
        }
        const std::string full = join_path(path, names - segments.size(), member.key);
        Written* at = &scope;
        for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
            auto& part = at->part(segments[i]);
            if (!part.below) part.below = std::make_shared<Written>();
            at = part.below.get();
        }
        const Node& value = member.value;
        if (value.kind == Kind::map) {
            auto& part = at->part(segments.back());
            if (!part.below) part.below = std::make_shared<Written>();
            // The reference may move while the object is read; the scope it owns does not.
            const auto below = part.below;
            warn_of_forgotten_list(member, in_or, report_);
            object(value, *below, full, names, in_or, false);
            return;
        }
        if (value.kind != Kind::list) {
            std::string message = fmt::format("\"{}\" must be an object or an array", member.key);
            if (is_operator(segments.back()) && !path.empty())
                message += fmt::format(": an operator stands in a list, [{{\"{}\": {}}}]", member.key,
                                       to_json(value));
            else
                message += fmt::format(": write [{}]", to_json(value));
            report_.error(value.place, std::move(message));
            return;
        }
        Field field;
        field.path = full;
        read_items(value, field, report_);
        field.place = member.key_place;
        warn_of_items(value, report_);
        auto& part = at->part(segments.back());
        if (part.field != none) {
            repeated(member.key_place, full);
            return;
        }
        part.field = static_cast<std::uint32_t>(body_.fields.size());
        body_.fields.push_back(std::move(field));
    }

    static std::string join_path(const std::string& path, std::size_t names_above, const std::string& key)
    {
        return names_above == 0 ? key : path + "." + key;  // the first name may be empty
    }

    void either(const Member& member, Written& scope, const std::string& path, std::size_t names)
    {
        const Node& list = member.value;
        if (list.kind != Kind::list) {
            report_.error(list.place, fmt::format("It must be an Array followed with $or, not {}",
                                                  kind_name(list.kind)));
            return;
        }
        // A list of lists is several `$or`s: YAML cannot repeat a key.
        std::size_t lists = 0;
        for (const Node& item : list.items) lists += item.kind == Kind::list ? 1 : 0;
        if (lists > 0 && lists == list.items.size()) {
            for (const Node& one : list.items) one_or(one, member.key_place, scope, path, names);
            return;
        }
        one_or(list, member.key_place, scope, path, names);
    }

    void one_or(const Node& list, const Place& place, Written& scope, const std::string& path,
                std::size_t names)
    {
        if (list.items.size() < 2)
            report_.error(list.place, "There must have at least 2 Objects in $or relationship");
        const std::size_t same = scope.ors.size();
        const std::string label = names == 0 ? "$or" : path + ".$or";
        WrittenOr made;
        made.label = same == 0 ? label : fmt::format("{}#{}", label, same + 1);
        made.place = place;
        for (const Node& item : list.items) {
            if (item.kind != Kind::map) {
                report_.error(item.place, fmt::format("Only JSON object is allowed in array of $or "
                                                      "relationship, not {}",
                                                      kind_name(item.kind)));
                continue;
            }
            object(item, made.branches.emplace_back(), path, names, true, true);
        }
        if (!made.branches.empty()) scope.ors.push_back(std::move(made));
    }

    void repeated(const Place& place, const std::string& path)
    {
        if (reported_.emplace(place.line, place.column).second)
            report_.error(place, fmt::format("Path `{}` cannot be allowed multiple times: list all its "
                                             "values in one place",
                                             path));
    }

    void check_paths(const Written& scope, std::vector<std::string>& added)
    {
        for (const auto& part : scope.parts) {
            if (part.field != none) {
                const Field& field = body_.fields[part.field];
                if (paths_.insert(field.path).second) added.push_back(field.path);
                else repeated(field.place, field.path);
            }
            if (part.below) check_paths(*part.below, added);
        }
        for (const auto& alternatives : scope.ors) {
            std::set<std::string> of_all;
            for (const auto& branch : alternatives.branches) {
                std::vector<std::string> here;
                check_paths(branch, here);
                for (const auto& path : here) paths_.erase(path);
                of_all.insert(here.begin(), here.end());
            }
            for (const auto& path : of_all) {
                paths_.insert(path);
                added.push_back(path);
            }
        }
    }

    Pattern::Body& body_;
    Report& report_;
    std::set<std::string> paths_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> reported_;
};

}  // namespace

std::optional<Pattern> compile_pattern(const Node& pattern, Report& report)
{
    const std::size_t before = report.errors();
    auto body = std::make_shared<Pattern::Body>();
    Written written;
    Compiler compiler(*body, report);
    compiler.root(pattern, written);
    compiler.check_paths(written);
    if (report.errors() > before || !expand(written, *body, report)) return std::nullopt;
    return Pattern(std::move(body));
}

}  // namespace eventyard::rules
