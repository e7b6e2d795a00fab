// The engine over fakes of journal and state, with real I/O threads.
#include <catch2/catch.hpp>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "router/delivery/alarm.hpp"
#include "router/delivery/engine.hpp"
#include "tests/router/delivery/fake_target.hpp"
#include "tests/support/fake_journal_lanes.hpp"
#include "tests/support/fake_state.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;
using namespace std::chrono_literals;
using Mode = Receiver::Mode;

namespace {

bool eventually(const std::function<bool()>& condition, std::chrono::seconds limit = 60s)
{
    for (auto left = limit / 5ms; left > 0; --left) {
        if (condition()) return true;
        std::this_thread::sleep_for(5ms);
    }
    return condition();
}

/// One life of a router's delivery side.
struct Life {
    explicit Life(EventLog log = {}, StateModel model = {}) : journal(std::move(log)), state(std::move(model))
    {
        options.idle_after = 50ms;
        options.lane.window.deliveries = 64;
        options.lane.window.read_items = 16;
        options.lane.retries = 32;
        options.lane.uncommitted_max = 256;
        options.close_grace = 500ms;
    }
    ~Life()
    {
        stop(100ms);
        journal.stop();
        state.stop();
        threads.stop_now();
    }
    void start(const std::vector<TargetSpec>& specs)
    {
        engine = std::make_unique<Engine>(threads, journal, state, clock, random, waits, options);
        threads.start();
        journal.set_listener([this](const CommitBatchPtr& batch) { engine->on_commit(batch); });
        REQUIRE(engine->start(specs, state.snapshot()).has_value());
    }
    void stop(Duration grace)
    {
        if (!engine || stopped) return;
        stopped = true;
        std::promise<void> done;
        engine->stop(grace, [&done] { done.set_value(); });
        done.get_future().wait();
    }
    std::vector<TargetStatus> status()
    {
        std::promise<std::vector<TargetStatus>> all;
        engine->status([&all](std::vector<TargetStatus> got) { all.set_value(std::move(got)); });
        return all.get_future().get();
    }
    TargetStatus status(const std::string& name)
    {
        for (auto& one : status())
            if (one.name == name) return one;
        return {};
    }
    Result<void> replace(const std::vector<TargetSpec>& specs)
    {
        std::promise<Result<void>> done;
        engine->prepare(specs, [&done](Result<void> result) { done.set_value(std::move(result)); });
        auto result = done.get_future().get();
        if (result.has_value()) engine->commit();
        return result;
    }
    bool settled()
    {
        for (const auto& one : status())
            if (one.pending.sum() > 0 || one.uncommitted > 0 || one.in_flight > 0) return false;
        return true;
    }

    SystemClock clock;
    SystemRandom random;
    EngineOptions options;
    IoThreads threads{2};
    AsioWaits waits;
    FakeJournalLanes journal;
    FakeState state;
    std::unique_ptr<Engine> engine;
    bool stopped = false;
};

TargetSpec spec(const std::string& name, const std::shared_ptr<Receiver>& receiver, std::string settings = "1")
{
    TargetSpec made;
    made.name = name;
    made.kind = "fake";
    made.blueprint = std::make_shared<FakeBlueprint>(receiver, std::move(settings), "fake://" + name);
    made.retry.backoff_initial = 5ms;
    made.retry.backoff_max = 40ms;
    made.retry.max_attempts = 1000;
    made.concurrency = 8;
    made.breaker.probe_first = 20ms;
    made.breaker.probe_max = 100ms;
    return made;
}

RoutingVersionPtr version(std::uint64_t number, const std::vector<std::string>& targets)
{
    RoutingVersion made;
    made.number = number;
    made.buses = {"default"};
    for (const std::string& target : targets) made.routes.push_back({"to-" + target, target, {}, {}, {}, {}});
    return std::make_shared<const RoutingVersion>(made);
}

/// Commits `count` events to these routes, ten a batch.
void send(Life& life, const RoutingVersionPtr& routing, std::vector<std::uint32_t> routes, std::size_t count)
{
    std::vector<std::shared_ptr<StoredEvent>> events;
    for (std::size_t i = 0; i < count; ++i) {
        events.push_back(make_event(routing, routes, life.random, life.clock.wall(), R"({"n":1})"));
        if (events.size() == 10 || i + 1 == count) life.journal.commit(std::exchange(events, {}));
    }
}

void check_model(const StateModel& model)
{
    for (const std::string& complaint : model.complaints) FAIL_CHECK(complaint);
    for (const auto& [key, endings] : model.ended) CHECK(endings.size() == 1);
}

}  // namespace

