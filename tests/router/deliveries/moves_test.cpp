// Deliveries moved from one lane to another: each at one of the two, by its own id, wherever it lay.
#include "tests/router/deliveries/office.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

/// The ids of all that the log routes to `target`.
std::set<std::string> ids_of(const EventLog& log, const std::string& target)
{
    std::set<std::string> ids;
    for (const StoredEventPtr& event : log.events)
        for (std::uint32_t route = 0; route < event->routes.size(); ++route)
            if (EventLog::routed(*event, route, target))
                ids.insert(delivery_id(event->event.id, event->version->routes[event->routes[route]].rule, target));
    return ids;
}

/// Each delivery routed to "from" has ended there as moved, or pends there; never both it and at "to".
void check_places(const StateModel& model, const EventLog& log)
{
    for (const StoredEventPtr& event : log.events)
        for (std::uint32_t route = 0; route < event->routes.size(); ++route) {
            const DeliveryKey key{event->sequence, route};
            if (!EventLog::routed(*event, route, "from")) continue;
            const bool moved = model.ended.contains({"from", key});
            const bool taken = model.retries.contains({"to", key}) || model.ended.contains({"to", key});
            CHECK(moved == taken);
            CHECK_FALSE((moved && model.retries.contains({"from", key})));
            if (moved) CHECK(model.covers("from", key));
        }
}

}  // namespace

TEST_CASE("what a paused target has pending, in memory, on disk and in retry, goes out through another under its own ids")
{
    const auto from = std::make_shared<Receiver>(), to = std::make_shared<Receiver>();
    from->mode = Mode::fail;
    Life life;
    TargetSpec giver = spec("from", from);
    giver.retry.backoff_initial = giver.retry.backoff_max = 10min;
    giver.retry.jitter = false;
    giver.breaker.failures = 100'000;
    life.start({giver, spec("to", to)});
    const auto routing = version(1, {"from", "to"});
    send(life, routing, {0, 1}, 100);
    REQUIRE(eventually([&] { return life.status("from").pending.retry == 100 && to->distinct() == 100; }));
    REQUIRE(life.engine->pause("from", "a test"));
    send(life, routing, {0, 1}, 300);  // more than a window
    REQUIRE(eventually([&] { return life.status("from").pending.sum() == 400 && to->distinct() == 400; }));
    Office office{life};
    const DeliveriesActed moved = office.move(of("from"), "to");
    CHECK(moved.done == 400);
    CHECK(moved.in_flight == 0);
    CHECK(life.status("from").pending.sum() == 0);
    REQUIRE(eventually([&] { return life.settled(); }));
    auto expected = ids_of(life.journal.contents(), "from");
    expected.merge(ids_of(life.journal.contents(), "to"));
    std::set<std::string> taken;
    for (const auto& [id, times] : to->taken()) {
        CHECK(times == 1);
        taken.insert(id);
    }
    CHECK(taken == expected);
    CHECK(from->distinct() == 0);
    life.stop(100ms);
    check_model(life.state.durable());
    check_places(life.state.durable(), life.journal.contents());
}

TEST_CASE("a crash at any time of a move leaves each delivery at one of the two, and nothing is lost or met twice")
{
    const int cut = GENERATE(range(0, 12));
    const auto from = std::make_shared<Receiver>(), to = std::make_shared<Receiver>();
    StateModel model;
    EventLog log;
    {
        Life life;
        life.start({spec("from", from), spec("to", to)});
        REQUIRE(life.engine->pause("from", "a test"));
        REQUIRE(life.engine->pause("to", "a test"));
        send(life, version(1, {"from", "to"}), {0}, 300);
        REQUIRE(eventually([&] { return life.status("from").pending.sum() == 300; }));
        Office office{life};
        std::thread mover{[&] { office.move(of("from"), "to", 40); }};
        std::this_thread::sleep_for(std::chrono::milliseconds{5 * cut});  // wherever it is by then
        model = life.state.durable();
        log = life.journal.contents();
        mover.join();
    }
    check_places(model, log);
    Life next{log, model};
    next.start({spec("from", from), spec("to", to)});
    REQUIRE(next.engine->resume("from"));
    REQUIRE(next.engine->resume("to"));
    REQUIRE(eventually([&] { return next.settled() && from->distinct() + to->distinct() == 300; }));
    for (const auto& [id, times] : from->taken()) CHECK(to->taken().count(id) == 0);
}

