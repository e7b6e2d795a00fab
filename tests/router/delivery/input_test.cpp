// What a lane sends of events whose rule has an input.
#include <catch2/catch.hpp>

#include "router/delivery/lane.hpp"
#include "router/delivery/redriven.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace std::chrono_literals;

namespace {

Id id_of(std::uint8_t n)
{
    Id id;
    id.bytes.fill(n);
    return id;
}

Input template_of(const std::string& text)
{
    auto input = Input::parse(Input::template_text({{"n", "$.detail.n"}}, text));
    REQUIRE(input.has_value());
    return *input;
}

StoredEventPtr event_with(Input input, Sequence sequence, std::string body, EventFormat format = EventFormat::json)
{
    auto version = std::make_shared<RoutingVersion>();
    version->buses = {"default"};
    version->routes.push_back("replay:x:large", "orders", RouteExtras{std::move(input), {}, {}, {}, {}});
    auto stored = std::make_shared<StoredEvent>();
    stored->event = {id_of(static_cast<std::uint8_t>(sequence)), WallTime{500'000h}, format, "default", std::move(body)};
    stored->version = std::move(version);
    stored->routes = {0};
    stored->sequence = sequence;
    return stored;
}

struct Bench {
    SeededRandom random{3};
    Lane lane{start(), {}, random};
    LaneSettings settings;
    Todo todo;
    Now now{SteadyTime{1h}, WallTime{500'000h}, 0};

    explicit Bench(BatchPolicy batch = {})
    {
        settings.batch = batch;
        lane.configure(&settings);
    }
    static LaneStart start()
    {
        LaneStart made;
        made.target = "orders";
        return made;
    }
    std::vector<Request> offer(std::initializer_list<StoredEventPtr> events)
    {
        now.seen += events.size();
        for (const StoredEventPtr& event : events) lane.offer(event, 0);
        return pump();
    }
    std::vector<Request> pump()
    {
        lane.pump(now, 100, todo);
        return std::exchange(todo.requests, {});
    }
    [[nodiscard]] std::optional<DeadLetter> letter() const
    {
        const auto* const ended = todo.changes.empty() ? nullptr : std::get_if<Ended>(&todo.changes.back());
        return ended ? ended->dead_letter : std::nullopt;
    }
};

const std::string body = R"({"detail":{"n":1.0}})";

}  // namespace

TEST_CASE("an attempt sends what the rule makes of the event, under the event's own names")
{
    Bench bench;
    const auto requests = bench.offer({event_with(template_of(R"({"n":<n>,"by":<aws.events.rule-name>})"), 1, body, EventFormat::cloudevents)});
    REQUIRE(requests.size() == 1);
    const Event& sent = *requests[0].attempts[0].event;
    CHECK(sent.body == R"({"n":1.0,"by":"large"})");  // the rule of a replay is the rule
    CHECK(sent.format == EventFormat::json);
    CHECK(sent.id == id_of(1));
    CHECK(sent.bus == "default");
    CHECK(sent.received == WallTime{500'000h});
}

TEST_CASE("a retry sends the same again")
{
    Bench bench;
    const auto stored = event_with(template_of(R"("<n>")"), 1, body);
    auto requests = bench.offer({stored});
    targets::Outcome failed;
    failed.verdict = targets::Verdict::retry;
    failed.cause = targets::Cause::status;
    bench.lane.on_outcomes(bench.now, requests[0].ticket, {failed}, bench.todo);
    bench.now.steady += 1h;
    bench.now.wall += 1h;
    CHECK(bench.pump().empty());
    REQUIRE(bench.todo.events.size() == 1);
    bench.lane.on_event(bench.now, bench.todo.events.front().ticket, true, stored, bench.todo);
    requests = bench.pump();
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].attempts[0].event->body == R"("1.0")");
    CHECK(requests[0].attempts[0].number == 2);
}

TEST_CASE("a batch is as large as what it sends")
{
    const Input small = template_of(R"({"n":<n>})"), large = template_of(R"({"n":<n>,"e":[<aws.events.event.json>,<aws.events.event.json>]})");
    const std::string long_body = R"({"detail":{"n":1},"x":")" + std::string(400, 'x') + R"("})";
    Bench bench{BatchPolicy{10, 1000, Duration{0}}};
    auto requests = bench.offer({event_with(small, 1, long_body), event_with(small, 2, long_body), event_with(small, 3, long_body)});
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].attempts.size() == 3);
    CHECK(requests[0].attempts[2].event->body == R"({"n":1})");
    requests = bench.offer({event_with(large, 4, long_body), event_with(large, 5, long_body)});
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].attempts.size() == 1);
}