TEST_CASE("events reach every target of their routes once, and an idle kill repeats nothing")
{
    const auto a = std::make_shared<Receiver>(), b = std::make_shared<Receiver>();
    const auto routing = version(1, {"a", "b"});
    EventLog log;
    StateModel model;
    {
        Life life;
        life.start({spec("a", a), spec("b", b)});
        send(life, routing, {0, 1}, 500);
        send(life, routing, {1}, 100);
        REQUIRE(eventually([&] { return a->distinct() == 500 && b->distinct() == 600 && life.settled(); }));
        CHECK(life.status("a").counters.delivered == 500);
        CHECK(life.status("b").cursor == 600);
        CHECK(a->most_in_flight <= 8);
        model = life.state.durable();  // killed here
        log = life.journal.contents();
    }
    check_model(model);
    CHECK(model.ended.size() == 1100);
    Life life{log, model};
    life.start({spec("a", a), spec("b", b)});
    std::this_thread::sleep_for(150ms);
    CHECK(a->attempts == 500);
    CHECK(b->attempts == 600);
}

TEST_CASE("first attempts are made in journal order")
{
    const auto a = std::make_shared<Receiver>();
    Life life;
    TargetSpec one = spec("a", a);
    one.concurrency = 1;
    life.start({one});
    send(life, version(1, {"a"}), {0}, 400);
    REQUIRE(eventually([&] { return a->distinct() == 400; }));
    const auto order = a->order();
    CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("a target that hangs leaves the other's throughput alone and holds a bounded window")
{
    const auto hung = std::make_shared<Receiver>(), well = std::make_shared<Receiver>();
    hung->mode = Mode::hang;
    Life life;
    life.start({spec("hung", hung), spec("well", well)});
    send(life, version(1, {"hung", "well"}), {0, 1}, 3000);
    REQUIRE(eventually([&] { return well->distinct() == 3000; }));
    const TargetStatus status = life.status("hung");
    CHECK(status.in_flight == 8);
    CHECK(status.window <= 64 + 16);
    CHECK(status.pending.sum() == 3000);
    CHECK(hung->attempts == 8);
}

TEST_CASE("a target that is down costs few retries, and gets everything when it is back")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::refuse;
    Life life;
    life.start({spec("a", a)});
    send(life, version(1, {"a"}), {0}, 1000);
    REQUIRE(eventually([&] { return life.status("a").state == TargetState::failing; }));
    std::this_thread::sleep_for(300ms);
    const TargetStatus down = life.status("a");
    CHECK(down.pending.retry <= 60);  // failures to open it, what was in flight, and a few probes
    CHECK(down.pending.sum() == 1000);
    CHECK(down.counters.last_error == "connect: refused");
    a->mode = Mode::ok;
    REQUIRE(eventually([&] { return a->distinct() == 1000 && life.settled(); }));
    CHECK(life.status("a").state == TargetState::running);
    check_model(life.state.durable());
}