TEST_CASE("a target whose position is lost sends again what it had, and not what it has given to another")
{
    const auto from = std::make_shared<Receiver>(), to = std::make_shared<Receiver>();
    StateModel model;
    EventLog log;
    {
        Life life;
        life.start({spec("from", from), spec("to", to)});
        REQUIRE(life.engine->pause("from", "a test"));
        REQUIRE(life.engine->pause("to", "a test"));
        const auto routing = version(1, {"from", "to"});
        send(life, routing, {0}, 20);
        REQUIRE(eventually([&] { return life.status("from").pending.sum() == 20; }));
        Office office{life};
        CHECK(office.move(of("from"), "to").done == 20);
        send(life, routing, {0, 1}, 30);
        REQUIRE(eventually([&] { return life.status("from").pending.sum() == 30; }));
        life.stop(100ms);
        model = life.state.durable();
        log = life.journal.contents();
    }
    for (auto& [name, position] : model.targets) {  // as salvage leaves them
        position.cursor = 0;
        position.settled.clear();
        position.shard.reset();
        position.trusted = false;
    }
    Life next{log, model};
    next.start({spec("from", from), spec("to", to)});
    CHECK(next.status("from").pending.sum() == 30);
    CHECK(next.status("to").pending.sum() == 50);
    REQUIRE(next.engine->resume("from"));
    REQUIRE(next.engine->resume("to"));
    REQUIRE(eventually([&] { return next.settled() && from->distinct() + to->distinct() == 80; }));
    CHECK(from->distinct() == 30);
    CHECK(to->distinct() == 50);
    next.stop(100ms);
    check_model(next.state.durable());
}

TEST_CASE("an orphan's deliveries are moved, also back, and what is in flight stays where it is")
{
    const auto from = std::make_shared<Receiver>(), to = std::make_shared<Receiver>();
    from->mode = Mode::hang;
    Life life;
    life.start({spec("from", from), spec("to", to)});
    send(life, version(1, {"from", "to"}), {0}, 50);
    REQUIRE(eventually([&] { return from->attempts == 8 && life.status("from").pending.sum() == 50; }));
    REQUIRE(life.engine->pause("to", "a test"));
    REQUIRE(life.engine->pause("from", "a test"));
    Office office{life};
    const DeliveriesActed moved = office.move(of("from"), "to");
    CHECK(moved.done == 42);
    CHECK(moved.in_flight == 8);
    CHECK(life.status("from").pending.in_flight == 8);
    CHECK(life.status("to").pending.retry == 42);
    const auto all = office.list(of("to"), 1000);
    REQUIRE(all.size() == 42);
    for (const PendingDelivery& one : all) CHECK(one.routed_to == "from");
    DeliveryFilter by_id;
    by_id.delivery = delivery_id(all.front().event, all.front().rule, "from");
    CHECK(office.list(by_id).size() == 1);

    REQUIRE(life.replace({spec("from", from)}).has_value());  // now "to" is the orphan
    CHECK(office.move(of("to"), "from").done == 42);
    CHECK(office.list(of("to")).empty());
    from->mode = Mode::ok;
    life.stop(100ms);
    const StateModel model = life.state.durable();
    const EventLog log = life.journal.contents();
    Life next{log, model};
    next.start({spec("from", from)});
    REQUIRE(next.engine->resume("from"));
    REQUIRE(eventually([&] { return next.settled(); }));
    CHECK(from->taken().size() == 50);
    for (const auto& [id, times] : from->taken()) CHECK(ids_of(log, "from").contains(id));
}

TEST_CASE("a moved delivery waits for the time that its rule says, unless an operator makes it due")
{
    const auto from = std::make_shared<Receiver>(), to = std::make_shared<Receiver>();
    RoutingVersion made;
    made.number = 1;
    made.buses = {"default"};
    RouteExtras extras;
    extras.delay = 1h;
    made.routes.push_back("later", "from", extras);
    Life life;
    life.start({spec("from", from), spec("to", to)});
    REQUIRE(life.engine->pause("from", "a test"));
    send(life, std::make_shared<const RoutingVersion>(made), {0}, 10);
    REQUIRE(eventually([&] { return life.status("from").pending.waiting == 10; }));
    Office office{life};
    CHECK(office.move(of("from"), "to").done == 10);
    REQUIRE(eventually([&] { return life.status("to").pending.delayed == 10; }));
    CHECK(to->attempts == 0);
    CHECK(office.act(DeliveryAct::retry_now, of("to")).done == 10);
    REQUIRE(eventually([&] { return to->distinct() == 10; }));
}

TEST_CASE("keys of an ordered target are free again once all that waited is moved")
{
    const auto from = std::make_shared<Receiver>(), to = std::make_shared<Receiver>();
    from->mode = Mode::fail;
    Life life;
    TargetSpec giver = spec("from", from);
    giver.order.order = Order::key;
    giver.order.key = "$.n";
    giver.retry.backoff_initial = giver.retry.backoff_max = 10min;
    giver.retry.jitter = false;
    life.start({giver, spec("to", to)});
    send(life, version(1, {"from", "to"}), {0}, 100);  // all of one key
    REQUIRE(eventually([&] { return life.status("from").pending.parked == 99; }));
    REQUIRE(life.engine->pause("from", "a test"));
    Office office{life};
    CHECK(office.move(of("from"), "to").done == 100);
    CHECK(life.status("from").parked_keys == 0);
    REQUIRE(eventually([&] { return to->distinct() == 100 && life.settled(); }));
    from->mode = Mode::ok;
    REQUIRE(life.engine->resume("from"));
    send(life, version(1, {"from", "to"}), {0}, 10);
    REQUIRE(eventually([&] { return from->distinct() == 10; }));
}
