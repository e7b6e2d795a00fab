// Dead letters in groups and by filter, redriven, dead again, discarded, and over an upgrade.

#include "router/state/salvage.hpp"
#include "tests/router/state/state_fixture.hpp"

namespace eventyard::router {
namespace {

Ended dead_of(const std::string& target, Sequence sequence, const std::string& error, std::int64_t at = 20)
{
    Ended change = dead(target, {sequence, 0});
    change.dead_letter->last_detail = error;
    change.dead_letter->last_response.clear();
    change.dead_letter->dead = wall(at);
    return change;
}

RetryRow row_for(const DeadLetter& letter)
{
    RetryRow row;
    row.target = letter.target;
    row.key = letter.key;
    row.rule = letter.rule;
    row.event = letter.event;
    row.due = wall(100);
    row.received = wall(100);
    row.letter = letter.id;
    row.earlier = letter.attempts;
    return row;
}

std::vector<DeadLetterGroup> groups(State& state, const std::string& target = {})
{
    auto found = wait<std::vector<DeadLetterGroup>>(
        [&](auto done) { state.dead_letter_groups(target, done); });
    if (!found.has_value()) FAIL(found.error().what);
    return *found;
}

TrialResult trial(State& state, const std::string& target, DeliveryKey key)
{
    auto found = wait<std::vector<TrialResult>>([&](auto done) { state.trial({{target, key}}, done); });
    if (!found.has_value()) FAIL(found.error().what);
    return found->front();
}

std::uint64_t total(State& state, Ending ending)
{
    std::uint64_t sum = 0;
    for (const LedgerRow& row : ledger(state))
        if (const auto found = row.ended.find(ending); found != row.ended.end()) sum += found->second;
    return sum;
}

TEST_CASE("dead letters gather in groups by target, cause and what their errors have in common")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {dead_of("a", 1, "HTTP 500", 20), dead_of("a", 2, "HTTP 500", 30), dead_of("a", 3, "HTTP 400"),
                         dead_of("b", 4, "connect 10.0.0.7:81 refused"), dead_of("b", 5, "connect 10.0.0.8:9 refused")})
                .has_value());
    const auto all = groups(*state);
    REQUIRE(all.size() == 3);
    CHECK(all[0].target == "a");
    CHECK(all[0].fingerprint == "HTTP 500");
    CHECK(all[0].letters == 2);
    CHECK(all[0].bytes == 14);
    CHECK(all[0].first == wall(20));
    CHECK(all[0].last == wall(30));
    CHECK(all[0].sample.id == 2);
    CHECK(all[1].fingerprint == "connect # refused");
    CHECK(all[1].letters == 2);
    CHECK(all[2].letters == 1);
    CHECK(groups(*state, "b").size() == 1);
    CHECK(groups(*state, "nobody").empty());

    CHECK(letters(*state, {.group = all[1].id}).size() == 2);
    CHECK(letters(*state, {.dead_from = wall(21)}).size() == 1);
    CHECK(letters(*state, {.dead_before = wall(21)}).size() == 4);
    CHECK(letters(*state, {.ids = {2, 4, 99}}).size() == 2);
    CHECK(letters(*state, {.until_id = 3}).size() == 3);
    CHECK(letters(*state, {.reason = "max_age"}).empty());
    const auto whole = letters(*state, {.target = "a", .bodies = true, .trails = true});
    REQUIRE(whole.size() == 3);
    CHECK(whole[0].body == R"({"a":1})");
    CHECK(whole[0].trail.size() == 1);

    REQUIRE(put(*state, {DeadLetterDiscarded{4}, DeadLetterDiscarded{5}}).has_value());
    CHECK(groups(*state).size() == 2);
    CHECK(groups(*state, "b").empty());
}

