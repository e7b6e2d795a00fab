// The evaluator against the definition taken literally: every way of taking `$or` branches, every
// assignment of witnesses, on small random patterns and events. Shares no code with rules/.
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "rules/evaluate.hpp"
#include "rules/rule_set.hpp"

using namespace eventyard;

namespace {

// ---- events and patterns as the oracle sees them ------------------------------------------------

struct Json {
    enum Kind { scalar, array, object } kind = scalar;
    int number = 0;
    std::vector<std::pair<std::string, Json>> members;
    std::vector<Json> items;

    std::string text() const
    {
        std::string out;
        if (kind == scalar) return std::to_string(number);
        if (kind == array) {
            for (const auto& item : items) out += (out.empty() ? "" : ",") + item.text();
            return "[" + out + "]";
        }
        for (const auto& [key, value] : members)
            out += (out.empty() ? "\"" : ",\"") + key + "\":" + value.text();
        return "{" + out + "}";
    }
};

struct Item {
    enum Kind { equals, anything_but, exists, missing, none_of, all_of } kind = equals;
    std::vector<int> numbers;

    std::string text() const
    {
        std::string list;
        for (const int n : numbers) list += (list.empty() ? "" : ",") + std::to_string(n);
        switch (kind) {
            case equals: return list;
            case anything_but: return "{\"anything-but\":[" + list + "]}";
            case exists: return "{\"exists\":true}";
            case missing: return "{\"exists\":false}";
            case none_of: return "{\"none-of\":[" + list + "]}";
            case all_of: return "{\"all-of\":[" + list + "]}";
        }
        return {};
    }
    bool lists(int n) const { return std::find(numbers.begin(), numbers.end(), n) != numbers.end(); }
};

struct Scope {
    std::vector<std::pair<std::string, std::vector<Item>>> fields;
    std::vector<std::pair<std::string, Scope>> scopes;
    std::vector<std::vector<Scope>> ors;

    std::string text() const
    {
        std::string out;
        const auto next = [&] { out += out.empty() ? "" : ","; };
        for (const auto& [key, items] : fields) {
            std::string list;
            for (const auto& item : items) list += (list.empty() ? "" : ",") + item.text();
            next();
            out += "\"" + key + "\":[" + list + "]";
        }
        for (const auto& [key, below] : scopes) {
            next();
            out += "\"" + key + "\":" + below.text();
        }
        for (const auto& branches : ors) {
            std::string list;
            for (const auto& branch : branches) list += (list.empty() ? "" : ",") + branch.text();
            next();
            out += "\"$or\":[" + list + "]";
        }
        return "{" + out + "}";
    }
};

// ---- the definition -----------------------------------------------------------------------------

using Chain = std::map<std::string, int>;  // array -> element taken

struct Leaf {
    std::string path;
    Chain chain;
    int number = 0;
};

bool agree(const Chain& a, const Chain& b)
{
    for (const auto& [array, element] : a)
        if (const auto other = b.find(array); other != b.end() && other->second != element) return false;
    return true;
}

class Leaves {
public:
    std::vector<Leaf> all;

    void walk(const Json& value, const std::string& path, int depth, const Chain& chain, const Chain& at_key)
    {
        if (value.kind == Json::scalar) {
            all.push_back({path, at_key, value.number});
        } else if (value.kind == Json::object) {
            for (const auto& [key, below] : value.members)
                walk(below, path.empty() ? key : path + "." + key, 0, chain, chain);
        } else {
            std::string id = path + "#" + std::to_string(depth) + "|";
            for (const auto& [array, element] : chain) id += array + "=" + std::to_string(element) + ";";
            for (const auto& item : value.items) {
                Chain inner = chain;
                inner[id] = next_[id]++;  // arrays of one identity are one array
                walk(item, path, depth + 1, inner, at_key);
            }
        }
    }

private:
    std::map<std::string, int> next_;
};

using Fields = std::vector<std::pair<std::string, std::vector<Item>>>;

/// Every way of taking one branch of each `$or`.
std::vector<Fields> expansions(const Scope& scope, const std::string& path)
{
    std::vector<Fields> all{{}};
    const auto times = [&](const std::vector<Fields>& more) {
        std::vector<Fields> product;
        for (const auto& a : all)
            for (const auto& b : more) {
                product.push_back(a);
                product.back().insert(product.back().end(), b.begin(), b.end());
            }
        all = std::move(product);
    };
    const auto full = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
    for (const auto& [key, items] : scope.fields) times({{{full(key), items}}});
    for (const auto& [key, below] : scope.scopes) times(expansions(below, full(key)));
    for (const auto& branches : scope.ors) {
        std::vector<Fields> either;
        for (const auto& branch : branches)
            for (auto& one : expansions(branch, path)) either.push_back(std::move(one));
        times(either);
    }
    return all;
}

/// The chains of all possible witnesses of one field.
std::set<Chain> witnesses(const std::vector<Leaf>& leaves, const std::string& path, const std::vector<Item>& items)
{
    std::set<Chain> chains;
    std::map<Chain, std::set<int>> numbers;
    for (const auto& leaf : leaves) {
        if (leaf.path != path) continue;
        numbers[leaf.chain].insert(leaf.number);
        for (const auto& item : items)
            if (item.kind == Item::exists || (item.kind == Item::equals && item.lists(leaf.number)) ||
                (item.kind == Item::anything_but && !item.lists(leaf.number)))
                chains.insert(leaf.chain);
    }
    for (const auto& item : items)
        if (item.kind == Item::all_of)
            for (const auto& [chain, there] : numbers)
                if (std::all_of(item.numbers.begin(), item.numbers.end(), [&](int n) { return there.count(n); }))
                    chains.insert(chain);
    return chains;
}

bool absent(const std::vector<Leaf>& leaves, const std::string& path, const std::vector<Item>& items,
            const Chain& choice)
{
    for (const auto& item : items) {
        if (item.kind != Item::missing && item.kind != Item::none_of) continue;
        const bool blocked = std::any_of(leaves.begin(), leaves.end(), [&](const Leaf& leaf) {
            return leaf.path == path && agree(leaf.chain, choice) &&
                   (item.kind == Item::missing || item.lists(leaf.number));
        });
        if (!blocked) return true;
    }
    return false;
}

bool assign(const std::vector<Leaf>& leaves, const Fields& fields, std::size_t i, const Chain& choice,
            std::vector<std::size_t>& absences)
{
    if (i == fields.size())
        return std::all_of(absences.begin(), absences.end(), [&](std::size_t f) {
            return absent(leaves, fields[f].first, fields[f].second, choice);
        });
    for (const Chain& chain : witnesses(leaves, fields[i].first, fields[i].second)) {
        if (!agree(chain, choice)) continue;
        Chain together = choice;
        together.insert(chain.begin(), chain.end());
        if (assign(leaves, fields, i + 1, together, absences)) return true;
    }
    absences.push_back(i);
    const bool good = assign(leaves, fields, i + 1, choice, absences);
    absences.pop_back();
    return good;
}

bool by_definition(const Scope& pattern, const Json& event)
{
    Leaves leaves;
    leaves.walk(event, "", 0, {}, {});
    for (const Fields& fields : expansions(pattern, "")) {
        std::vector<std::size_t> absences;
        if (assign(leaves.all, fields, 0, {}, absences)) return true;
    }
    return false;
}

// ---- draws --------------------------------------------------------------------------------------

class Draw {
public:
    explicit Draw(std::uint64_t seed) : random_(seed) {}

