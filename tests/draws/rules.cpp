#include "tests/draws/rules.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace eventyard::draws {
namespace {

struct Asked {
    std::vector<std::string> path;  // below the scope
    Tree items;
};

class Writer {
public:
    Writer(const Vocabulary& words, Dice& random) : words_(words), random_(random) {}

    Tree items()
    {
        Tree list = Tree::array();
        for (std::size_t n = random_.below(5) == 0 ? random_.between(2, 4) : 1; n > 0; --n)
            list.items.push_back(draw_item(random_.pick(words_.forms), words_, random_));
        return list;
    }

    /// The object for fields that lie below one scope; some may move into `$or`s there.
    Tree scope(std::vector<Asked> fields, std::size_t depth)
    {
        Tree out = Tree::object();
        // What the branches may be made of: fields below this scope that stand nowhere else.
        for (std::size_t ors = 0; depth > 0 && ors < 3 && fields.size() > ors && random_.chance(words_.or_percent); ++ors) {
            const std::size_t moved = random_.between(1, std::min<std::size_t>(2, fields.size()));
            std::vector<Asked> taken(std::make_move_iterator(fields.end() - static_cast<std::ptrdiff_t>(moved)),
                                     std::make_move_iterator(fields.end()));
            fields.resize(fields.size() - moved);
            Tree either = Tree::array();
            either.items.push_back(scope(taken, depth - 1));
            for (std::size_t n = random_.between(1, 3); n > 0; --n) {
                std::vector<Asked> branch;
                for (const Asked& asked : taken)
                    if (branch.empty() || random_.chance(60)) branch.push_back({asked.path, items()});
                if (random_.chance(40)) {  // another path: it may straddle what stands outside
                    Asked other{random_.pick(words_.paths), items()};
                    if (random_.chance(50)) other.path.back() += "x";
                    const bool stands = std::any_of(branch.begin(), branch.end(),
                                                    [&](const Asked& a) { return a.path == other.path; });
                    if (!stands) branch.push_back(std::move(other));
                }
                either.items.push_back(scope(std::move(branch), depth - 1));
            }
            random_.shuffle(either.items);
            if (out.items.empty() || random_.chance(70)) out.add("$or", std::move(either));
            else if (out.items.back().key == "$or" && out.items.back().items.front().is(Tree::Kind::object))
                out.items.back() = lists(std::move(out.items.back()), std::move(either));
            else out.add("$or", std::move(either));
        }
        while (!fields.empty()) {
            Asked first = std::move(fields.front());
            fields.erase(fields.begin());
            if (first.path.size() == 1) {
                out.add(first.path.front(), std::move(first.items));
                continue;
            }
            if (random_.chance(words_.dotted_percent)) {
                const std::size_t joined = random_.between(2, first.path.size());
                std::string key = first.path.front();
                for (std::size_t i = 1; i < joined; ++i) key += "." + first.path[i];
                first.path.erase(first.path.begin(), first.path.begin() + static_cast<std::ptrdiff_t>(joined));
                Tree value = first.path.empty() ? std::move(first.items) : scope({std::move(first)}, 0);
                out.add(std::move(key), std::move(value));
                continue;
            }
            const std::string name = first.path.front();
            std::vector<Asked> below;
            below.push_back(std::move(first));
            for (std::size_t i = 0; i < fields.size();) {
                if (fields[i].path.size() > 1 && fields[i].path.front() == name && random_.chance(95)) {
                    below.push_back(std::move(fields[i]));
                    fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(i));
                } else {
                    ++i;
                }
            }
            for (Asked& asked : below) asked.path.erase(asked.path.begin());
            out.add(name, scope(std::move(below), depth));
        }
        if (random_.chance(30)) random_.shuffle(out.items);
        return out;
    }

private:
    /// Two `$or`s as a list of lists.
    static Tree lists(Tree first, Tree second)
    {
        first.key.clear();
        Tree both = Tree::array();
        both.items.push_back(std::move(first));
        both.items.push_back(std::move(second));
        both.key = "$or";
        return both;
    }

    const Vocabulary& words_;
    Dice& random_;
};

void spell_keys(Tree& tree, Dice& random)
{
    for (Tree& item : tree.items) {
        if (tree.is(Tree::Kind::object) && item.key != "$or" && random.below(40) == 0)
            item.key_spelled = spell_oddly(item.key, random);
        spell_keys(item, random);
    }
}

Tree equal(std::string text) { return Tree::array({Tree::string(std::move(text))}); }
Tree with(const char* name, std::string text)
{
    return Tree::array({Tree::object(name, Tree::string(std::move(text)))});
}
Tree numeric(std::vector<Tree> terms)
{
    return Tree::array({Tree::object("numeric", Tree::array(std::move(terms)))});
}

}  // namespace

