// What a cut may leave, and what it may not.
#include <catch2/catch.hpp>
#include <set>

#include "tests/power/platter.hpp"

using namespace eventyard::power;

namespace {

/// All the different ways in which a path comes through many cuts.
std::set<std::optional<std::string>> ways(const Platter& platter, const std::string& path)
{
    std::set<std::optional<std::string>> found;
    for (unsigned seed = 0; seed < 500; ++seed) {
        Random random{seed};
        const Tree tree = platter.cut(random);
        const auto at = tree.find(path);
        found.insert(at == tree.end() ? std::nullopt : at->second);
    }
    return found;
}

using Ways = std::set<std::optional<std::string>>;
const std::string a(512, 'a'), b(512, 'b'), c(512, 'c'), zeros(512, '\0');

}  // namespace

TEST_CASE("what was synced survives, and what is torn is torn at 512 bytes")
{
    Platter platter{{{"/d/f", a + a}}};
    const auto file = *platter.find("/d/f");
    CHECK(ways(platter, "/d/f") == Ways{a + a});
    platter.write(file, 0, b + b);
    CHECK(ways(platter, "/d/f") == Ways{a + a, a + b, b + a, b + b});
    platter.sync_file(file, platter.now());
    CHECK(ways(platter, "/d/f") == Ways{b + b});
}

TEST_CASE("a sector may hold any content it had since the sync")
{
    Platter platter{{{"/d/f", a}}};
    const auto file = *platter.find("/d/f");
    platter.write(file, 0, b);
    platter.write(file, 0, c);
    CHECK(ways(platter, "/d/f") == Ways{a, b, c});
}

TEST_CASE("a file that grew may have its old length, or the new one and zeros")
{
    Platter platter{{{"/d/f", ""}}};
    const auto file = *platter.find("/d/f");
    platter.write(file, 0, a + b);
    const Ways found = ways(platter, "/d/f");
    CHECK(found == Ways{"", zeros + zeros, a + zeros, zeros + b, a + b});
}

TEST_CASE("a truncation happens as a whole, and what was written after it only with it")
{
    Platter platter{{{"/d/f", a + a}}};
    const auto file = *platter.find("/d/f");
    platter.truncate(file, 0);
    platter.write(file, 0, b);
    CHECK(ways(platter, "/d/f") == Ways{a + a, "", zeros, b});
}

TEST_CASE("a sync covers what was changed before it began")
{
    Platter platter{{{"/d/f", a}}};
    const auto file = *platter.find("/d/f");
    platter.write(file, 0, b);
    const auto began = platter.now();
    platter.write(file, 0, c);
    platter.sync_file(file, began);
    CHECK(ways(platter, "/d/f") == Ways{b, c});
}

TEST_CASE("a name is safe when its directory is synced, and its bytes when it is itself")
{
    Platter platter{{{"/d", std::nullopt}}};
    const auto file = platter.create("/d/f");
    platter.write(file, 0, a);
    SECTION("the directory alone")
    {
        platter.sync_directory("/d", platter.now());
        CHECK(ways(platter, "/d/f") == Ways{"", zeros, a});
    }
    SECTION("the file alone")
    {
        platter.sync_file(file, platter.now());
        CHECK(ways(platter, "/d/f") == Ways{std::nullopt, a});
    }
    SECTION("both")
    {
        platter.sync_file(file, platter.now());
        platter.sync_directory("/d", platter.now());
        CHECK(ways(platter, "/d/f") == Ways{a});
    }
}

TEST_CASE("a file that replaces another leaves one of them")
{
    Platter platter{{{"/d/new", b}, {"/d/old", a}}};
    platter.rename("/d/new", "/d/old");
    CHECK(ways(platter, "/d/old") == Ways{a, b});
    CHECK(ways(platter, "/d/new") == Ways{std::nullopt, b});
    platter.sync_directory("/d", platter.now());
    CHECK(ways(platter, "/d/old") == Ways{b});
    CHECK(ways(platter, "/d/new") == Ways{std::nullopt});
}

TEST_CASE("a file that is removed may come back, and a directory that is lost takes all with it")
{
    Platter platter{{{"/d/f", a}}};
    platter.unlink("/d/f");
    CHECK(ways(platter, "/d/f") == Ways{std::nullopt, a});

    platter.make_directory("/d/below");
    const auto file = platter.create("/d/below/g");
    platter.write(file, 0, a);
    platter.sync_file(file, platter.now());
    platter.sync_directory("/d/below", platter.now());
    CHECK(ways(platter, "/d/below/g") == Ways{std::nullopt, a});
    platter.sync_directory("/d", platter.now());
    CHECK(ways(platter, "/d/below/g") == Ways{a});
}
