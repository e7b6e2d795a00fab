#include "router/ingest/intake.hpp"

#include <nlohmann/json.hpp>

#include "router/ingest/destination.hpp"
#include "router/replay_name.hpp"
#include "table.hpp"

using namespace eventyard;
using namespace eventyard::router;
using Json = nlohmann::json;

namespace {

struct Desk {
    std::shared_ptr<RouteTable> table = test::make_table();
    SeededRandom random{7};
    SystemClock clock;
    IntakeDesk desk{random, clock};
    WallTime now{std::chrono::hours{24 * 365 * 56}};

    Intake take(const char* bus, BodyForm form, std::string body, bool atomic = false)
    {
        return desk.take(*table, table->buses.at(bus), form, {}, body, atomic, now);
    }
};

Json json_of(const Answer& answer) { return Json::parse(answer.body); }

const Result<CommitResult> committed = CommitResult{41, Durability::fsync};

}  // namespace

TEST_CASE("An event carries the routes of every rule that matches, each once and ascending")
{
    Desk d;
    const Intake both = d.take("default", BodyForm::json, R"({"kind":"order","size":"big"})");
    REQUIRE(both.events.size() == 1);
    const StoredEvent& event = *both.events[0];
    CHECK(event.routes == std::vector<std::uint32_t>{0, 1, 2});
    CHECK(event.version == d.table->version);
    CHECK(event.event.received == d.now);
    CHECK(event.event.format == EventFormat::json);
    CHECK(event.event.body == R"({"kind":"order","size":"big"})");
    CHECK(!event.event.id.is_nil());
    const Answer given = answer(both, &committed);
    CHECK(given.status == 202);
    CHECK(json_of(given) == Json{{"id", event.event.id.text()}, {"sequence", 41}, {"stored", true}, {"deliveries", 3}});
}

TEST_CASE("What happens to an unmatched event is the bus's choice")
{
    Desk d;
    const Intake dropped = d.take("default", BodyForm::json, "{}");
    CHECK(dropped.events.empty());
    const Answer accepted = answer(dropped, nullptr);
    CHECK(accepted.status == 202);
    CHECK(json_of(accepted).at("stored") == false);
    CHECK(!json_of(accepted).contains("sequence"));
    CHECK(tally(dropped, nullptr).unmatched == 1);

    const Intake stored = d.take("archive", BodyForm::json, "{}");
    REQUIRE(stored.events.size() == 1);
    CHECK(stored.events[0]->routes.empty());
    CHECK(stored.events[0]->bus == 2);
    CHECK(stored.durability == Durability::os);
    const Result<CommitResult> os = CommitResult{1, Durability::os};
    CHECK(json_of(answer(stored, &os)).at("durability") == "os");
    CHECK(tally(stored, &os).unmatched == 1);

    const Intake refused = d.take("strict", BodyForm::json, "{}");
    CHECK(refused.events.empty());
    const Answer no = answer(refused, nullptr);
    CHECK(no.status == 422);
    CHECK(json_of(no).at("error").at("code") == "unmatched");
    CHECK(tally(refused, nullptr).refused == 1);
}

TEST_CASE("Events with more matches than limits.matches are refused by that name")
{
    Desk d;
    d.table->limits.matches = 2;
    const Answer no = answer(d.take("default", BodyForm::json, R"({"kind":"order","size":"big"})"), nullptr);
    CHECK(no.status == 422);
    CHECK(json_of(no).at("error").at("config") == "limits.matches");
    CHECK(json_of(no).at("error").at("limit") == 2);
    CHECK(d.take("default", BodyForm::json, R"({"kind":"order"})").events.size() == 1);
}

