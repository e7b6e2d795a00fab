#include "router/admin/api.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/http.hpp"

using namespace eventyard;
using namespace eventyard::router;
using Json = nlohmann::json;

namespace {

/// Remembers what it was asked, and answers from another thread where the real one does.
class FakeBackend final : public admin::Backend {
public:
    void status(std::function<void(admin::StatusReport)> done) override
    {
        std::thread([done = std::move(done)] {
            admin::StatusReport report;
            report.version = "fake";
            done(report);
        }).detach();
    }
    [[nodiscard]] std::vector<std::string> not_ready() const override { return reasons; }
    void reload(std::function<void(ReloadResult)> done) override { done(reload_result); }
    void pause(std::string target, Act act, std::function<void(Result<void>)> done) override
    {
        if (target != "a/b") return done(fail(Errc::not_found, "no target '" + target + "'"));
        asked = "pause " + target + " " + act.who + " " + act.why;
        done({});
    }
    void resume(std::string target, Act act, std::function<void(Result<void>)> done) override
    {
        asked = "resume " + target + " " + act.who;
        done({});
    }
    void release_keys(std::string target, std::string order_key, Act,
                      std::function<void(Result<std::size_t>)> done) override
    {
        asked = "release " + target + " " + order_key;
        if (target == "gone") return done(fail(Errc::not_found, "no target 'gone'"));
        done(std::size_t{2});
    }
    void retry_now(std::string target, Act, std::function<void(Result<void>)> done) override
    {
        asked = "retry " + target;
        done({});
    }
    [[nodiscard]] WallTime now() const override { return WallTime{std::chrono::hours{100}}; }
    void dead_letters(DeadLetterFilter filter, std::function<void(Result<DeadLetterPage>)> done) override
    {
        last_filter = filter;
        DeadLetter letter;
        letter.id = 7;
        letter.reason = "max_attempts";
        letter.group = 3;
        letter.body = "\xff";
        letter.trail = {AttemptRecord{}};
        done(DeadLetterPage{{letter}, 7, filter.after_id < 7});
    }
    void deliveries(DeliveryFilter filter, std::string after, std::size_t limit,
                    std::function<void(Result<DeliveryPage>)> done) override
    {
        if (after == "junk") return done(fail(Errc::invalid, "'junk' is no next"));
        asked = "deliveries " + filter.target + " " + filter.rule + " " + std::to_string(limit) + " " + after;
        pending_filter = filter;
        PendingDelivery one{"t", "r", *parse_id("019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d"), {7, 1}, PendingDelivery::State::retry,
                            3, WallTime{std::chrono::hours{101}}, WallTime{std::chrono::hours{99}}, true};
        done(DeliveryPage{{one}, after.empty() ? "r:7:1:1" : ""});
    }
    void act_on_deliveries(DeliveryAct what, DeliveryFilter filter, std::string, std::size_t, Act act,
                           std::function<void(Result<DeliveriesActed>)> done) override
    {
        asked = std::string(what == DeliveryAct::discard ? "discard " : "retry ") + filter.target + " " + act.who + " " + act.why;
        done(DeliveriesActed{4, 1, 2, ""});
    }
    void erase(Id event, Act act, std::function<void(Result<Erased>)> done) override
    {
        asked = "erase " + event.text() + " " + act.who + " " + act.why;
        Erased erased;
        erased.journal = 2;
        erased.discarded = 3;
        erased.left = {"/data/exports/state.db"};
        done(event.bytes[0] == 0x01 ? Result<Erased>{erased} : Result<Erased>{fail(Errc::not_found, "no event")});
    }
    void drain(std::string target, Act act, std::function<void(Result<std::uint64_t>)> done) override
    {
        if (target == "gone") return done(fail(Errc::conflict, "not configured"));
        asked = "drain " + target + " " + act.who + " " + act.why;
        done(std::uint64_t{17});
    }
    void move_deliveries(DeliveryFilter filter, std::string to, bool dry_run, std::string, std::size_t, Act act,
                         std::function<void(Result<DeliveriesActed>)> done) override
    {
        if (to == "nowhere") return done(fail(Errc::not_found, "no target 'nowhere'"));
        asked = "move " + filter.target + " " + to + " " + filter.rule + " " + act.who + " " + act.why + (dry_run ? " dry" : "");
        done(DeliveriesActed{4, 1, 0, ""});
    }
    void audit(std::function<void(Result<AuditReport>)> done) override
    {
        AuditReport report;
        AuditRow row;
        row.routed = row.counted = 3;
        row.ended[Ending::delivered] = 1;
        row.pending = 1;
        report.rows = {row};
        done(report);
    }
    void dead_letter_groups(DeadLetterFilter filter,
                            std::function<void(Result<std::vector<DeadLetterGroup>>)> done) override
    {
        last_filter = filter;
        DeadLetterGroup group;
        group.id = 3;
        group.letters = 12;
        done(std::vector<DeadLetterGroup>{group});
    }
    void redrive(DeadLetterFilter filter, double per_second, Act act, std::function<void(Result<RedriveJob>)> done) override
    {
        last_filter = filter;
        asked = "redrive " + std::to_string(per_second) + " " + act.who + " " + act.why;
        done(job);
    }
    void cancel_redrive(std::int64_t id, Act act, std::function<void(Result<RedriveJob>)> done) override
    {
        asked = "cancel " + std::to_string(id) + " " + act.who;
        if (id == job.id) done(job);
        else done(fail(Errc::conflict, "is done already"));
    }
    [[nodiscard]] std::vector<RedriveJob> redrives() override { return {job}; }
    void discard(DeadLetterFilter filter, bool dry_run, Act, std::function<void(Result<std::uint64_t>)> done) override
    {
        last_filter = filter;
        asked = dry_run ? "count" : "discard";
        done(std::uint64_t{5});
    }
    void dead_letter(std::int64_t id, std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done) override
    {
        if (id != 7) return done(fail(Errc::not_found, "no dead letter " + std::to_string(id)), {});
        DeadLetter letter;
        letter.id = 7;
        letter.body = "{}";
        done(letter, {AttemptRecord{{}, 503, "status", "HTTP 503", "busy", std::chrono::milliseconds{12}}});
    }
    Result<ReplayJob> replay(ReplayRequest request, const Act& act) override
    {
        asked = "replay " + request.bus + " " + std::to_string(request.first) + ".." + std::to_string(request.last) + " " +
                request.rule + " " + act.who;
        if (request.target == "gone") return fail(Errc::not_found, "no target 'gone'");
        ReplayJob made;
        made.id = 4;
        made.request = std::move(request);
        made.routes = {{{"paid", "hook"}, 5}};
        return made;
    }
    Result<ReplayJob> cancel_replay(std::int64_t id, const Act& act) override
    {
        asked = "cancel " + act.who + " " + act.why;
        if (id != 4) return fail(Errc::conflict, "has ended");
        ReplayJob ended;
        ended.id = 4;
        ended.state = ReplayState::cancelled;
        return ended;
    }
    [[nodiscard]] std::vector<ReplayJob> replays() override
    {
        ReplayJob one;
        one.id = 4;
        return {one};
    }
    void backup(std::function<void(Result<BackupMade>)> done) override
    {
        done(BackupMade{"/data/backups/one", {Id{}, "2026", "0", 7, {"a.seg", "b.seg"}, 100}});
    }
    void export_state(std::function<void(Result<std::string>)> done) override
    {
        done(fail(Errc::no_space, "no room"));
    }