TEST_CASE("pages of dead letters end at their limit and say where to go on")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    std::vector<Change> many;
    for (Sequence n = 1; n <= 25; ++n) many.push_back(dead("a", {n, 0}, std::string(1U << 20, 'x')));
    REQUIRE(put(*state, std::move(many)).has_value());
    std::size_t seen = 0, pages = 0;
    DeadLetterFilter filter{.limit = 20, .bodies = true};
    for (bool more = true; more; ++pages) {
        const auto page = wait<DeadLetterPage>([&](auto done) { state->dead_letters(filter, done); });
        REQUIRE(page.has_value());
        CHECK(page->letters.size() < 20);  // their bodies are enough
        seen += page->letters.size();
        filter.after_id = page->through;
        more = page->more;
    }
    CHECK(seen == 25);
    CHECK(pages == 3);
}

TEST_CASE("a redriven dead letter is pending again, keeps its body, and ends like any delivery")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {dead_of("a", 1, "HTTP 500"), dead_of("a", 2, "HTTP 500"), dead_of("a", 3, "HTTP 500")}).has_value());
    for (const DeadLetter& letter : letters(*state)) REQUIRE(put(*state, {Redriven{row_for(letter)}}).has_value());
    REQUIRE(put(*state, {Redriven{row_for(letter(*state, 1).first)}}).has_value());  // twice is once
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(letters(*state).empty());
    CHECK(groups(*state).empty());
    CHECK(total(*state, Ending::dead_lettered) == 0);
    CHECK(position(state->snapshot(), "a")->retries == 3);
    CHECK(position(state->snapshot(), "a")->dead_letters == 0);
    const auto rows = due(*state, "a", 100);
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].letter == 1);
    CHECK(rows[0].earlier == 4);
    CHECK(rows[0].attempts == 0);
    CHECK(letter(*state, 1).first.body == R"({"a":1})");
    CHECK(letter(*state, 1).first.redrives == 1);
    CHECK(trial(*state, "a", {1, 0}).state == TrialResult::State::waiting);
    // Segments need not be kept for it.
    CHECK(needed(*state, {{1, 10, 0}}).ranges.front().retries == 0);

    // Delivered: nothing is left of it.
    Ended delivered = ended("a", {1, 0});
    delivered.redriven = true;
    // Failed again: its attempts add up.
    RetryRow failing = rows[1];
    failing.attempts = 1;
    // Dead again: a new letter that knows of the redrive.
    Ended again = dead_of("a", 3, "HTTP 404", 90);
    again.redriven = true;
    again.dead_letter->attempts = 5;
    REQUIRE(put(*state, {delivered, Retrying{failing, AttemptRecord{wall(80), 503, "status", "HTTP 503", "", {}}}, again}).has_value());
    CHECK(letter(*state, 1).first.id == 0);
    CHECK(letter(*state, 3).first.id == 0);
    CHECK(trial(*state, "a", {1, 0}).state == TrialResult::State::ended);
    CHECK(trial(*state, "a", {2, 0}).state == TrialResult::State::failed);
    CHECK(trial(*state, "a", {2, 0}).error == "HTTP 503");
    CHECK(trial(*state, "a", {3, 0}).state == TrialResult::State::failed);
    CHECK(trial(*state, "a", {3, 0}).error == "HTTP 404");
    CHECK(letter(*state, 2).second.size() == 2);
    const auto dead_now = letters(*state);
    REQUIRE(dead_now.size() == 1);
    CHECK(dead_now[0].id == 4);
    CHECK(dead_now[0].redrives == 1);
    CHECK(dead_now[0].attempts == 5);
    CHECK(letter(*state, 4).second.size() == 2);
    CHECK(total(*state, Ending::dead_lettered) == 1);
    CHECK(total(*state, Ending::delivered) == 1);
}

TEST_CASE("redriving and discarding one dead letter come to one of the two")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {dead_of("a", 1, "x"), dead_of("a", 2, "x")}).has_value());
    const auto both = letters(*state);
    REQUIRE(put(*state, {Redriven{row_for(both[0])}, DeadLetterDiscarded{1}, DeadLetterDiscarded{2}, Redriven{row_for(both[1])}})
                .has_value());
    CHECK(due(*state, "a", 1000).size() == 1);
    CHECK(letters(*state).empty());
    CHECK(total(*state, Ending::discarded_operator) == 1);
    // The lane has heard of a redrive that did not come about: what it makes of it counts for nothing.
    Ended phantom = ended("a", {2, 0}, Ending::lost);
    phantom.redriven = true;
    REQUIRE(put(*state, {phantom}).has_value());
    CHECK(total(*state, Ending::lost) == 0);
}

