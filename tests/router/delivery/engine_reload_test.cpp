// The engine over reloads and starts: what is kept, replaced, orphaned, renamed, and what a crash leaves.
#include "tests/router/delivery/engine_fixture.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

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