    std::vector<std::string> reasons;
    ReloadResult reload_result{true, "", 2};
    std::string asked;
    DeadLetterFilter last_filter;
    DeliveryFilter pending_filter;
    RedriveJob job = [] {
        RedriveJob made;
        made.id = 4;
        return made;
    }();
};

struct Fixture {
    FakeBackend backend;
    boost::asio::io_context io{1};
    admin::Server server{io, admin::make_handler(backend)};
    std::thread thread;
    std::uint16_t port = 0;

    Fixture()
    {
        REQUIRE(server.listen("127.0.0.1:0").has_value());
        port = static_cast<std::uint16_t>(std::stoi(server.address().substr(server.address().rfind(':') + 1)));
        thread = std::thread([this] { io.run(); });
    }
    ~Fixture()
    {
        io.stop();
        thread.join();
    }
};

}  // namespace

TEST_CASE("the admin listener answers each of its paths")
{
    Fixture f;
    CHECK(support::http_get(f.port, "/healthz").body == "ok\n");
    CHECK(support::http_get(f.port, "/readyz").status == 200);
    f.backend.reasons = {"no space"};
    const auto not_ready = support::http_get(f.port, "/readyz");
    CHECK(not_ready.status == 503);
    CHECK(not_ready.body.find("no space") != std::string::npos);
    CHECK(Json::parse(support::http_get(f.port, "/v1/status").body).at("version") == "fake");
    CHECK(support::http_get(f.port, "/metrics").body.find("eventyard_info{version=\"fake\"} 1") != std::string::npos);
    CHECK(support::http_get(f.port, "/v2/status").status == 404);
    const auto deleted = support::http_request(f.port, "DELETE", "/v1/status", "");
    CHECK(deleted.status == 405);
    CHECK(deleted.header("allow") == "GET, HEAD");
    const auto read = support::http_get(f.port, "/v1/reload");
    CHECK(read.status == 405);
    CHECK(read.header("allow") == "POST");
    const auto expects = support::raw_exchange(
        f.port, "POST /v1/reload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        std::chrono::seconds{5});
    CHECK(expects.rfind("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", 0) == 0);
}

TEST_CASE("replays are begun, shown and ended over the admin listener")
{
    Fixture f;
    const auto made = support::http_post(
        f.port, "/v1/replays?bus=b&first=3&last=9&rule=paid&from=2026-11-24T00:00:00%2B02:00&dry_run=true&who=me", "");
    CHECK(made.status == 200);
    const Json job = Json::parse(made.body);
    CHECK(f.backend.asked == "replay b 3..9 paid me");
    CHECK(job.at("id") == 4);
    CHECK(job.at("dry_run") == true);
    CHECK(job.at("per_second") == 1000);
    CHECK(job.at("from") == "2026-11-23T22:00:00.000Z");
    CHECK(job.at("routes").at(0).at("deliveries") == 5);
    for (const char* bad : {"first=0", "last=x", "from=yesterday", "per_second=-1"})
        CHECK(support::http_post(f.port, std::string("/v1/replays?") + bad, "").status == 400);
    CHECK(support::http_post(f.port, "/v1/replays?target=gone", "").status == 404);
    CHECK(Json::parse(support::http_get(f.port, "/v1/replays").body).at("replays").size() == 1);
    CHECK(support::http_get(f.port, "/v1/replays/4").status == 200);
    CHECK(support::http_get(f.port, "/v1/replays/5").status == 404);
    CHECK(support::http_get(f.port, "/v1/replays/x").status == 400);
    CHECK(Json::parse(support::http_post(f.port, "/v1/replays/4/cancel?who=me&why=wrong", "").body).at("state") == "cancelled");
    CHECK(f.backend.asked == "cancel me wrong");
    CHECK(support::http_post(f.port, "/v1/replays/5/cancel", "").status == 409);
    CHECK(support::http_request(f.port, "DELETE", "/v1/replays", "").header("allow") == "GET, HEAD, POST");
}

TEST_CASE("an event is erased by its id, with a reason")
{
    Fixture f;
    const std::string id = "019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d";
    const auto erased = support::http_post(f.port, "/v1/events/" + id + "/erase?who=me&why=asked%20to", "");
    CHECK(erased.status == 200);
    CHECK(f.backend.asked == "erase " + id + " me asked to");
    const Json told = Json::parse(erased.body);
    CHECK(told.at("event") == id);
    CHECK(told.at("journal") == 2);
    CHECK(told.at("discarded") == 3);
    CHECK(told.at("left").at(0) == "/data/exports/state.db");
    f.backend.asked.clear();
    CHECK(support::http_post(f.port, "/v1/events/" + id + "/erase", "").status == 400);  // why?
    CHECK(support::http_post(f.port, "/v1/events/7/erase?why=x", "").status == 400);
    CHECK(support::http_post(f.port, "/v1/events/dlv_abc/erase?why=x", "").body.find("of a delivery") != std::string::npos);
    CHECK(support::http_get(f.port, "/v1/events/" + id + "/erase?why=x").status == 405);
    CHECK(f.backend.asked.empty());
    CHECK(support::http_post(f.port, "/v1/events/ff" + id.substr(2) + "/erase?why=x", "").status == 404);
}

TEST_CASE("a misspelt, empty or senseless parameter is refused before anything is done")
{
    Fixture f;
    f.backend.asked.clear();
    const std::string event = "/v1/events/019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d/erase?why=x";
    const std::pair<std::string, std::string> acts[] = {
        {"/v1/dead-letters/discard?all=true&dryrun=true", "no parameter 'dryrun'; there are ids, "},
        {"/v1/dead-letters/discard?all=true&dry_run=1", "dry_run must be true or false"},
        {"/v1/dead-letters/discard?all=yes", "all must be true or false"},
        {"/v1/dead-letters/discard?rule=a&target=", "'target' is empty; leave it out"},
        {"/v1/dead-letters/discard?reason=bored", "no dead letter has the reason 'bored'; there are max_attempts, "},
        {"/v1/dead-letters/redrive?cause=luck", "no dead letter has the cause 'luck'; there are none, status, "},
        {"/v1/dead-letters/redrive?target=a&dry_run=true", "no parameter 'dry_run'"},
        {"/v1/redrives/4/cancel?way=x", "no parameter 'way'; there are who and why"},
        {"/v1/replays?dryrun=true", "no parameter 'dryrun'"},
        {"/v1/replays?dry_run=1", "dry_run must be true or false"},
        {"/v1/replays?same_ids=", "'same_ids' is empty"},
        {"/v1/replays?first=5&last=2", "last is before first"},
        {"/v1/replays?from=2026-11-25T00:00:00Z&before=2026-11-25T00:00:00Z", "before is not later than from"},
        {"/v1/replays/4/cancel?wy=x", "no parameter 'wy'"},
        {"/v1/targets/a%2Fb/pause?dry_run=true", "no parameter 'dry_run'; there are reason, who and why"},
        {"/v1/targets/x/release?ky=1", "no parameter 'ky'; there are key, "},
        {"/v1/dead-letters/discard?dry_run=true&ids=9&dry_run=false", "'dry_run' is given twice"},
        {"/v1/targets/x/resume?all=true", "no parameter 'all'"},
        {"/v1/targets/x/move?to=y&dry_run=1", "dry_run must be true or false"},
        {"/v1/deliveries/discard?all=1&why=x", "all must be true or false"},
        {"/v1/reload?force=true", "no parameter 'force'"},
        {"/v1/backup?to=x", "no parameter 'to'"},
        {event + "&all=true", "no parameter 'all'"},
    };
    for (const auto& [path, why] : acts) {
        INFO(path);
        const auto answer = support::http_post(f.port, path, "");
        CHECK(answer.status == 400);
        CHECK(Json::parse(answer.body).at("error").get<std::string>().find(why) != std::string::npos);
        CHECK(f.backend.asked.empty());
    }
    for (const char* path : {"/v1/status?target=a", "/v1/audit?x", "/v1/dead-letters?frob=1", "/v1/dead-letters/groups?limit=3",
                             "/v1/dead-letters/7?whole=true", "/v1/redrives?id=4", "/v1/replays?id=4", "/v1/dead-letters?whole=1"})
        CHECK(support::http_get(f.port, path).status == 400);
    CHECK(support::http_get(f.port, "/metrics?module=x").status == 200);  // what scrapes it may add something
}

TEST_CASE("what is no request is refused with a sentence, then the connection ends")
{
    Fixture f;
    const std::pair<std::string, unsigned> cases[] = {
        {"GARBAGE\r\n\r\n", 400},
        {"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 413},
        {"GET /healthz HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n", 431},
    };
    for (const auto& [text, status] : cases) {
        INFO(text.substr(0, 80));
        const auto answer = support::parse_answer(support::raw_exchange(f.port, text, std::chrono::seconds{5}));
        CHECK(answer.status == static_cast<int>(status));
        CHECK(answer.header("connection") == "close");
        REQUIRE(Json::accept(answer.body));
        CHECK(Json::parse(answer.body).contains("error"));
    }
    // A request cut short is no request, and gets no answer.
    const int fd = support::connect_loopback(f.port, std::chrono::seconds{5});
    REQUIRE(support::send_all(fd, "POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"));
    ::shutdown(fd, SHUT_WR);
    CHECK(support::receive_all(fd).empty());
    ::close(fd);
    CHECK(support::http_get(f.port, "/healthz").status == 200);
}

TEST_CASE("a failed reload is a 422 with the whole report")
{
    Fixture f;
    CHECK(support::http_post(f.port, "/v1/reload", "").status == 200);
    f.backend.reload_result = {false, "rules.yaml:3:5: error: x\n", 1};
    const auto answer = support::http_post(f.port, "/v1/reload", "");
    CHECK(answer.status == 422);
    CHECK(Json::parse(answer.body).at("report") == "rules.yaml:3:5: error: x\n");
}

TEST_CASE("targets are paused and resumed by their decoded name")
{
    Fixture f;
    CHECK(support::http_post(f.port, "/v1/targets/a%2Fb/pause?reason=night%20shift&who=ann", "").status == 200);
    CHECK(f.backend.asked == "pause a/b ann night shift");
    CHECK(support::http_post(f.port, "/v1/targets/other/pause", "").status == 404);
    CHECK(support::http_post(f.port, "/v1/targets/x/resume", "").status == 200);
    CHECK(f.backend.asked == "resume x somebody");
    const auto released = support::http_post(f.port, "/v1/targets/x/release?key=%22o-1%22", "");
    CHECK(released.status == 200);
    CHECK(Json::parse(released.body).at("released") == 2);
    CHECK(f.backend.asked == "release x \"o-1\"");
    CHECK(support::http_post(f.port, "/v1/targets/gone/release", "").status == 404);
    CHECK(support::http_post(f.port, "/v1/targets/x/explode?bar=1", "").status == 404);
}

TEST_CASE("dead letters are listed by filter and shown with their trail")
{
    Fixture f;
    const auto list = support::http_get(f.port, "/v1/dead-letters?target=a&rule=b&after=5&limit=20");
    CHECK(list.status == 200);
    CHECK(Json::parse(list.body).at("dead_letters").at(0).at("reason") == "max_attempts");
    CHECK(f.backend.last_filter.target == "a");
    CHECK(f.backend.last_filter.rule == "b");
    CHECK(f.backend.last_filter.after_id == 5);
    CHECK(f.backend.last_filter.limit == 20);
    CHECK(support::http_get(f.port, "/v1/dead-letters?limit=0").status == 400);
    CHECK(support::http_get(f.port, "/v1/dead-letters?after=x").status == 400);
    const auto shown = Json::parse(support::http_get(f.port, "/v1/dead-letters/7").body);
    CHECK(shown.at("trail").at(0).at("latency_ms") == 12);
    CHECK(shown.at("body") == "{}");
    CHECK(support::http_get(f.port, "/v1/dead-letters/8").status == 404);
    CHECK(support::http_get(f.port, "/v1/dead-letters/x").status == 400);
    CHECK(support::http_post(f.port, "/v1/state/export", "").status == 500);
    const auto backup = support::http_post(f.port, "/v1/backup", "");
    CHECK(backup.status == 200);
    CHECK(nlohmann::json::parse(backup.body) == nlohmann::json{{"path", "/data/backups/one"}, {"store", Id{}.text()},
                                                               {"segments", 2}, {"journal_bytes", 100}, {"last_sequence", 7}});
    CHECK(support::http_get(f.port, "/v1/backup").status == 405);
}

TEST_CASE("an address that is not one is refused with an example")
{
    for (const char* bad : {"", "localhost:1", "127.0.0.1", "127.0.0.1:70000", "127.0.0.1:x", "127.0.0.1:"}) {
        INFO(bad);
        const auto parsed = admin::parse_endpoint(bad);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().what.find("127.0.0.1:8080") != std::string::npos);
    }
    CHECK(admin::parse_endpoint("[::1]:8080").has_value());
}

TEST_CASE("dead letters are chosen by every part of a filter")
{
    Fixture f;
    const auto listed = Json::parse(
        support::http_get(f.port, "/v1/dead-letters?target=a&rule=r%2F1&reason=max_age&cause=status&group=3&older_than=10h"
                                  "&newer_than=20h&ids=9,5&after=2&limit=7&whole=true")
            .body);
    const DeadLetterFilter& asked = f.backend.last_filter;
    CHECK(asked.target == "a");
    CHECK(asked.rule == "r/1");
    CHECK(asked.reason == "max_age");
    CHECK(asked.cause == "status");
    CHECK(asked.group == 3);
    CHECK(asked.dead_before == WallTime{std::chrono::hours{90}});
    CHECK(asked.dead_from == WallTime{std::chrono::hours{80}});
    CHECK(asked.ids == std::vector<std::int64_t>{5, 9});
    CHECK(asked.after_id == 2);
    CHECK(asked.limit == 7);
    CHECK(asked.bodies);
    CHECK(listed.at("next") == 7);
    CHECK(listed.at("dead_letters").at(0).at("body_base64") == "/w==");
    CHECK(listed.at("dead_letters").at(0).at("trail").size() == 1);
    CHECK(Json::parse(support::http_get(f.port, "/v1/dead-letters?after=7").body).at("next").is_null());
    CHECK(Json::parse(support::http_get(f.port, "/v1/dead-letters/groups?target=b").body).at("groups").at(0).at("count") == 12);
    CHECK(asked.target == "b");
    for (const char* bad : {"group=x", "older_than=ten", "ids=1,x", "limit=0", "limit=1001", "after=x"})
        CHECK(support::http_get(f.port, std::string("/v1/dead-letters?") + bad).status == 400);
}

TEST_CASE("redriving and discarding ask for a filter, and tell who and why")
{
    Fixture f;
    const auto post = [&](const std::string& path) { return support::http_request(f.port, "POST", path, ""); };
    CHECK(post("/v1/dead-letters/redrive").status == 400);
    CHECK(post("/v1/dead-letters/discard?who=ann").status == 400);
    CHECK(post("/v1/dead-letters/redrive?target=a&per_second=-1").status == 400);
    const auto job = Json::parse(post("/v1/dead-letters/redrive?target=a&per_second=2.5&who=ann&why=fixed").body);
    CHECK(job.at("id") == 4);
    CHECK(job.at("state") == "trial");
    CHECK(f.backend.asked == "redrive 2.500000 ann fixed");
    CHECK(post("/v1/dead-letters/redrive?all=true").status == 200);
    CHECK(f.backend.asked == "redrive 100.000000 somebody ");
    CHECK(Json::parse(post("/v1/dead-letters/discard?ids=1&dry_run=true").body).at("would_discard") == 5);
    CHECK(f.backend.asked == "count");
    CHECK(Json::parse(post("/v1/dead-letters/discard?ids=1").body).at("discarded") == 5);
    CHECK(Json::parse(support::http_get(f.port, "/v1/redrives").body).at("redrives").size() == 1);
    CHECK(support::http_get(f.port, "/v1/redrives/4").status == 200);
    CHECK(support::http_get(f.port, "/v1/redrives/5").status == 404);
    CHECK(support::http_get(f.port, "/v1/redrives/x").status == 400);
    CHECK(post("/v1/redrives/4/cancel?who=bob").status == 200);
    CHECK(f.backend.asked == "cancel 4 bob");
    CHECK(post("/v1/redrives/5/cancel").status == 409);
    CHECK(post("/v1/redrives/x/cancel").status == 400);
    CHECK(support::http_get(f.port, "/v1/dead-letters/redrive?all=true").status == 405);
}

TEST_CASE("pending deliveries are listed by filter and page")
{
    Fixture f;
    const auto answer = support::http_get(f.port, "/v1/deliveries?target=t&rule=r&older_than=1h&limit=5");
    REQUIRE(answer.status == 200);
    const Json page = Json::parse(answer.body);
    CHECK(f.backend.asked == "deliveries t r 5 ");
    CHECK(f.backend.pending_filter.received_before == WallTime{std::chrono::hours{99}});
    CHECK(page.at("next") == "r:7:1:1");
    const Json& one = page.at("deliveries").at(0);
    CHECK(one.at("id") == delivery_id(*parse_id("019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d"), "r", "t"));
    CHECK(one.at("event") == "019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d");
    CHECK(one.at("sequence") == 7);
    CHECK(one.at("state") == "retry");
    CHECK(one.at("attempts") == 3);
    CHECK(one.at("due") == "1970-01-05T05:00:00.000Z");
    CHECK(one.at("age_seconds") == 3600);
    CHECK(one.at("redriven") == true);
    CHECK(Json::parse(support::http_get(f.port, "/v1/deliveries?after=r:7:1:1").body).at("next").is_null());
    CHECK(support::http_get(f.port, "/v1/deliveries?id=dlv_abc").status == 200);
    CHECK(f.backend.pending_filter.delivery == "dlv_abc");
    for (const char* bad : {"?limit=0", "?limit=many", "?older_than=soon", "?id=17", "?after=junk"})
        CHECK(support::http_get(f.port, std::string("/v1/deliveries") + bad).status == 400);
}

TEST_CASE("a drain says how many are left")
{
    Fixture f;
    const auto drained = support::http_request(f.port, "POST", "/v1/targets/t/drain?reason=new+disk&who=me", "");
    CHECK(drained.status == 200);
    CHECK(Json::parse(drained.body) == Json{{"ok", true}, {"left", 17}});
    CHECK(f.backend.asked.rfind("drain t me new", 0) == 0);
    CHECK(support::http_request(f.port, "POST", "/v1/targets/gone/drain", "").status == 409);
}

TEST_CASE("a move names both targets and a reason, and nothing it does not know")
{
    Fixture f;
    const auto post = [&](const std::string& query) {
        return support::http_request(f.port, "POST", "/v1/targets/old/move" + query, "");
    };
    for (const char* bad : {"?why=x", "?to=new", "?to=new&why=x&target=t", "?to=new&why=x&rule=", "?to=new&why=x&dry_run=perhaps",
                            "?to=new&why=x&limit=0", "?to=new&why=x&all=true"})
        CHECK(post(bad).status == 400);
    CHECK(f.backend.asked.empty());
    CHECK(post("?to=nowhere&why=x").status == 404);
    const auto moved = post("?to=new&rule=r&who=me&why=gone");
    CHECK(moved.status == 200);
    CHECK(f.backend.asked == "move old new r me gone");
    CHECK(Json::parse(moved.body) == Json{{"moved", 4}, {"in_flight", 1}, {"next", nullptr}});
    CHECK(Json::parse(post("?to=new&dry_run=true").body) == Json{{"would_move", 4}, {"next", nullptr}});
    CHECK(f.backend.asked == "move old new  somebody  dry");
    CHECK(support::http_get(f.port, "/v1/targets/old/move?to=new").status == 405);
}

TEST_CASE("an act on pending deliveries needs a filter, and a discard a reason")
{
    Fixture f;
    const auto post = [&](const std::string& path) { return support::http_request(f.port, "POST", "/v1/deliveries/" + path, ""); };
    CHECK(post("discard?why=x").status == 400);
    CHECK(post("discard?target=t").status == 400);
    CHECK(post("retry-now").status == 400);
    CHECK(f.backend.asked.empty());
    const auto discarded = post("discard?target=t&who=me&why=old");
    CHECK(discarded.status == 200);
    CHECK(f.backend.asked == "discard t me old");
    CHECK(Json::parse(discarded.body) == Json{{"discarded", 4}, {"in_flight", 1}, {"next", nullptr}});
    CHECK(Json::parse(post("retry-now?all=true").body) == Json{{"due_now", 4}, {"held", 2}, {"next", nullptr}});
    CHECK(support::http_get(f.port, "/v1/deliveries/discard").status == 405);
}