TEST_CASE("what a dead target does not get within max_age ends, however long the backlog")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::refuse;
    Life life;
    TargetSpec one = spec("a", a);
    one.retry.max_age = 300ms;
    life.start({one});
    send(life, version(1, {"a"}), {0}, 2000);
    REQUIRE(eventually([&] { return life.journal.last() == 2000 && life.status("a").seen == 2000 && life.settled(); }));
    CHECK(a->attempts < 500);  // probes, not one for each
    const StateModel model = life.state.durable();
    check_model(model);
    CHECK(model.dead.size() == 2000);
    std::size_t untried = 0;
    for (const auto& [id, letter] : model.dead) {
        CHECK(letter.reason == "max_age");
        CHECK(letter.cause == "connect");
        CHECK(letter.body == R"({"n":1})");
        if (letter.attempts == 0) ++untried;
    }
    CHECK(untried > 1500);
    // It is still probed: the next event goes through once it is back.
    a->mode = Mode::ok;
    send(life, version(1, {"a"}), {0}, 1);
    REQUIRE(eventually([&] { return a->distinct() == 1 && life.settled(); }));
}

TEST_CASE("retries of a dead target that are too old end together, not one a probe")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::refuse;
    EventLog log;
    StateModel model;
    {
        Life life;
        TargetSpec one = spec("a", a);
        one.breaker.failures = one.breaker.connect_failures = 1000;
        one.retry.backoff_initial = 10min;
        one.retry.backoff_max = 10min;
        life.start({one});
        send(life, version(1, {"a"}), {0}, 200);
        REQUIRE(eventually([&] { return life.state.durable().retries.size() == 200; }));
        life.stop(100ms);
        log = life.journal.contents();
        model = life.state.durable();
    }
    for (auto& [key, row] : model.retries) row.due = {};
    const std::uint64_t before = a->attempts;
    Life life{log, model};
    TargetSpec one = spec("a", a);
    one.retry.max_age = 1ms;
    life.start({one});
    REQUIRE(eventually([&] { return life.settled(); }));
    CHECK(a->attempts - before < 50);
    const StateModel after = life.state.durable();
    check_model(after);
    CHECK(after.retries.empty());
    REQUIRE(after.dead.size() == 200);
    for (const auto& [id, letter] : after.dead) {
        CHECK(letter.reason == "max_age");
        CHECK(letter.attempts >= 1);
        CHECK(letter.body == R"({"n":1})");
    }
}

TEST_CASE("a flapping target gets everything")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::flap;
    Life life;
    life.start({spec("a", a)});
    send(life, version(1, {"a"}), {0}, 800);
    REQUIRE(eventually([&] { return a->distinct() == 800 && life.settled(); }));
    CHECK(life.status("a").counters.retried > 0);
    check_model(life.state.durable());
}

TEST_CASE("refused for good or too often, a delivery is dead-lettered and its copy forwarded")
{
    const auto a = std::make_shared<Receiver>(), graves = std::make_shared<Receiver>();
    a->mode = Mode::reject;
    graves->mode = Mode::fail;
    Life life;
    TargetSpec one = spec("a", a);
    one.dead_letter_target = "graves";
    TargetSpec other = spec("graves", graves);
    other.retry.max_attempts = 2;
    life.start({one, other});
    send(life, version(1, {"a"}), {0}, 50);
    REQUIRE(eventually([&] { return life.status("a").counters.dead_lettered == 50; }));
    REQUIRE(eventually([&] { return graves->attempts > 20; }));
    CHECK(life.status("graves").counters.dead_lettered == 0);
    graves->mode = Mode::ok;
    REQUIRE(eventually([&] { return graves->distinct() == 50; }));
    REQUIRE(eventually([&] { return life.settled(); }));
    const StateModel model = life.state.durable();
    check_model(model);
    CHECK(model.dead.size() == 50);
    const auto taken = graves->taken();
    for (const auto& [id, letter] : model.dead) {
        CHECK(letter.reason == "final_status");
        CHECK(letter.last_status == 400);
        CHECK(letter.body == R"({"n":1})");
        CHECK(letter.forward_to.empty());
        CHECK(taken.count(letter.delivery_id) == 1);
    }
}

