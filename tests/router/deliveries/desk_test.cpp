// Lists and acts over lanes at work: what is pending wherever it lies, found once and ended once.
#include "tests/router/deliveries/office.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;

namespace {

std::size_t count(const std::vector<PendingDelivery>& all, PendingDelivery::State state)
{
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& one) { return one.state == state; }));
}

using Stage = PendingDelivery::State;

}  // namespace

TEST_CASE("a list has what is pending in memory, on disk, in flight and in retry, each once")
{
    const auto slow = std::make_shared<Receiver>(), failing = std::make_shared<Receiver>(), well = std::make_shared<Receiver>();
    slow->mode = Mode::hang;
    failing->mode = Mode::fail;
    Life life;
    TargetSpec later = spec("failing", failing);
    later.retry.backoff_initial = later.retry.backoff_max = 10min;
    later.retry.jitter = false;  // or one in a few hundred would be due at once
    later.breaker.failures = 100'000;
    life.start({spec("slow", slow), later, spec("well", well)});
    send(life, version(1, {"slow", "failing", "well"}), {0, 1, 2}, 300);  // more than a window
    REQUIRE(eventually([&] { return failing->attempts == 300 && well->distinct() == 300 && slow->attempts == 8; }));
    REQUIRE(eventually([&] { return life.status("failing").pending.retry == 300; }));
    Office office{life};
    const auto all = office.list();
    CHECK(all.size() == 600);
    std::set<std::pair<std::string, DeliveryKey>> keys;
    for (const PendingDelivery& one : all) keys.emplace(one.target, one.key);
    CHECK(keys.size() == 600);
    CHECK(count(all, Stage::in_flight) == 8);
    CHECK(count(all, Stage::waiting) == 292);
    CHECK(count(all, Stage::retry) == 300);
    for (const PendingDelivery& one : all) {
        CHECK(one.due.has_value() == (one.state == Stage::retry));
        CHECK(one.attempts == (one.state == Stage::retry ? 1 : 0));
    }
    CHECK(office.list(of("slow")).size() == 300);
    CHECK(office.list(of("well")).empty());
    DeliveryFilter rule;
    rule.rule = "to-failing";
    CHECK(office.list(rule, 1000).size() == 300);
    DeliveryFilter event;
    event.event = all.front().event;
    CHECK(office.list(event).size() == 2);
    DeliveryFilter one;
    one.delivery = delivery_id(all.front().event, all.front().rule, all.front().target);
    CHECK(office.list(one).size() == 1);
    DeliveryFilter old;
    old.received_before = life.clock.wall() - 1h;
    CHECK(office.list(old).empty());
    for (const char* bad : {"x", "j:1", "r:1:2:x", "j:a:1:t"}) CHECK(office.page(bad).error().code == Errc::invalid);
}

TEST_CASE("a discard ends what is pending, however far behind, durably and for ever, and what flies ends with its attempt")
{
    const auto slow = std::make_shared<Receiver>();
    slow->mode = Mode::hang;
    StateModel model;
    EventLog log;
    {
        Life life;
        life.options.close_grace = 1min;  // on a busy machine, too, what flies has ended by then
        life.start({spec("slow", slow)});
        send(life, version(1, {"slow", "slow"}), {0, 1}, 300);
        REQUIRE(eventually([&] { return slow->attempts == 8 && life.status("slow").pending.sum() == 600; }));
        Office office{life};
        const DeliveriesActed acted = office.act(DeliveryAct::discard, of("slow"));
        CHECK(acted.done == 592);
        CHECK(acted.in_flight == 8);
        CHECK(life.state.durable().ended.size() == 592);  // before the answer
        CHECK(office.act(DeliveryAct::discard, of("slow")).in_flight == 0);  // told once
        CHECK(life.status("slow").pending.sum() == 8);
        slow->mode = Mode::fail;
        life.stop(100ms);
        model = life.state.durable();
        log = life.journal.contents();
    }
    check_model(model);
    CHECK(model.ended.size() == 600);
    for (const auto& [key, endings] : model.ended) CHECK(endings.front() == Ending::discarded_operator);
    slow->mode = Mode::ok;
    Life next{log, model};
    next.start({spec("slow", slow)});
    std::this_thread::sleep_for(100ms);
    CHECK(slow->distinct() == 0);
}

TEST_CASE("a discard of one rule leaves the others of a lagging target, over a restart")
{
    const auto far = std::make_shared<Receiver>();
    RoutingVersion made;
    made.number = 1;
    made.buses = {"default"};
    made.routes.push_back({"odd", "t", {}, {}, {}, {}});
    made.routes.push_back({"even", "t", {}, {}, {}, {}});
    const auto routing = std::make_shared<const RoutingVersion>(made);
    StateModel model;
    EventLog log;
    {
        Life life;
        life.start({spec("t", far)});
        REQUIRE(life.engine->pause("t", "a test"));
        send(life, routing, {0, 1}, 400);
        Office office{life};
        REQUIRE(eventually([&] { return life.status("t").pending.sum() == 800; }));
        DeliveryFilter even = of("t");
        even.rule = "even";
        CHECK(office.act(DeliveryAct::discard, even, 1000).done == 400);
        CHECK(life.status("t").pending.sum() == 400);
        CHECK(office.list(of("t"), 1000).size() == 400);
        model = life.state.durable();  // killed here
        log = life.journal.contents();
    }
    check_model(model);
    Life life{log, model};
    life.start({spec("t", far)});
    REQUIRE(life.engine->resume("t"));
    REQUIRE(eventually([&] { return life.settled(); }));
    CHECK(far->distinct() == 400);
    check_model(life.state.durable());
    CHECK(life.state.durable().ended.size() == 800);
}

TEST_CASE("retries picked by hand are due now, in memory or not, and stay so over a crash")
{
    const auto far = std::make_shared<Receiver>();
    far->mode = Mode::fail;
    StateModel model;
    EventLog log;
    {
        Life life;
        TargetSpec one = spec("t", far);
        one.retry.backoff_initial = one.retry.backoff_max = 10min;
        one.retry.jitter = false;
        one.breaker.failures = 100'000;
        life.start({one});
        send(life, version(1, {"t", "t"}), {0, 1}, 100);  // more rows than memory holds
        REQUIRE(eventually([&] { return life.status("t").pending.retry == 200; }));
        Office office{life};
        REQUIRE(life.engine->pause("t", "so that nothing goes out yet"));
        const DeliveriesActed acted = office.act(DeliveryAct::retry_now, of("t"), 1000);
        CHECK(acted.done == 200);
        model = life.state.durable();  // killed here
        log = life.journal.contents();
    }
    far->mode = Mode::ok;
    Life life{log, model};
    life.start({spec("t", far)});
    REQUIRE(life.engine->resume("t"));
    REQUIRE(eventually([&] { return far->distinct() >= 100 && life.settled(); }));
    check_model(life.state.durable());
}