    int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
    bool chance(int percent) { return below(100) < percent; }

    std::string key()
    {
        std::string key(1, static_cast<char>('a' + below(3)));
        if (chance(12)) key += "." + std::string(1, static_cast<char>('a' + below(3)));
        return key;
    }

    Json value(int depth)
    {
        Json json;
        const int kind = depth == 0 ? 0 : below(10);
        if (kind < 3) {
            json.number = below(3);
        } else if (kind < 7) {
            json.kind = Json::array;
            for (int n = below(4); n > 0; --n) json.items.push_back(value(depth - 1));
        } else {
            return object(depth - 1);
        }
        return json;
    }

    Json object(int depth)
    {
        Json json;
        json.kind = Json::object;
        for (int n = below(4); n > 0; --n) json.members.emplace_back(key(), value(depth));
        return json;
    }

    std::vector<Item> items()
    {
        std::vector<Item> list;
        for (int n = chance(20) ? 2 : 1; n > 0; --n) {
            Item item;
            const int kind = below(14);
            item.kind = kind < 7    ? Item::equals
                        : kind < 8  ? Item::anything_but
                        : kind < 9  ? Item::exists
                        : kind < 11 ? Item::missing
                        : kind < 13 ? Item::none_of
                                    : Item::all_of;
            item.numbers.push_back(below(3));
            if (item.kind != Item::equals && chance(30)) item.numbers.push_back(below(3));
            list.push_back(item);
        }
        return list;
    }

    Scope scope(int depth)
    {
        Scope scope;
        do {
            for (int n = below(3); n > 0; --n) {
                if (depth > 0 && chance(55)) scope.scopes.emplace_back(key(), this->scope(depth - 1));
                else scope.fields.emplace_back(key(), items());
            }
            if (depth > 0 && chance(30)) {
                auto& branches = scope.ors.emplace_back();
                for (int n = 2 + below(2); n > 0; --n) branches.push_back(this->scope(depth - 1));
            }
        } while (scope.fields.empty() && scope.scopes.empty() && scope.ors.empty());
        return scope;
    }

private:
    std::mt19937_64 random_;
};

}  // namespace

TEST_CASE("The evaluator agrees with the definition on random patterns and events")
{
    Draw draw(20240611);
    json::Document event;
    rules::Projection projection;
    int compared = 0;
    int matched = 0;
    while (compared < 150'000) {
        const Scope scope = draw.scope(3);
        Report report;
        const auto tree = rules::read_pattern_text(scope.text(), {}, report);
        REQUIRE(tree);
        const auto pattern = rules::compile_pattern(*tree, report);
        if (!pattern) continue;  // a repeated path
        for (int i = 0; i < 6; ++i) {
            const Json json = draw.object(4);
            const std::string text = json.text();
            json::SyntaxError error;
            REQUIRE(event.parse(text, {}, error));
            const bool wanted = by_definition(scope, json);
            const bool got = rules::matches(*pattern, event);
            if (wanted != got) FAIL(scope.text() << " on " << text << ": by definition " << wanted);
            projection.build(pattern->body().positions, event);
            const bool searched =
                rules::Evaluator(pattern->body(), event, projection, nullptr).run_by_search();
            if (wanted != searched) FAIL("search: " << scope.text() << " on " << text);
            matched += wanted ? 1 : 0;
            ++compared;
        }
    }
    CHECK(matched > compared / 10);
    CHECK(matched < compared / 10 * 9);
}