Tree draw_pattern(const Vocabulary& words, Dice& random)
{
    Writer writer(words, random);
    std::vector<Asked> fields;
    for (std::size_t n = random.between(1, words.fields_max); n > 0; --n) {
        const auto& path = random.pick(words.paths);
        const bool stands =
            std::any_of(fields.begin(), fields.end(), [&](const Asked& asked) { return asked.path == path; });
        if (!stands) fields.push_back({path, writer.items()});
    }
    Tree pattern = writer.scope(std::move(fields), 2);
    if (random.below(10) == 0) spell_keys(pattern, random);
    return pattern;
}

Tree draw_wide_or(std::size_t branches, const Vocabulary& words, Dice& random)
{
    Tree either = Tree::array();
    for (std::size_t i = 0; i < branches; ++i) {
        Tree branch = Tree::object("id", random.chance(70) ? equal(fmt::format("v{}", i))
                                                           : Writer(words, random).items());
        if (random.chance(30)) branch.add("state", equal(random.pick(words.strings)));
        either.items.push_back(std::move(branch));
    }
    Tree below = Tree::object("$or", std::move(either));
    if (random.chance(50)) below.add("tags", Writer(words, random).items());
    Tree pattern = Tree::object("items", std::move(below));
    if (random.chance(50)) pattern.add("source", Writer(words, random).items());
    return pattern;
}

std::vector<Tree> draw_family(std::size_t family, std::size_t size, Dice& random)
{
    std::vector<Tree> rules;
    rules.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
        const auto some = [&](std::size_t n) { return random.below(n); };
        Tree detail = Tree::object();
        Tree rule = Tree::object();
        switch (family) {
            case 0:
                rule.add("source", equal(fmt::format("s{}", some(20))));
                rule.add("detail-type", equal(fmt::format("t{}", some(30))));
                detail.add("tenant", equal(fmt::format("x{}", i / 3)));
                detail.add("amount", numeric({Tree::string(">="), Tree::number(std::to_string(some(1000)))}));
                detail.add("region", with("prefix", fmt::format("r{}", some(50))));
                break;
            case 1: detail.add("name", with("prefix", std::to_string(some(size * 2)))); break;
            case 2: detail.add("name", with(some(2) == 0 ? "suffix" : "exactly", fmt::format("{}x", some(size)))); break;
            case 3: detail.add("name", with("wildcard", fmt::format("*w{}*x{}*", some(size), some(size)))); break;
            case 4: {
                const std::size_t low = some(size);
                detail.add("amount", numeric({Tree::string(some(2) == 0 ? ">" : ">="), Tree::number(std::to_string(low)),
                                              Tree::string(some(2) == 0 ? "<" : "<="),
                                              Tree::number(fmt::format("{}.5", low + some(20)))}));
                break;
            }
            case 5:
                detail.add("tenant", equal(fmt::format("x{}", some(size))));
                detail.add("gone", Tree::array({Tree::object("exists", Tree::literal("false"))}));
                detail.add("state", with("anything-but", fmt::format("s{}", some(5))));
                break;
            case 6:
                detail.add("items", Tree::object("id", equal(fmt::format("i{}", some(size)))));
                detail.items.back().add("state", equal(fmt::format("s{}", some(8))));
                break;
            case 7: {
                Tree either = Tree::array();
                for (std::size_t n = 2 + some(4); n > 0; --n)
                    either.items.push_back(Tree::object(some(2) == 0 ? "a" : "b", equal(fmt::format("o{}", some(size)))));
                detail.add("$or", std::move(either));
                detail.add("c", equal(fmt::format("c{}", some(4))));
                break;
            }
            case 8: detail.add("name", with("equals-ignore-case", fmt::format("Name-{}-\u212a\u00df", some(size)))); break;
            case 9: detail.add("name", with("regex", fmt::format("(a|b)*-w{}-.*", some(size)))); break;
            case 10:
                detail.add("ip", with("cidr", fmt::format("10.{}.{}.0/{}", some(256), some(256), 16 + some(17))));
                break;
            // Pairs and triples of exact values, none of which tells many rules apart by itself.
            case 11:  // at a path and below it
                detail.add("items", equal(fmt::format("v{}", some(40))));
                detail.add("items.id", equal(fmt::format("i{}", some(40))));
                break;
            case 12: {  // in one element of an array
                Tree element = Tree::object("id", equal(fmt::format("i{}", some(40))));
                element.add("state", equal(fmt::format("s{}", some(40))));
                if (some(3) == 0) element.add("tags", Tree::object("id", equal(fmt::format("t{}", some(10)))));
                detail.add("items", std::move(element));
                break;
            }
            case 13:  // in two arrays
                detail.add("items", Tree::object("id", equal(fmt::format("i{}", some(40)))));
                detail.add("tags", Tree::object("id", equal(fmt::format("t{}", some(40)))));
                if (some(2) == 0) rule.add("source", equal(fmt::format("s{}", some(10))));
                break;
            default:
                detail.add("a", equal(fmt::format("a{}", some(100))));
                detail.add("b", equal(fmt::format("b{}", some(size / 100 + 1))));
                break;
        }
        rule.add("detail", std::move(detail));
        rules.push_back(std::move(rule));
    }
    return rules;
}

}  // namespace eventyard::draws
