#include "router/ingest/match_meter.hpp"

#include "table.hpp"

using namespace eventyard;
using namespace eventyard::router;

namespace {

/// Moves on a microsecond with each look.
class TickingClock final : public Clock {
public:
    [[nodiscard]] SteadyTime steady() const noexcept override { return SteadyTime{std::chrono::microseconds{++looks}}; }
    [[nodiscard]] WallTime wall() const noexcept override { return {}; }
    mutable std::int64_t looks = 0;
};

struct Meter {
    TickingClock clock;
    MatchMeter meter{clock};
    std::shared_ptr<RouteTable> table = test::make_table();

    std::vector<std::uint32_t> match(const char* bus, const std::string& text, std::size_t times = 1)
    {
        json::Document event;
        json::SyntaxError error;
        REQUIRE(event.parse(text, {}, error));
        std::vector<std::uint32_t> rules;
        meter.enter(*table, table->buses.at(bus));
        for (std::size_t i = 0; i < times; ++i) {
            rules.clear();
            meter.match(event, rules);
        }
        return rules;
    }
    [[nodiscard]] std::map<std::string, MatchTotals> totals() const
    {
        std::map<std::string, MatchTotals> sums;
        meter.sum_into(sums);
        return sums;
    }
};

const std::string both = R"({"kind":"order","size":"big"})";

}  // namespace

TEST_CASE("The meter answers as the rule set does and counts by bus what that costs")
{
    Meter m;
    CHECK(m.match("default", both) == std::vector<std::uint32_t>{0, 1});
    CHECK(m.match("default", R"({"kind":"order"})") == std::vector<std::uint32_t>{0});
    CHECK(m.match("default", R"({"kind":"letter"})").empty());
    CHECK(m.match("strict", both).size() == 2);
    const auto totals = m.totals();
    REQUIRE(totals.size() == 2);
    const MatchTotals& bus = totals.at("default");
    CHECK(bus.events == 3);
    CHECK(bus.cost.matches == 3);
    CHECK(bus.cost.candidates >= bus.cost.matches);
    CHECK(bus.cost.touched >= bus.cost.matches);
    CHECK(totals.at("strict").events == 1);
    CHECK(totals.at("strict").cost.matches == 2);
}

TEST_CASE("Every 256th event is looked at closely, and counted once all the same")
{
    Meter m;
    m.match("default", both, MatchMeter::sample_every);
    CHECK(m.totals().at("default").sampled_events == 1);
    m.match("default", both);
    const MatchTotals bus = m.totals().at("default");
    CHECK(bus.sampled_events == 2);
    CHECK(bus.sampled_time == std::chrono::microseconds{2});  // one tick each
    CHECK(bus.events == MatchMeter::sample_every + 1);
    CHECK(bus.cost.matches == 2 * bus.events);
    REQUIRE(bus.paths.count("kind") == 1);
    REQUIRE(bus.paths.count("size") == 1);
    CHECK(bus.paths.at("kind").time.count() > 0);
    std::uint64_t candidates = 0;
    for (const auto& [path, its] : bus.paths) candidates += its.candidates;
    CHECK(candidates == bus.sampled_events * bus.cost.candidates / bus.events);
}

TEST_CASE("Most expensive paths come first, and those without a value have no name")
{
    Meter m;
    m.table->buses.at("default") = test::make_bus(
        "default", 0,
        {{R"({"gone":[{"exists":false}]})", {0}}, {R"({"order":{"lines":{"sku":[{"prefix":"s-"}]}}})", {1}}});
    const auto rules = m.match("default", R"({"order":{"lines":[{"sku":"s-1"},{"sku":"s-2"},{"sku":"t-3"}]}})");
    CHECK(rules == std::vector<std::uint32_t>{0, 1});
    const MatchTotals bus = m.totals().at("default");
    CHECK(bus.paths.at("").candidates == 1);
    CHECK(bus.paths.at("order.lines.sku").candidates >= 1);
    const auto one = most_expensive(bus, 1);
    REQUIRE(one.size() == 1);
    CHECK(one[0].first == "order.lines.sku");  // three values were looked at
}

TEST_CASE("Paths are those of the configuration in effect, counts go on over a reload")
{
    Meter m;
    m.match("default", both);
    m.table->buses.at("default") = test::make_bus("default", 0, {{R"({"new":["x"]})", {0}}});
    m.table->generation = 2;
    m.match("default", R"({"new":"x"})", MatchMeter::sample_every);
    MatchTotals bus = m.totals().at("default");
    CHECK(bus.events == 1 + MatchMeter::sample_every);
    CHECK(bus.paths.count("kind") == 0);
    CHECK(bus.paths.count("new") == 1);

    Meter other;  // a thread that has not seen the new one yet
    other.match("default", both);
    const MatchTotals old = other.totals().at("default");
    MatchTotals sum = old;
    sum.add(bus);
    CHECK(sum.paths.size() == bus.paths.size());
    bus.add(old);
    CHECK(bus.paths.count("kind") == 0);
    CHECK(bus.events == sum.events);
}
