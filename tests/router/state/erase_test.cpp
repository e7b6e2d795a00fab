// What the state holds of an event's body is overwritten, in the file and in its log; the trail stays.
#include <fstream>
#include <iterator>

#include "tests/router/state/state_fixture.hpp"

namespace eventyard::router {
namespace {

constexpr const char* secret = "Ludmilla";

bool holds_secret(const support::TempDir& dir)
{
    for (const char* const name : {"state.db", "state.db-wal"}) {
        std::ifstream file(dir.file(name), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        if (bytes.find(secret) != std::string::npos) return true;
    }
    return false;
}

std::string secret_body(std::size_t size) { return std::string(R"({"name":")") + secret + std::string(size, 'x') + "\"}"; }

/// A dead letter whose receiver answered with what it had got.
Ended echoed(const std::string& target, Sequence sequence, const Id& event, std::size_t size)
{
    Ended change = dead(target, {sequence, 0}, secret_body(size), "elsewhere");
    change.dead_letter->event = event;
    change.dead_letter->last_response = std::string("no such person: ") + secret;
    change.attempt->response = change.dead_letter->last_response;
    return change;
}

Result<void> erase(State& state, EventErased erased)
{
    std::promise<Result<void>> done;
    state.erase(std::move(erased), [&](Result<void> result) { done.set_value(std::move(result)); });
    return done.get_future().get();
}

}  // namespace

TEST_CASE("dead letters of an erased event stay listed, without body and without what receivers answered")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    const Id forgotten = id_of(3);
    Ended other = echoed("a", 1, id_of(4), 10);  // the same sequence: of another event, as after a rename
    other.target = other.dead_letter->target = "b";
    other.dead_letter->body = R"({"other":1})";
    other.dead_letter->last_response = other.attempt->response = "no";
    REQUIRE(put(*state, {echoed("a", 1, forgotten, 10), echoed("a", 2, forgotten, 60'000), other}).has_value());
    REQUIRE(letters(*state, {.event = forgotten}).size() == 2);
    REQUIRE(holds_secret(dir));

    REQUIRE(erase(*state, {forgotten, {1, 2}}).has_value());
    CHECK_FALSE(holds_secret(dir));
    CHECK(letters(*state).size() == 3);
    for (const DeadLetter& one : letters(*state, {.event = forgotten, .bodies = true, .trails = true})) {
        CHECK(one.format == EventFormat::erased);
        CHECK(one.body == erased_body);
        CHECK(one.last_response.empty());
        CHECK(one.last_status == 500);
        CHECK(one.forward_to.empty());
        REQUIRE(one.trail.size() == 1);
        CHECK(one.trail[0].response.empty());
        CHECK(one.trail[0].status == 500);
    }
    const auto kept = letter(*state, 3).first;
    CHECK(kept.body == R"({"other":1})");
    const auto groups = wait<std::vector<DeadLetterGroup>>([&](auto done) { state->dead_letter_groups("a", done); });
    REQUIRE(groups.value().size() == 1);
    CHECK(groups->front().letters == 2);
    CHECK(groups->front().bytes == 2 * erased_body.size());
    CHECK(groups->front().fingerprint == "erased");

    REQUIRE(erase(*state, {forgotten, {1, 2}}).has_value());  // again
    CHECK(letters(*state).size() == 3);
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(letters(*state, {.event = forgotten}).size() == 2);
    REQUIRE(put(*state, {DeadLetterDiscarded{1}, DeadLetterDiscarded{2}}).has_value());
    CHECK(wait<std::vector<DeadLetterGroup>>([&](auto done) { state->dead_letter_groups("a", done); }).value().empty());
}

TEST_CASE("what left the state before leaves nothing in its file's free pages")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    std::vector<Change> many;
    for (Sequence n = 1; n <= 60; ++n) many.emplace_back(echoed("a", n, id_of(3), n * 400));
    REQUIRE(put(*state, std::move(many)).has_value());
    for (std::int64_t id = 1; id <= 60; ++id) REQUIRE(put(*state, {DeadLetterDiscarded{id}}).has_value());
    REQUIRE(erase(*state, {id_of(3), {}}).has_value());
    CHECK_FALSE(holds_secret(dir));
}

TEST_CASE("a redriven letter of an erased event loses its body as well")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {echoed("a", 1, id_of(3), 10)}).has_value());
    RetryRow row;
    row.target = "a";
    row.key = {1, 0};
    row.rule = "rule";
    row.event = id_of(3);
    row.letter = 1;
    REQUIRE(put(*state, {Redriven{row}}).has_value());
    REQUIRE(erase(*state, {id_of(3), {1}}).has_value());
    CHECK_FALSE(holds_secret(dir));
    const DeadLetter left = letter(*state, 1).first;
    CHECK(left.format == EventFormat::erased);
    CHECK(left.group == 0);
}

}  // namespace eventyard::router
