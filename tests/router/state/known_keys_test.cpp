// Keys of events that are taken once, as state.db keeps them.
#include "tests/router/state/state_fixture.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace std::chrono_literals;

namespace {

KnownEvent known(const std::string& bus, Sequence sequence)
{
    KnownEvent one{bus, {}, id_of(static_cast<std::uint8_t>(sequence)), sequence, WallTime{std::chrono::seconds{sequence}}, WallTime{std::chrono::seconds{sequence + 60}}};
    one.key[15] = static_cast<std::uint8_t>(sequence);
    return one;
}

std::vector<Sequence> sequences(const std::vector<KnownEvent>& all, const std::string& bus)
{
    std::vector<Sequence> out;
    for (const KnownEvent& one : all)
        if (one.bus == bus) out.push_back(one.sequence);
    return out;
}

}  // namespace

TEST_CASE("keys are kept over a restart, by bus and in order, until they are forgotten")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    CHECK(state->known_events()->empty());
    REQUIRE(put(*state, {KeysKnown{{known("a", 5), known("b", 6), known("a", 7), known("a", 9)}, {}}}).has_value());
    REQUIRE(put(*state, {KeysKnown{{known("a", 11)}, {{"a", 7}, {"c", 100}}}}).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    const auto all = state->known_events();
    REQUIRE(all.has_value());
    CHECK(sequences(*all, "a") == std::vector<Sequence>{9, 11});
    CHECK(sequences(*all, "b") == std::vector<Sequence>{6});
    const KnownEvent& one = all->front();
    const KnownEvent wanted = known("a", 9);
    CHECK(one.key == wanted.key);
    CHECK(one.event == wanted.event);
    CHECK(one.since == wanted.since);
    CHECK(one.until == wanted.until);
    REQUIRE(put(*state, {KeysKnown{{known("b", 12)}, {{"b", 12}}}}).has_value());  // forgotten in the same batch
    CHECK(sequences(*state->known_events(), "b").empty());
}

TEST_CASE("keys are salvaged from a damaged file")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {KeysKnown{{known("a", 5), known("b", 6)}, {}}}).has_value());
    state->stop();
    damage_first_page(dir);
    state = open_state(dir.file("state.db"));
    CHECK(state->report().set_aside);
    const auto all = state->known_events();
    REQUIRE(all.has_value());
    CHECK(sequences(*all, "a") == std::vector<Sequence>{5});
    CHECK(sequences(*all, "b") == std::vector<Sequence>{6});
}

TEST_CASE("a file of format 5 is brought to the present one, and then keeps keys")
{
    const support::TempDir dir;
    dir.write("state.db", support::read_text(EVENTYARD_SOURCE_DIR "/tests/cases/state/format-5.db"));
    auto state = open_state(dir.file("state.db"));
    CHECK(state->report().upgraded_from == 5);
    CHECK_FALSE(state->report().set_aside);
    REQUIRE(state->snapshot().targets.size() == 2);
    CHECK(position(state->snapshot(), "a")->retries == 1);
    CHECK(position(state->snapshot(), "a")->dead_letters == 1);
    CHECK(letter(*state, 1).first.input == R"({"path":"$.detail"})");
    CHECK(state->known_events()->empty());
    REQUIRE(put(*state, {KeysKnown{{known("a", 5)}, {}}}).has_value());
    CHECK(state->known_events()->size() == 1);
}

TEST_CASE("keys of what the journal has lost go, and then what is added stays")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {KeysKnown{{known("a", 5), known("b", 6), known("a", 7), known("b", 9)}}}).has_value());
    KeysKnown change{{known("a", 8)}};
    change.gone = {{6, 8}, {100, UINT64_MAX >> 1U}};
    REQUIRE(put(*state, {change}).has_value());
    CHECK(sequences(*state->known_events(), "a") == std::vector<Sequence>{5, 8});
    CHECK(sequences(*state->known_events(), "b") == std::vector<Sequence>{9});
    REQUIRE(put(*state, {EventErased{id_of(5), {5}}}).has_value());
    CHECK(sequences(*state->known_events(), "a") == std::vector<Sequence>{8});
}