TEST_CASE("410 pauses the target with its deliveries kept, and resuming sends them")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::gone;
    Life life;
    life.start({spec("a", a)});
    send(life, version(1, {"a"}), {0}, 40);
    REQUIRE(eventually([&] { return life.status("a").state == TargetState::paused; }));
    std::this_thread::sleep_for(50ms);
    CHECK(life.status("a").pending.sum() == 40);
    CHECK(!life.state.durable().targets.at("a").paused.empty());
    CHECK(a->attempts <= 8);
    a->mode = Mode::ok;
    CHECK(!life.engine->resume("nobody"));
    CHECK(life.engine->resume("a"));
    REQUIRE(eventually([&] { return a->distinct() == 40 && life.settled(); }));
    CHECK(life.state.durable().targets.at("a").paused.empty());
}

TEST_CASE("a state that stalls stops the lanes after a bounded number of deliveries")
{
    const auto a = std::make_shared<Receiver>();
    Life life;
    life.start({spec("a", a)});
    life.state.stall(true);
    send(life, version(1, {"a"}), {0}, 2000);
    std::this_thread::sleep_for(300ms);
    CHECK(a->distinct() <= 256 + 64);  // one batch may have been under way
    life.state.stall(false);
    REQUIRE(eventually([&] { return a->distinct() == 2000 && life.settled(); }));
}

TEST_CASE("a state that stalls stops the lanes after a bounded volume of dead letters")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::reject;
    Life life;
    life.options.lane.window.bytes = 1U << 20;
    life.options.lane.letter_bytes_max = 256U << 10;
    life.start({spec("a", a)});
    life.state.stall(true);
    const auto routing = version(1, {"a"});
    for (int i = 0; i < 200; ++i)
        life.journal.commit({make_event(routing, {0}, life.random, life.clock.wall(), std::string(64U << 10, 'x'))});
    std::this_thread::sleep_for(300ms);
    CHECK(a->attempts <= 4 + 8 + 8);  // the limit, what was in flight, and one batch that was under way
    life.state.stall(false);
    REQUIRE(eventually([&] { return life.status("a").seen == 200 && life.settled(); }));
    CHECK(life.state.durable().dead.size() == 200);
    CHECK(a->attempts == 200);
}

TEST_CASE("a state that cannot write does not keep a start from delivering")
{
    const auto a = std::make_shared<Receiver>();
    Life life;
    life.options.start_patience = 50ms;
    life.state.stall(true);
    life.start({spec("a", a)});
    send(life, version(1, {"a"}), {0}, 100);
    REQUIRE(eventually([&] { return a->distinct() == 100; }));
    CHECK(life.status("a").uncommitted == 100);
    life.state.stall(false);
    REQUIRE(eventually([&] { return life.settled(); }));
    check_model(life.state.durable());
    CHECK(a->attempts == 100);
}

TEST_CASE("a reload keeps what is unchanged, replaces what changed and orphans what is gone")
{
    const auto a = std::make_shared<Receiver>(), b = std::make_shared<Receiver>(), c = std::make_shared<Receiver>();
    Life life;
    life.start({spec("a", a), spec("b", b)});
    send(life, version(1, {"a", "b"}), {0, 1}, 100);
    REQUIRE(eventually([&] { return a->distinct() == 100 && b->distinct() == 100; }));
    b->mode = Mode::hang;
    send(life, version(1, {"a", "b"}), {0, 1}, 100);
    REQUIRE(eventually([&] { return a->distinct() == 200 && life.status("a").pending.sum() == 0; }));

    REQUIRE(life.replace({spec("a", a, "2"), spec("c", c)}).has_value());
    CHECK(life.state.durable().targets.count("c") == 1);
    REQUIRE(eventually([&] { return a->made == 2 && a->closed == 1; }));
    REQUIRE(eventually([&] { return life.status("b").state == TargetState::orphaned; }));
    CHECK(life.status("b").pending.sum() == 100);
    send(life, version(2, {"a", "c"}), {0, 1}, 100);
    REQUIRE(eventually([&] { return a->distinct() == 300 && c->distinct() == 100; }));

    // The hung one comes back at another address: its work goes on there.
    const auto b2 = std::make_shared<Receiver>();
    TargetSpec back = spec("b", b2, "2");
    back.blueprint = std::make_shared<FakeBlueprint>(b2, "2", "fake://elsewhere");
    back.concurrency = 16;  // attempts of the former Target hold their places until they end
    REQUIRE(life.replace({spec("a", a, "2"), back, spec("c", c)}).has_value());
    // 8 still hang in the former Target, at the head of the window of 64: the rest of it goes on.
    REQUIRE(eventually([&] { return b2->distinct() == 56; }));
    REQUIRE(eventually([&] { return a->reopened == 1; }));  // on another thread than the one looked at
    CHECK(a->made == 2);
}