TEST_CASE("A batch's status tells all, some or none")
{
    Desk d;
    struct Case {
        const char* body;
        unsigned status;
        std::size_t stored;
    };
    const Case cases[] = {
        {"", 202, 0},
        {"{}\n{\"kind\":\"order\"}", 202, 1},
        {"{}\nx", 207, 0},
        {"{\"kind\":\"order\"}\nx\n{\"kind\":\"order\"}", 207, 2},
        {"x\n[]", 400, 0},
    };
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.body)
        {
            const Intake intake = d.take("default", BodyForm::ndjson, c.body);
            CHECK(intake.events.size() == c.stored);
            const auto* commit = c.stored > 0 ? &committed : nullptr;
            const Answer given = answer(intake, commit);
            CHECK(given.status == c.status);
            const Json body = json_of(given);
            CHECK(body.at("items").size() == intake.items.size());
            CHECK(body.at("accepted").get<std::size_t>() + body.at("refused").get<std::size_t>() ==
                  intake.items.size());
            std::uint64_t sequence = 41;
            for (const Json& item : body.at("items"))
                if (item.value("stored", false)) CHECK(item.at("sequence") == sequence++);
            const IntakeTally counted = tally(intake, commit);
            CHECK(counted.accepted == body.at("accepted"));
            CHECK(counted.refused == body.at("refused"));
            CHECK(counted.accepted == counted.matched + counted.unmatched);
        }
    // Refused for different reasons: 400; for one reason: that.
    CHECK(answer(d.take("strict", BodyForm::ndjson, "{}\n{}"), nullptr).status == 422);
    CHECK(answer(d.take("strict", BodyForm::ndjson, "{}\n["), nullptr).status == 400);
}

TEST_CASE("An atomic request takes all items or none")
{
    Desk d;
    const std::string good = R"({"kind":"order"})";
    const Intake none = d.take("default", BodyForm::ndjson, good + "\n{}\n[]\n" + good, true);
    CHECK(none.events.empty());
    const Answer no = answer(none, nullptr);
    CHECK(no.status == 400);
    const Json items = json_of(no).at("items");
    CHECK(items[0].at("status") == 424);
    CHECK(items[1].at("status") == 424);
    CHECK(items[2].at("status") == 400);
    CHECK(items[3].at("error").at("code") == "not_accepted");
    CHECK(json_of(no).at("accepted") == 0);
    CHECK(d.take("default", BodyForm::ndjson, good + "\n" + good, true).events.size() == 2);
    CHECK(answer(d.take("strict", BodyForm::ndjson, good + "\n{}", true), nullptr).status == 422);
    CHECK(tally(none, nullptr).refused == 4);
}

TEST_CASE("A failed commit is a 503 and counts every item as refused")
{
    Desk d;
    const Intake intake = d.take("default", BodyForm::ndjson, "{}\n{\"kind\":\"order\"}");
    for (const auto& [code, name] : {std::pair{Errc::no_space, "no_space"}, std::pair{Errc::io, "outcome_unknown"},
                                     std::pair{Errc::unavailable, "overloaded"}, std::pair{Errc::corrupt, "not_stored"},
                                     std::pair{Errc::cancelled, "shutting_down"}}) {
        const Result<CommitResult> failed = fail(code, "secret detail");
        const Answer given = answer(intake, &failed);
        CHECK(given.status == 503);
        CHECK(given.retry_after > 0);
        CHECK(json_of(given).at("error").at("code") == name);
        CHECK(given.body.find("secret") == std::string::npos);
        CHECK(tally(intake, &failed).refused == 2);
        CHECK(tally(intake, &failed).accepted == 0);
    }
}

TEST_CASE("A body is moved into the event when it is kept whole")
{
    Desk d;
    std::string body = R"({"kind":"order","padding":")" + std::string(1000, 'x') + "\"}";
    const char* const bytes = body.data();
    const Intake intake = d.desk.take(*d.table, d.table->buses.at("default"), BodyForm::json, {}, body, false, d.now);
    REQUIRE(intake.events.size() == 1);
    CHECK(intake.events[0]->event.body.data() == bytes);
}

