// The desk over the real state, with lanes that the test plays.
#include "router/dead_letter_desk.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>

#include "tests/router/state/state_fixture.hpp"

namespace eventyard::router {
namespace {

using namespace std::chrono_literals;
using Stage = RedriveJob::State;

/// Time stands still unless the test moves it.
class HandClock final : public Clock {
public:
    [[nodiscard]] SteadyTime steady() const noexcept override { return steady_; }
    [[nodiscard]] WallTime wall() const noexcept override { return wall_; }
    void pass(Duration time)
    {
        steady_ += time;
        wall_ += time;
    }

private:
    SteadyTime steady_{1h};
    WallTime wall_{std::chrono::seconds{1'000'000}};
};

/// One life of a desk: the test's thread is the desk's.
class Office {
public:
    Office(State& state, const HandClock& clock) : state_(state), desk(state, clock, hooks()) { desk.start(); settle(); }

    /// Runs everything that was posted until the state has answered all of it.
    void settle()
    {
        for (int quiet = 0; quiet < 3; ++quiet) {
            std::promise<void> served;  // behind every question so far
            state_.submit({JournalMarked{}}, [&](const Result<void>&) { served.set_value(); });
            served.get_future().wait();
            for (;;) {
                std::function<void()> work;
                {
                    const std::lock_guard lock{mutex_};
                    if (posted_.empty()) break;
                    work = std::move(posted_.front());
                    posted_.pop_front();
                }
                work();
                quiet = -1;
            }
        }
    }
    void tick(const DeadLetterRetention& retention = {}, const std::map<std::string, std::uint64_t>& budgets = {})
    {
        desk.tick(retention, budgets);
        settle();
    }
    Result<RedriveJob> redrive(DeadLetterFilter filter, double per_second = 100)
    {
        std::optional<Result<RedriveJob>> answer;
        desk.redrive(std::move(filter), per_second, {"ann", "test"}, [&](Result<RedriveJob> job) { answer = std::move(job); });
        settle();
        REQUIRE(answer);
        return *answer;
    }
    std::uint64_t discard(DeadLetterFilter filter, bool dry_run = false)
    {
        std::optional<Result<std::uint64_t>> answer;
        desk.discard(std::move(filter), dry_run, {"ann", "test"}, [&](Result<std::uint64_t> n) { answer = std::move(n); });
        settle();
        REQUIRE(answer);
        return **answer;
    }
    RedriveJob job() { return desk.redrives().back(); }
    /// What the target makes of everything it was handed and has not answered.
    void answer(bool good)
    {
        std::vector<Change> changes;
        for (const RetryRow& row : std::exchange(handed, {})) {
            Ended change = good ? ended(row.target, row.key) : dead(row.target, row.key);
            change.redriven = true;
            changes.emplace_back(change);
        }
        REQUIRE(put(state_, std::move(changes)).has_value());
    }

private:
    DeadLetterDesk::Hooks hooks()
    {
        DeadLetterDesk::Hooks made;
        made.post = [this](std::function<void()> work) {
            const std::lock_guard lock{mutex_};
            posted_.push_back(std::move(work));
        };
        made.served = [this](const std::string& target) { return orphans.count(target) == 0; };
        made.redrive = [this](const std::string&, std::vector<RetryRow> rows, std::function<void(Result<void>)> done) {
            if (reloading) return done(fail(Errc::unavailable, "a reload is under way"));
            std::vector<Change> changes;
            for (const RetryRow& row : rows) {
                handed.push_back(row);
                changes.emplace_back(Redriven{row});
            }
            total += rows.size();
            state_.submit(std::move(changes), std::move(done));
        };
        made.standstill = [this](const std::string& target, const std::function<void(std::string)>& done) {
            done(paused ? "target '" + target + "' is paused" : "");
        };
        return made;
    }