TEST_CASE("a retry whose event is being read survives a reload that takes its target away")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::fail;
    Life life;
    life.start({spec("a", a)});
    life.journal.hold_events(true);
    send(life, version(1, {"a"}), {0}, 1);
    REQUIRE(eventually([&] { return life.journal.events_held() == 1; }));
    const std::uint64_t before = a->attempts;
    SECTION("removed")
    {
        REQUIRE(life.replace({}).has_value());
        REQUIRE(eventually([&] { return life.status("a").state == TargetState::orphaned; }));
        life.journal.hold_events(false);
        std::this_thread::sleep_for(100ms);
        CHECK(a->attempts == before);
        CHECK(life.status("a").pending.retry == 1);
        CHECK(life.status("a").in_flight == 0);
        a->mode = Mode::ok;
        REQUIRE(life.replace({spec("a", a)}).has_value());
    }
    SECTION("changed, and the former one still works at its address")
    {
        a->mode = Mode::ok;
        a->delay_ms = 300;
        send(life, version(1, {"a"}), {0}, 1);
        REQUIRE(eventually([&] { return a->in_flight == 1; }));
        REQUIRE(life.replace({spec("a", a, "2")}).has_value());
        (void)life.status();  // the reload has taken effect
        REQUIRE(a->made == 1);
        life.journal.hold_events(false);
    }
    REQUIRE(eventually([&] { return life.settled(); }));
    CHECK(life.status("a").counters.delivered == life.journal.last());
    check_model(life.state.durable());
}

TEST_CASE("a kind may change only while nothing is pending, or when told to adopt it")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::refuse;
    Life life;
    life.start({spec("a", a)});
    send(life, version(1, {"a"}), {0}, 20);
    REQUIRE(eventually([&] { return life.status("a").counters.failed > 0; }));
    TargetSpec other = spec("a", a);
    other.kind = "file";
    const auto refused = life.replace({other});
    REQUIRE(!refused.has_value());
    CHECK(refused.error().code == Errc::conflict);
    CHECK(refused.error().what.find("adopt_pending") != std::string::npos);
    other.adopt_pending = true;
    a->mode = Mode::ok;
    REQUIRE(life.replace({other}).has_value());
    REQUIRE(eventually([&] { return a->distinct() == 20 && life.settled(); }));
    CHECK(life.status("a").kind == "file");
}

TEST_CASE("a reload that is dropped leaves the kind of a target as it was")
{
    const auto a = std::make_shared<Receiver>();
    EventLog log;
    StateModel model;
    {
        Life life;
        life.start({spec("a", a)});
        TargetSpec other = spec("a", a);
        other.kind = "file";
        SECTION("after it was prepared")
        {
            std::promise<Result<void>> done;
            life.engine->prepare({other}, [&done](Result<void> result) { done.set_value(std::move(result)); });
            REQUIRE(done.get_future().get().has_value());
            life.engine->abandon();
        }
        SECTION("while the state has not stored it yet")
        {
            life.state.stall(true);
            life.engine->prepare({other}, [](const Result<void>&) {});
            life.engine->abandon();
            life.state.stall(false);
        }
        a->mode = Mode::refuse;
        send(life, version(1, {"a"}), {0}, 20);
        REQUIRE(eventually([&] { return life.state.durable().retries.size() > 0; }));
        model = life.state.durable();
        log = life.journal.contents();
    }
    CHECK(model.targets.at("a").kind == "fake");
    a->mode = Mode::ok;
    Life life{log, model};
    life.start({spec("a", a)});  // with what is pending: the file was never edited
    REQUIRE(eventually([&] { return a->distinct() == 20 && life.settled(); }));
}