TEST_CASE("The request line names a bus and its options")
{
    struct Case {
        const char* target;
        const char* bus;  // null: refused
        bool atomic;
        unsigned status;
        const char* message;
    };
    const Case cases[] = {
        {"/v1/events", "default", false, 0, ""},
        {"/v1/events?", "default", false, 0, ""},
        {"/v1/events?atomic=true", "default", true, 0, ""},
        {"/v1/events?atomic=false&", "default", false, 0, ""},
        {"/v1/events?atomi%63=tru%65", "default", true, 0, ""},
        {"http://host:80/v1/events?atomic=true", "default", true, 0, ""},
        {"/v1/buses/strict/events", "strict", false, 0, ""},
        {"/v1/buses/stri%63t/events?atomic=true", "strict", true, 0, ""},
        {"/v1/events?atomic=1", nullptr, false, 400, "true or false"},
        {"/v1/events?atomic", nullptr, false, 400, "true or false"},
        {"/v1/events?atomc=true", nullptr, false, 400, "unknown query parameter 'atomc'"},
        {"/v1/buses/strcit/events", nullptr, false, 404, "did you mean 'strict'?"},
        {"/v1/buses//events", nullptr, false, 404, "nothing is at"},
        {"/v1/buses/strict", nullptr, false, 404, "nothing is at"},
        {"/v1/events/", nullptr, false, 404, "POST /v1/events"},
        {"/", nullptr, false, 404, "POST /v1/events"},
        {"http://host", nullptr, false, 404, "nothing is at '/'"},
        {"*", nullptr, false, 404, "nothing is at"},
        {"", nullptr, false, 404, "nothing is at"},
        {"/v1/buses/%00%zz/events", nullptr, false, 404, "there is no bus '?%zz'"},
    };
    const auto table = test::make_table();
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.target)
        {
            Destination destination;
            Refusal refusal;
            const bool found = find_destination(c.target, *table, destination, refusal);
            REQUIRE(found == (c.bus != nullptr));
            if (found) {
                CHECK(destination.bus->name == c.bus);
                CHECK(destination.atomic == c.atomic);
            } else {
                CHECK(refusal.status == c.status);
                CHECK(refusal.message.find(c.message) != std::string::npos);
            }
        }
}

TEST_CASE("An event that came before is answered as the one that is stored")
{
    Desk d;
    const Intake single = d.take("default", BodyForm::json, R"({"kind":"order"})");
    const Id first = new_event_id(d.now, d.random);
    const Result<CommitResult> known = CommitResult{0, Durability::fsync, {{0, first, 17}}};
    CHECK(json_of(answer(single, &known)) == Json{{"id", first.text()}, {"sequence", 17}, {"stored", true}, {"duplicate", true}});
    CHECK(tally(single, &known).duplicate == 1);
    CHECK(tally(single, &known).accepted == 0);
    CHECK(tally(single, &known).matched == 0);

    const Intake batch = d.take("default", BodyForm::ndjson,
                                R"({"kind":"order","n":0})" "\n" "{}\n" R"({"kind":"order","n":1})" "\n" "x\n"
                                R"({"kind":"order","n":2})" "\n" R"({"kind":"order","n":3})" "\n");
    REQUIRE(batch.events.size() == 4);
    const Result<CommitResult> mixed = CommitResult{50, Durability::os, {{1, first, 17}, {2, first, 50}}};
    const Answer given = answer(batch, &mixed);
    CHECK(given.status == 207);
    const Json said = json_of(given);
    CHECK(said.at("accepted") == 3);  // one of them unmatched
    CHECK(said.at("duplicate") == 2);
    CHECK(said.at("refused") == 1);
    CHECK(said.at("durability") == "os");
    const Json& items = said.at("items");
    CHECK(items[0].at("sequence") == 50);
    CHECK_FALSE(items[0].contains("duplicate"));
    CHECK(items[1].at("stored") == false);
    CHECK(items[2].at("sequence") == 17);
    CHECK(items[2].at("id") == first.text());
    CHECK(items[2].at("status") == 202);
    CHECK(items[4].at("sequence") == 50);
    CHECK(items[5].at("sequence") == 51);
    CHECK(items[5].at("id") == batch.events[3]->event.id.text());
    const IntakeTally sums = tally(batch, &mixed);
    CHECK(sums.accepted == 3);
    CHECK(sums.duplicate == 2);
    CHECK(sums.matched == 2);
    CHECK(sums.unmatched == 1);
    CHECK(sums.refused == 1);
}