    State& state_;
    std::mutex mutex_;
    std::deque<std::function<void()>> posted_;

public:
    std::set<std::string> orphans;
    bool reloading = false, paused = false;
    std::vector<RetryRow> handed;
    std::size_t total = 0;
    DeadLetterDesk desk;
};

void fill(State& state, Sequence letters, const std::string& target = "a", Sequence from = 1)
{
    std::vector<Change> changes;
    for (Sequence n = from; n < from + letters; ++n) {
        Ended change = dead(target, {n, 0});
        change.dead_letter->dead = WallTime{std::chrono::seconds{999'000 + static_cast<std::int64_t>(n)}};
        changes.emplace_back(std::move(change));
    }
    REQUIRE(put(state, std::move(changes)).has_value());
}

struct Fixture {
    support::TempDir dir;
    HandClock clock;
    std::unique_ptr<State> state = open_state(dir.file("state.db"));
};

}  // namespace

TEST_CASE("a redrive tries ten, waits for them, then hands over the rest at its rate")
{
    Fixture f;
    fill(*f.state, 100);
    Office office(*f.state, f.clock);
    const auto job = office.redrive({.target = "a"}, 20);
    REQUIRE(job.has_value());
    CHECK(job->total == 100);
    office.tick();
    CHECK(office.total == 10);
    f.clock.pass(1s);
    office.tick();
    CHECK(office.total == 10);  // nobody has answered yet
    CHECK(office.job().state == Stage::trial);
    office.answer(true);
    f.clock.pass(1s);
    office.tick();
    CHECK(office.job().state == Stage::running);
    f.clock.pass(500ms);
    office.tick();
    CHECK(office.total == 20);
    f.clock.pass(1h);
    office.tick();
    CHECK(office.total == 40);  // one second's worth at most
    for (int i = 0; i < 10; ++i) {
        f.clock.pass(1s);
        office.tick();
    }
    CHECK(office.total == 100);
    CHECK(office.job().state == Stage::done);
    CHECK(office.job().redriven == 100);
}

TEST_CASE("a failure among the first ten stops the redrive and says so, and the rest stays dead")
{
    Fixture f;
    fill(*f.state, 30);
    Office office(*f.state, f.clock);
    REQUIRE(office.redrive({}).has_value());
    office.tick();
    office.answer(false);
    office.tick();
    CHECK(office.job().state == Stage::stopped);
    CHECK(office.job().message == "10 of the first 10 deliveries failed: HTTP 500");
    f.clock.pass(1h);
    office.tick();
    CHECK(office.total == 10);
    CHECK(letters(*f.state).size() == 30);
    // Those that died again are not met twice by the same redrive, but by the next.
    REQUIRE(office.redrive({}).has_value());
    CHECK(office.job().total == 30);
}

TEST_CASE("a redrive goes on after a restart, in its trial and later")
{
    Fixture f;
    fill(*f.state, 50);
    {
        Office office(*f.state, f.clock);
        REQUIRE(office.redrive({}, 0).has_value());
        office.tick();
        CHECK(office.total == 10);
        office.answer(true);
    }
    f.state->stop();
    f.state = open_state(f.dir.file("state.db"));
    {
        Office office(*f.state, f.clock);
        CHECK(office.job().state == Stage::trial);
        office.tick();
        CHECK(office.job().state == Stage::running);
    }
    f.state->stop();
    f.state = open_state(f.dir.file("state.db"));
    Office office(*f.state, f.clock);
    f.clock.pass(1s);
    office.tick();
    CHECK(office.total == 40);
    CHECK(office.job().state == Stage::done);
    CHECK(office.job().redriven == 50);
    CHECK(letters(*f.state).empty());
}

TEST_CASE("a redrive waits while the lanes cannot be asked, and leaves out targets that are gone")
{
    Fixture f;
    fill(*f.state, 5, "a");
    fill(*f.state, 3, "b");
    Office office(*f.state, f.clock);
    office.orphans = {"b"};
    office.reloading = true;
    REQUIRE(office.redrive({}).has_value());
    office.tick();
    CHECK(office.total == 0);
    CHECK(office.job().message == "waits: a reload is under way");
    office.reloading = false;
    office.tick();
    CHECK(office.total == 0);
    f.clock.pass(2s);
    office.tick();
    CHECK(office.total == 5);
    office.answer(true);
    f.clock.pass(1s);
    office.tick();
    f.clock.pass(1s);
    office.tick();
    CHECK(office.job().state == Stage::done);
    CHECK(office.job().skipped == 3);
    CHECK(office.job().message == "3 stay dead: their targets are not configured any more");
    CHECK(letters(*f.state).size() == 3);
}

TEST_CASE("letters of erased events are not redriven, and the redrive says why")
{
    Fixture f;
    fill(*f.state, 5);
    std::promise<Result<void>> erased;
    f.state->erase({id_of(9), {2, 4}}, [&](Result<void> result) { erased.set_value(std::move(result)); });
    REQUIRE(erased.get_future().get().has_value());
    Office office(*f.state, f.clock);
    REQUIRE(office.redrive({}).has_value());
    office.tick();
    CHECK(office.total == 3);
    office.answer(true);
    f.clock.pass(1s);
    office.tick();
    f.clock.pass(1s);
    office.tick();
    CHECK(office.job().state == Stage::done);
    CHECK(office.job().erased == 2);
    CHECK(office.job().skipped == 0);
    CHECK(office.job().message == "2 stay dead: their events were erased");
    CHECK(letters(*f.state).size() == 2);
}

TEST_CASE("a redrive that is cancelled hands over no more")
{
    Fixture f;
    fill(*f.state, 50);
    Office office(*f.state, f.clock);
    const auto job = office.redrive({});
    office.tick();
    office.answer(true);
    std::optional<Result<RedriveJob>> answer;
    office.desk.cancel(job->id, {"bob", "wrong one"}, [&](Result<RedriveJob> done) { answer = std::move(done); });
    REQUIRE((answer && answer->has_value()));
    CHECK(office.job().message == "by bob: wrong one");
    f.clock.pass(1h);
    office.tick();
    CHECK(office.total == 10);
    office.desk.cancel(job->id, {}, [&](Result<RedriveJob> done) { answer = std::move(done); });
    CHECK(answer->error().code == Errc::conflict);
    office.desk.cancel(99, {}, [&](Result<RedriveJob> done) { answer = std::move(done); });
    CHECK(answer->error().code == Errc::not_found);
    CHECK(office.redrive({.target = "nobody"}).error().code == Errc::not_found);
}

TEST_CASE("a redrive that is cancelled while a page is handed over counts that page, and says by whom")
{
    Fixture f;
    fill(*f.state, 50);
    Office office(*f.state, f.clock);
    const auto job = office.redrive({});
    office.desk.tick({}, {});  // asks for the first page
    std::optional<Result<RedriveJob>> answer;
    office.desk.cancel(job->id, {"bob", "wrong one"}, [&](Result<RedriveJob> done) { answer = std::move(done); });
    CHECK_FALSE(answer);
    office.settle();
    REQUIRE((answer && answer->has_value()));
    CHECK((*answer)->redriven == office.total);
    CHECK((*answer)->message == "by bob: wrong one");
    CHECK(office.job().redriven == office.total);
    CHECK(office.job().message == "by bob: wrong one");
    CHECK(office.job().state == RedriveJob::State::cancelled);
}

TEST_CASE("a redrive whose first deliveries wait for a paused target says so")
{
    Fixture f;
    fill(*f.state, 3);
    Office office(*f.state, f.clock);
    (void)office.redrive({});
    office.tick();
    CHECK(office.job().message == "waits for its first deliveries");
    office.paused = true;
    for (int look = 0; look < 2; ++look) {
        f.clock.pass(5s);
        office.tick();
    }
    CHECK(office.job().message == "waits for its first deliveries: target 'a' is paused");
}

TEST_CASE("discarding by filter counts, then removes, page by page")
{
    Fixture f;
    fill(*f.state, 2500, "a");
    fill(*f.state, 10, "b");
    Office office(*f.state, f.clock);
    CHECK(office.discard({.target = "a"}, true) == 2500);
    CHECK(letters(*f.state, {.target = "a", .limit = 5000}).size() == 2500);
    CHECK(office.discard({.target = "a"}) == 2500);
    CHECK(letters(*f.state).size() == 10);
    CHECK(row_of(ledger(*f.state), "rule", "a")->ended.at(Ending::discarded_operator) == 2500);
    CHECK(office.discard({.ids = {2501, 2502, 77}}) == 2);
    CHECK(letters(*f.state).size() == 8);
}

TEST_CASE("retention by age removes what is old by every clock, and counts it")
{
    Fixture f;
    fill(*f.state, 100);  // dead since 999,001 to 999,100 seconds; it is 1,000,000
    Office office(*f.state, f.clock);
    office.tick({.max_age = 950s});
    CHECK(letters(*f.state).size() == 50);
    CHECK(row_of(ledger(*f.state), "rule", "a")->ended.at(Ending::discarded_retention) == 50);
    f.clock.pass(1s);
    office.tick({.max_age = 1s});
    CHECK(letters(*f.state).size() == 50);  // it looks every ten seconds
    office.tick({});
    f.clock.pass(11s);
    office.tick({.max_age = 925s});
    CHECK(letters(*f.state).size() == 13);
}

TEST_CASE("retention by volume removes the oldest bodies")
{
    Fixture f;
    fill(*f.state, 100);  // 7 bytes each
    Office office(*f.state, f.clock);
    office.tick({.max_bytes = 350});
    const auto left = letters(*f.state);
    REQUIRE(left.size() == 50);
    CHECK(left.front().id == 51);
}

TEST_CASE("a target's own budget removes its oldest bodies, counted apart, before those of all")
{
    Fixture f;
    fill(*f.state, 100, "a");  // 7 bytes each
    fill(*f.state, 100, "b", 101);
    fill(*f.state, 100, "c", 201);
    Office office(*f.state, f.clock);
    const std::map<std::string, std::uint64_t> budgets{{"a", 70}, {"b", 350}, {"unknown", 1}};
    for (int i = 0; i < 3; ++i) office.tick({.max_bytes = 1050}, budgets);  // one a tick, at once
    CHECK(letters(*f.state, {.target = "a"}).size() == 0);
    const auto b = letters(*f.state, {.target = "b"});
    REQUIRE(b.size() == 50);
    CHECK(b.front().id == 151);
    CHECK(letters(*f.state, {.target = "c"}).size() == 100);
    CHECK(row_of(ledger(*f.state), "rule", "a")->ended.at(Ending::discarded_overflow) == 90);
    CHECK(row_of(ledger(*f.state), "rule", "a")->ended.at(Ending::discarded_retention) == 10);
    CHECK(row_of(ledger(*f.state), "rule", "b")->ended.at(Ending::discarded_overflow) == 50);
    CHECK(row_of(ledger(*f.state), "rule", "c")->ended.count(Ending::discarded_overflow) == 0);
}

TEST_CASE("groups by rule or age are counted over the letters that match")
{
    Fixture f;
    fill(*f.state, 5, "a");
    fill(*f.state, 3, "b", 6);
    Office office(*f.state, f.clock);
    const auto ask = [&](const DeadLetterFilter& filter) {
        std::vector<DeadLetterGroup> groups;
        office.desk.groups(filter, [&](Result<std::vector<DeadLetterGroup>> found) { groups = *found; });
        office.settle();
        return groups;
    };
    CHECK(ask({}).size() == 2);
    CHECK(ask({.cause = "timeout"}).empty());
    const auto late = ask({.dead_from = WallTime{std::chrono::seconds{999'004}}});
    REQUIRE(late.size() == 2);
    CHECK(late[0].target == "b");
    CHECK(late[0].letters == 3);
    CHECK(late[1].letters == 2);
    CHECK(late[1].bytes == 14);
    CHECK(late[1].sample.key.sequence == 5);
    CHECK(ask({.rule = "other"}).empty());
}

}  // namespace eventyard::router