TEST_CASE("a start with an edited file refuses a change of kind as a reload does")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::refuse;
    EventLog log;
    StateModel model;
    {
        Life life;
        life.start({spec("a", a)});
        send(life, version(1, {"a"}), {0}, 20);
        REQUIRE(eventually([&] { return life.status("a").counters.failed > 0; }));
        model = life.state.durable();
        log = life.journal.contents();
    }
    TargetSpec other = spec("a", a);
    other.kind = "file";
    TargetSpec heir = other;
    heir.name = "b";
    heir.renamed_from = "a";
    for (const TargetSpec& wrong : {other, heir}) {
        Life life{log, model};
        life.engine = std::make_unique<Engine>(life.threads, life.journal, life.state, life.clock, life.random, life.waits, life.options);
        life.threads.start();
        const auto refused = life.engine->start({wrong}, life.state.snapshot());
        REQUIRE(!refused.has_value());
        CHECK(refused.error().code == Errc::conflict);
        CHECK(refused.error().what.find("adopt_pending") != std::string::npos);
        CHECK(life.state.durable().targets.at("a").kind == "fake");
    }
    a->mode = Mode::ok;
    other.adopt_pending = true;
    Life life{log, model};
    life.start({other});
    REQUIRE(eventually([&] { return a->distinct() == 20 && life.settled(); }));
    CHECK(life.status("a").kind == "file");
}

TEST_CASE("a renamed target drains what was pending under its former name, with the same ids")
{
    const auto a = std::make_shared<Receiver>(), b = std::make_shared<Receiver>();
    a->mode = Mode::refuse;
    Life life;
    life.start({spec("a", a)});
    const auto routing = version(1, {"a"});
    send(life, routing, {0}, 200);
    REQUIRE(eventually([&] { return life.status("a").state == TargetState::failing; }));
    TargetSpec renamed = spec("b", b);
    renamed.renamed_from = "a";
    CHECK(!life.engine->can_replace({spec("a", a), renamed}).has_value());
    REQUIRE(life.replace({renamed}).has_value());
    send(life, version(2, {"b"}), {0}, 50);
    REQUIRE(eventually([&] { return b->distinct() == 250 && life.settled(); }));
    CHECK(life.status("a").drains_to == "b");
    CHECK(b->made == 1);
    CHECK(b->most_in_flight <= 8);
    const auto log = life.journal.contents();
    CHECK(b->taken().count(delivery_id(log.events.front()->event.id, "to-a", "a")) == 1);
}

TEST_CASE("stop ends what hangs and counts it as no attempt")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::hang;
    Life life;
    life.start({spec("a", a)});
    send(life, version(1, {"a"}), {0}, 20);
    REQUIRE(eventually([&] { return a->in_flight == 8; }));
    life.stop(50ms);
    CHECK(a->closed == 1);
    const StateModel model = life.state.durable();
    CHECK(model.ended.empty());
    CHECK(model.retries.empty());
    CHECK(model.cursor("a") == 0);
}

TEST_CASE("reloads under load lose nothing and send nothing elsewhere")
{
    const auto a = std::make_shared<Receiver>(), b = std::make_shared<Receiver>();
    Life life;
    life.start({spec("a", a), spec("b", b)});
    const auto routing = version(1, {"a", "b"});
    std::thread sender{[&] {
        for (int i = 0; i < 100; ++i) {
            send(life, routing, {static_cast<std::uint32_t>(i % 2)}, 20);
            std::this_thread::sleep_for(2ms);
        }
    }};
    bool replaced = true;
    for (int i = 0; i < 40; ++i) {
        replaced = replaced && life.replace({spec("a", a, std::to_string(i / 2)), spec("b", b)}).has_value();
        std::this_thread::sleep_for(3ms);
    }
    sender.join();
    CHECK(replaced);
    REQUIRE(eventually([&] { return a->distinct() == 1000 && b->distinct() == 1000 && life.settled(); }));
    for (const auto& [id, count] : a->taken()) CHECK(count == 1);
    for (const auto& [id, count] : b->taken()) CHECK(count == 1);
    check_model(life.state.durable());
}