TEST_CASE("What makes two events one is what the bus says")
{
    Desk d;
    const auto key = [&](std::initializer_list<const char*> paths, const std::string& body,
                         const char* bus = "default") -> std::optional<EventKey> {
        DedupOptions options;
        for (const char* path : paths) options.key.push_back(*json::Path::of_one(path));
        options.window = std::chrono::seconds{5};
        d.table->buses.at(bus).dedup = std::make_shared<const DedupOptions>(options);
        std::string text = body;
        const Intake taken = d.take(bus, BodyForm::json, text);
        REQUIRE(taken.events.size() == 1);
        const auto& once = taken.events[0]->once;
        if (!once) return std::nullopt;
        CHECK(once->until == d.now + std::chrono::seconds{5});
        // A start, which knows only what is stored, makes the same of it.
        json::Document scratch;
        const auto stored = uniqueness_of(*d.table, *taken.events[0], scratch);
        REQUIRE(stored);
        CHECK(stored->key == once->key);
        CHECK(stored->until == once->until);
        return once->key;
    };
    const auto one = key({"kind", "id"}, R"({"kind":"order","id":"1"})");
    REQUIRE(one);
    CHECK(key({"kind", "id"}, R"({"id":"1", "x":[2], "kind":"order"})") == one);
    CHECK(key({"$.kind", "$['id']"}, R"({"kind":"order","id":"\u0031"})") == one);
    CHECK(key({"kind", "id"}, R"({"kind":"order","id":1})") != one);
    CHECK(key({"kind", "id"}, R"({"kind":"order","id":"1"})", "archive") != one);
    CHECK(key({"id", "kind"}, R"({"kind":"order","id":"1"})") != one);
    CHECK(key({"kind", "other"}, R"({"kind":"order","other":"1"})") != one);  // of a `key` that a reload changed
    CHECK(key({"kind", "a", "b"}, R"({"kind":"order","a":"x","b":"yz"})") != key({"kind", "a", "b"}, R"({"kind":"order","a":"xy","b":"z"})"));
    CHECK(key({"d"}, R"({"kind":"order","d":{"a":1}})") == key({"d"}, R"({"kind":"order","d":{"a":1},"n":2})"));
    CHECK_FALSE(key({"kind", "id"}, R"({"kind":"order"})"));
    CHECK_FALSE(key({"kind", "id"}, R"({"kind":"order","id":null})"));
    CHECK(key({"$.detail.list[-1]"}, R"({"kind":"order","detail":{"list":[3,4]}})"));
}

TEST_CASE("What a replay made is not held back")
{
    Desk d;
    auto replayed = std::make_shared<RoutingVersion>();
    replayed->buses = {"default"};
    replayed->routes.push_back({replay_name({"t", false, "rule"}), "orders", {}, "", {}, {}});
    DedupOptions options;
    options.key.push_back(*json::Path::of_one("kind"));
    d.table->buses.at("default").dedup = std::make_shared<const DedupOptions>(options);
    const Intake taken = d.take("default", BodyForm::json, R"({"kind":"order"})");
    StoredEvent stored = *taken.events.at(0);
    json::Document scratch;
    CHECK(uniqueness_of(*d.table, stored, scratch));
    stored.version = replayed;
    stored.routes = {0};
    CHECK_FALSE(uniqueness_of(*d.table, stored, scratch));
}