TEST_CASE("a dead letter keeps the event and the input, and its redrive sends the same")
{
    Bench bench;
    const Input input = template_of(R"("order <n>")");
    const auto requests = bench.offer({event_with(input, 1, body)});
    targets::Outcome refused;
    refused.verdict = targets::Verdict::reject;
    refused.cause = targets::Cause::status;
    bench.lane.on_outcomes(bench.now, requests[0].ticket, {refused}, bench.todo);
    auto letter = bench.letter();
    REQUIRE(letter);
    CHECK(letter->body == body);
    CHECK(letter->input == input.text());

    letter->id = 7;
    RetryRow row;
    row.target = "orders";
    row.key = letter->key;
    row.rule = letter->rule;
    row.event = letter->event;
    row.letter = letter->id;
    bench.lane.redrive(bench.now, {row}, bench.todo);
    CHECK(bench.pump().empty());
    REQUIRE(bench.todo.events.size() == 1);
    CHECK(bench.todo.events.front().letter == 7);
    bench.lane.on_event(bench.now, bench.todo.events.front().ticket, true, event_of(*letter), bench.todo);
    const auto again = bench.pump();
    REQUIRE(again.size() == 1);
    CHECK(again[0].attempts[0].event->body == R"("order 1.0")");
    CHECK(again[0].attempts[0].id == requests[0].attempts[0].id);
    bench.lane.on_outcomes(bench.now, again[0].ticket, {refused}, bench.todo);
    CHECK(bench.letter()->input == input.text());

    letter->input = "no input";
    CHECK(event_of(*letter).error().code == Errc::corrupt);
}

TEST_CASE("what would be too large to send is a dead letter, without an attempt")
{
    std::string text = "[1";
    for (int i = 0; i < 40; ++i) text += ",<aws.events.event.json>";
    const Input input = template_of(text + "]");
    const std::string large = R"({"x":")" + std::string(1U << 19, 'x') + R"("})";
    Bench bench;
    CHECK(bench.offer({event_with(input, 1, large)}).empty());
    const auto letter = bench.letter();
    REQUIRE(letter);
    CHECK(letter->reason == "too_large");
    CHECK(letter->attempts == 0);
    CHECK(letter->last_detail == "the rule's input makes more than 16 MiB of it");
    CHECK(letter->body == large);
    CHECK(bench.lane.idle());
    CHECK(bench.lane.in_flight() == 0);

    RetryRow row;
    row.target = "orders";
    row.key = {1, 0};
    row.letter = 7;
    bench.lane.redrive(bench.now, {row}, bench.todo);
    CHECK(bench.pump().empty());
    bench.lane.on_event(bench.now, bench.todo.events.front().ticket, true, event_with(input, 1, large), bench.todo);
    CHECK(bench.pump().empty());
    CHECK(bench.letter()->reason == "too_large");
    CHECK(bench.lane.in_flight() == 0);
}

TEST_CASE("a strict target that holds sends nothing after one that was too large")
{
    std::string text = "[1";
    for (int i = 0; i < 40; ++i) text += ",<aws.events.event.json>";
    const std::string large = R"({"x":")" + std::string(1U << 19, 'x') + R"("})";
    Bench bench;
    bench.settings.order.order = Order::strict;
    bench.settings.order.hold = true;
    bench.lane.configure(&bench.settings);
    CHECK(bench.offer({event_with(template_of(text + "]"), 1, large), event_with(template_of("[<n>]"), 2, body)}).empty());
    std::vector<std::string> reasons;
    for (const Change& change : bench.todo.changes)  // the pause is one, too
        if (const auto* ended = std::get_if<Ended>(&change); ended && ended->dead_letter) reasons.push_back(ended->dead_letter->reason);
    CHECK(reasons == std::vector<std::string>{"too_large"});
    CHECK(bench.lane.paused() != "");
    bench.lane.resume(bench.todo);
    const auto requests = bench.pump();
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].attempts[0].event->body == "[1.0]");
}

TEST_CASE("while much of what inputs made is being sent, nothing more starts")
{
    Bench bench;
    bench.settings.concurrency = 100;
    bench.lane.configure(&bench.settings);
    std::string large = R"({"detail":{"n":")" + std::string(128U << 10, 'x') + "\"}}";
    std::string sixty_four = "[<n>";
    for (int i = 1; i < 64; ++i) sixty_four += ",<n>";
    const Input input = template_of(sixty_four + "]");  // 8 MiB each
    std::vector<Request> sent;
    for (Sequence sequence = 1; sequence <= 20; ++sequence)
        for (Request& request : bench.offer({event_with(input, sequence, large)})) sent.push_back(std::move(request));
    CHECK(sent.size() == 8);  // the last of them went above 64 MiB
    CHECK(bench.pump().empty());
    REQUIRE_FALSE(sent.empty());
    targets::Outcome took;
    took.verdict = targets::Verdict::delivered;
    bench.lane.on_outcomes(bench.now, sent.front().ticket, {took}, bench.todo);
    const auto next = bench.pump();
    CHECK(next.size() == 1);
}