TEST_CASE("redrives are kept as they were noted, the latest hundred of them")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    RedriveJob job;
    job.filter = {.target = "a", .rule = "r", .reason = "max_age", .cause = "status", .group = 7, .dead_from = wall(1),
                  .dead_before = wall(9), .ids = {3, 5}, .after_id = 4, .until_id = 99};
    job.per_second = 2.5;
    job.total = 12;
    job.redriven = 3;
    job.skipped = 1;
    job.trial = {{"a", {8, 2}}};
    job.who = "ann@host";
    job.why = "fixed";
    job.message = "waits";
    job.created = wall(50);
    job.changed = wall(51);
    std::vector<Change> changes;
    for (job.id = 1; job.id <= 103; ++job.id) changes.emplace_back(RedriveNoted{job});
    job.id = 103;
    job.state = RedriveJob::State::stopped;
    changes.emplace_back(RedriveNoted{job});
    REQUIRE(put(*state, std::move(changes)).has_value());
    state->stop();
    state = open_state(dir.file("state.db"));
    const auto jobs = wait<std::vector<RedriveJob>>([&](auto done) { state->redrives(done); });
    REQUIRE(jobs.has_value());
    REQUIRE(jobs->size() == 100);
    CHECK(jobs->front().id == 4);
    CHECK(encode(jobs->back()) == encode(job));
    CHECK_FALSE(jobs->back().active());
    CHECK_FALSE(decode_redrive("{}").has_value());
    CHECK_FALSE(decode_redrive("nonsense").has_value());
}

TEST_CASE("targets that become one have their groups counted together")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {dead_of("a", 1, "x"), dead_of("b", 2, "x"), dead_of("b", 3, "y"), dead_of("b", 1, "z")}).has_value());
    REQUIRE(put(*state, {TargetRenamed{"b", "a"}}).has_value());
    const auto all = groups(*state);
    REQUIRE(all.size() == 2);  // the same delivery dead twice is one: "z" is gone
    CHECK(all[0].letters == 2);
    CHECK(all[1].fingerprint == "y");
    CHECK(letters(*state, {.group = all[0].id}).size() == 2);
}

TEST_CASE("a file of format 1 is brought to the present one, whole, and kept")
{
    const support::TempDir dir;
    dir.write("state.db", support::read_text(EVENTYARD_SOURCE_DIR "/tests/cases/state/format-1.db"));
    auto state = open_state(dir.file("state.db"));
    CHECK(state->report().upgraded_from == 1);
    CHECK_FALSE(state->report().set_aside);
    CHECK_FALSE(state->report().cursors_lost);
    CHECK(std::filesystem::exists(state->report().moved_to));
    const StateSnapshot& found = state->snapshot();
    CHECK(found.store == id_of(3));
    CHECK(found.reserved == 5000);
    CHECK(found.routed_through == 3000);
    REQUIRE(found.targets.size() == 3);
    CHECK(position(found, "a")->cursor == 1000);
    CHECK(position(found, "a")->settled == std::vector<DeliveryKey>{{1005, 0}, {1007, 1}});
    CHECK(position(found, "a")->trusted);
    CHECK(position(found, "a")->retries == 3);
    CHECK(position(found, "a")->dead_letters == 2);
    CHECK(position(found, "b")->paused == "410");
    CHECK(position(found, "c")->cursor == 2000);
    CHECK(row_of(found.ledger, "rule", "a")->routed == 11);
    CHECK(due(*state, "b", 100).size() == 3);
    CHECK(groups(*state).size() == 2);
    REQUIRE(letters(*state).size() == 3);
    CHECK(letter(*state, 2).first.body == R"({"n":11})");
    CHECK(letter(*state, 2).first.forward_to == "b");
    CHECK(letter(*state, 2).second.size() == 1);
    REQUIRE(put(*state, {dead_of("a", 20, "x")}).has_value());
    CHECK(letters(*state).back().id == 4);
    state->stop();
    state = open_state(dir.file("state.db"));
    CHECK(state->report().upgraded_from == 0);
    CHECK(letters(*state).size() == 4);
}