TEST_CASE("after crashes at random moments everything is delivered, with few duplicates")
{
    SystemRandom random;
    const auto a = std::make_shared<Receiver>(), b = std::make_shared<Receiver>();
    const auto routing = version(1, {"a", "b"});
    EventLog log;
    StateModel model;
    std::size_t sent = 0;
    const int lives = 8;
    for (int n = 0; n < lives; ++n) {
        a->dead = b->dead = false;
        a->mode = n % 2 == 0 ? Mode::flap : Mode::ok;
        Life life{log, model};
        life.start({spec("a", a), spec("b", b)});
        send(life, routing, {0, 1}, 300);
        sent += 300;
        std::this_thread::sleep_for(std::chrono::milliseconds(random.next() % 60));
        a->crash();  // from here on nothing arrives
        b->crash();
        model = life.state.durable();
        REQUIRE(eventually([&] { return life.journal.last() == sent; }));
        log = life.journal.contents();
    }
    a->dead = b->dead = false;
    a->mode = Mode::ok;
    Life life{log, model};
    life.start({spec("a", a), spec("b", b)});
    REQUIRE(eventually([&] { return a->distinct() == sent && b->distinct() == sent && life.settled(); }));
    for (const auto& receiver : {a, b}) {
        std::size_t repeated = 0;
        for (const auto& [id, count] : receiver->taken()) repeated += static_cast<std::size_t>(count - 1);
        CHECK(repeated <= static_cast<std::size_t>(lives) * (256 + 8));
    }
    const StateModel final_model = life.state.durable();
    check_model(final_model);
    CHECK(final_model.ended.size() == 2 * sent);
}

TEST_CASE("a lost state starts every target of the journal at its oldest event")
{
    const auto a = std::make_shared<Receiver>();
    EventLog log;
    {
        Life life;
        life.start({spec("a", a)});
        send(life, version(1, {"a", "gone"}), {0, 1}, 30);
        REQUIRE(eventually([&] { return a->distinct() == 30; }));
        log = life.journal.contents();
    }
    Life life{log, StateModel{}};
    const auto fresh = std::make_shared<Receiver>();
    life.start({spec("a", a), spec("new", fresh)});
    REQUIRE(eventually([&] { return a->attempts == 60; }));
    CHECK(a->distinct() == 30);
    CHECK(life.status("gone").state == TargetState::orphaned);
    CHECK(life.status("gone").pending.sum() == 30);
    CHECK(fresh->attempts == 0);
    CHECK(life.state.durable().targets.at("new").cursor == 30);
}

TEST_CASE("a lane without a trusted cursor attempts and counts once what has a retry row")
{
    const auto a = std::make_shared<Receiver>();
    a->mode = Mode::refuse;
    EventLog log;
    StateModel model;
    {
        Life life;
        life.start({spec("a", a)});
        send(life, version(1, {"a"}), {0}, 100);
        REQUIRE(eventually([&] { return !life.state.durable().retries.empty() && life.journal.last() == 100; }));
        life.stop(100ms);
        log = life.journal.contents();
        model = life.state.durable();
    }
    REQUIRE(model.ended.empty());
    model.targets["a"].cursor = 0;
    model.targets["a"].settled.clear();
    model.targets["a"].trusted = false;
    a->mode = Mode::ok;
    Life life{log, model};
    life.start({spec("a", a)});
    CHECK(life.status("a").pending.sum() <= 100);
    REQUIRE(eventually([&] { return life.settled(); }));
    CHECK(a->distinct() == 100);
    for (const auto& [id, count] : a->taken()) CHECK(count == 1);
    const StateModel after = life.state.durable();
    check_model(after);
    CHECK(after.ended.size() == 100);
    CHECK(after.retries.empty());
}