TEST_CASE("a file of format 2 is brought to the present one, whole")
{
    const support::TempDir dir;
    dir.write("state.db", support::read_text(EVENTYARD_SOURCE_DIR "/tests/cases/state/format-2.db"));
    auto state = open_state(dir.file("state.db"));
    CHECK(state->report().upgraded_from == 2);
    CHECK_FALSE(state->report().set_aside);
    const StateSnapshot& found = state->snapshot();
    CHECK(found.store == id_of(3));
    CHECK(found.counted_through == 2000);
    REQUIRE(found.targets.size() == 2);
    CHECK(position(found, "a")->cursor == 1000);
    CHECK(position(found, "a")->settled == std::vector<DeliveryKey>{{1005, 0}, {1007, 1}});
    CHECK(position(found, "a")->trusted);
    CHECK(position(found, "a")->retries == 3);
    CHECK(position(found, "a")->held == 0);
    CHECK(position(found, "a")->delayed == 0);
    CHECK(position(found, "a")->parked.empty());
    CHECK(position(found, "a")->dead_letters == 1);
    CHECK(position(found, "b")->paused == "410");
    CHECK(row_of(found.ledger, "rule", "a")->counted == 7);
    CHECK(letters(*state).size() == 1);
    CHECK(due(*state, "a", 1000).back().letter == 0);
}

TEST_CASE("a damaged file of format 1 is salvaged by its own tables, also without its first page")
{
    std::string bytes = support::read_text(EVENTYARD_SOURCE_DIR "/tests/cases/state/format-1.db");
    const bool first = GENERATE(true, false);
    CAPTURE(first);
    const support::TempDir dir;
    bytes[first ? 200 : bytes.size() - 200] ^= 1;
    dir.write("state.db", bytes);
    auto state = open_state(dir.file("state.db"));
    CHECK(state->report().upgraded_from == 0);
    if (first) {
        CHECK(state->report().set_aside);
        CHECK(state->report().salvaged_retries == 6);
    }
    REQUIRE(letters(*state).size() == 3);
    CHECK(letter(*state, 3).first.last_detail == "connection refused 127.0.0.1:81");
    CHECK(groups(*state).size() == 2);
}

TEST_CASE("a file of format 2 without its first page is salvaged by its own tables")
{
    const support::TempDir dir;
    dir.write("state.db", support::read_text(EVENTYARD_SOURCE_DIR "/tests/cases/state/format-2.db"));
    damage_first_page(dir);
    auto state = open_state(dir.file("state.db"));
    CHECK(state->report().set_aside);
    CHECK(state->report().salvaged_retries == 4);
    REQUIRE(letters(*state).size() == 1);
    CHECK(letters(*state).front().last_detail == "HTTP 404");
}

TEST_CASE("a redriven letter whose retry is lost to damage is dead again")
{
    const support::TempDir dir;
    auto state = open_state(dir.file("state.db"));
    REQUIRE(put(*state, {dead_of("a", 1, "x"), dead_of("a", 2, "x")}).has_value());
    for (const DeadLetter& one : letters(*state)) REQUIRE(put(*state, {Redriven{row_for(one)}}).has_value());
    state->stop();
    std::string bytes = support::read_text(dir.file("state.db"));
    // The retry table's only page is the one that holds the rule's name and is clustered: its root is 5.
    bytes[4 * 16384 + 100] ^= 1;
    dir.write("state.db", bytes);
    state = open_state(dir.file("state.db"));
    REQUIRE(state->report().set_aside);
    if (state->report().salvaged_retries == 0) {
        CHECK(letters(*state).size() == 2);
        CHECK(total(*state, Ending::dead_lettered) == 2);
    } else {
        CHECK(letters(*state).empty());
    }
}

}  // namespace
}  // namespace eventyard::router
