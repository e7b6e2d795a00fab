// Events that come twice: taken once, over a restart, kills and a reload; said so in answers, totals and metrics.
#include <filesystem>
#include <random>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;
using nlohmann::json;

namespace {

std::string config(const TempDir& directory, const std::string& dedup)
{
    return "buses:\n  default: {dedup: " + dedup + "}\ntargets:\n  lines: {file: {path: " + directory.file("lines.jsonl") + "}}\n";
}

constexpr const char* rules = "rules:\n  - name: orders\n    pattern: {source: [shop]}\n    targets: [lines]\n";

std::string body(const std::string& id) { return R"({"source":"shop","id":")" + id + R"(","detail":{"n":1}})"; }

json post(const Daemon& daemon, const std::string& text, const std::string& type = "application/json")
{
    const auto answer = support::http_post(daemon.http(), "/v1/events", text, type);
    INFO(answer.body);
    REQUIRE(answer.status == 202);
    return json::parse(answer.body);
}

std::size_t lines(const TempDir& directory)
{
    return support::lines_of(support::read_text(directory.file("lines.jsonl"))).size();
}

json totals(const Daemon& daemon)
{
    const json status = daemon.status();
    for (const json& row : status.at("events"))
        if (row.at("bus") == "default") return row;
    return json::object();
}

}  // namespace

TEST_CASE("an event that is sent again is answered as the first, over restarts, kills and reloads")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(config(directory, "{window: 1h}"), rules);
    daemon.start();
    const json first = post(daemon, body("1"));
    CHECK_FALSE(first.contains("duplicate"));
    const auto is_repeated = [&](const json& answer) {
        INFO(answer.dump());
        CHECK(answer.at("duplicate") == true);
        CHECK(answer.at("id") == first.at("id"));
        CHECK(answer.at("sequence") == first.at("sequence"));
        CHECK(answer.at("stored") == true);
    };
    is_repeated(post(daemon, body("1")));

    daemon.kill();  // the key is in the journal only
    daemon.start();
    is_repeated(post(daemon, body("1")));
    daemon.settle();
    REQUIRE(eventually([&] { return totals(daemon).value("duplicate", 0) >= 1; }));  // since the kill, or both
    REQUIRE(eventually([&] {  // its segment is let go: the key is in the state only
        const json journal = daemon.status().at("journal");
        return journal.at("oldest") > first.at("sequence");
    }));
    CHECK(daemon.terminate().code == 0);
    daemon.start();
    is_repeated(post(daemon, body("1")));

    daemon.configure(config(directory, "{window: 1h, key: [$.source, $.id]}"), rules);
    REQUIRE(run(daemon, {"reload"}).exit.code == 0);
    is_repeated(post(daemon, body("1")));

    CHECK_FALSE(post(daemon, body("2")).contains("duplicate"));
    CHECK_FALSE(post(daemon, R"({"source":"shop"})").contains("duplicate"));  // no id: taken each time
    CHECK_FALSE(post(daemon, R"({"source":"shop"})").contains("duplicate"));
    CHECK_FALSE(post(daemon, R"({"source":"shop","id":2})").contains("duplicate"));  // a number is no text
    const json batch = post(daemon, body("2") + "\n" + body("3") + "\n" + body("3") + "\n" + body("1") + "\n", "application/x-ndjson");
    CHECK(batch.at("accepted") == 1);
    CHECK(batch.at("duplicate") == 3);
    CHECK(batch.at("refused") == 0);
    CHECK(batch.at("items").at(1).at("id") == batch.at("items").at(2).at("id"));
    CHECK(batch.at("items").at(1).at("sequence") == batch.at("items").at(2).at("sequence"));
    CHECK_FALSE(batch.at("items").at(1).contains("duplicate"));
    is_repeated(batch.at("items").at(3));

    daemon.settle();
    CHECK(lines(directory) >= 6);
    CHECK(lines(directory) <= 7);  // the kill may have repeated the first delivery
    const json row = totals(daemon);
    CHECK(row.at("received") == row.at("accepted").get<std::uint64_t>() + row.at("duplicate").get<std::uint64_t>());
    CHECK(daemon.metric("eventyard_dedup_keys") == 4);
    CHECK(daemon.metric("eventyard_events_total{bus=\"default\",result=\"duplicate\"}") == row.at("duplicate"));
    const auto sent = run(daemon, {"audit"});
    INFO(sent.out << sent.err);
    CHECK(sent.exit.code == 0);
}

TEST_CASE("when the window is over, there are too many keys, or another value is the key, an event may come again")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(config(directory, "{window: 1h, keys_max: 2, key: $.id}"), rules);
    daemon.start();
    for (const char* id : {"1", "2", "3"}) post(daemon, body(id));
    CHECK(daemon.metric("eventyard_dedup_keys_forgotten_early_total") == 1);
    CHECK_FALSE(post(daemon, body("1")).contains("duplicate"));
    CHECK(post(daemon, body("3")).contains("duplicate"));

    daemon.configure(config(directory, "{window: 1h, key: $.number}"), rules);
    REQUIRE(run(daemon, {"reload"}).exit.code == 0);
    const std::string numbered = R"({"source":"shop","number":"3"})";
    CHECK_FALSE(post(daemon, numbered).contains("duplicate"));  // "3" was another value's
    CHECK(post(daemon, numbered).contains("duplicate"));

    daemon.configure(config(directory, "{window: 1s, key: $.id}"), rules);
    REQUIRE(run(daemon, {"reload"}).exit.code == 0);
    CHECK_FALSE(post(daemon, body("9")).contains("duplicate"));
    CHECK(eventually([&] { return !post(daemon, body("9")).contains("duplicate"); }, 20s));
}

TEST_CASE("who sends again what the journal has lost is not told that it is there")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure(config(directory, "{window: 1h}"), rules);
    daemon.start();
    for (const char* id : {"1", "2"}) post(daemon, body(id));
    daemon.settle();
    CHECK(daemon.terminate().code == 0);
    for (const auto& file : std::filesystem::directory_iterator(directory.file("data/journal")))
        if (file.path().extension() == ".seg") std::filesystem::remove(file.path());
    daemon.start();
    const json again = post(daemon, body("1"));
    CHECK_FALSE(again.contains("duplicate"));
    daemon.kill();
    daemon.start();
    CHECK_FALSE(post(daemon, body("2")).contains("duplicate"));  // nor after another start, which finds later events
    CHECK(post(daemon, body("1")).at("sequence") == again.at("sequence"));
}

TEST_CASE("a sender that repeats all it has no answer for makes one event a key, whenever the daemon is killed")
{
    TempDir directory;
    const Sink sink;
    Daemon daemon{directory};
    daemon.configure("buses:\n  default: {dedup: {window: 1h}}\ntargets:\n  hook:\n    webhook: {url: '" + sink.url() + "'}\n",
                     "rules:\n  - name: orders\n    pattern: {source: [shop]}\n    targets: [hook]\n");
    daemon.start();
    constexpr unsigned keys = 2000;
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> answered{0}, repeated{0};
    std::mutex mutex;
    std::map<std::string, std::string> ids;  // by key, as first answered
    std::string fault;
    const auto send = [&](unsigned seed) {
        std::mt19937 chance{seed};
        while (!over) {
            const std::string key = std::to_string(chance() % keys);
            const auto answer = support::http_post(daemon.http(), "/v1/events", body(key));
            if (answer.status != 202) {
                std::this_thread::sleep_for(5ms);
                continue;
            }
            const json said = json::parse(answer.body);
            ++answered;
            if (said.contains("duplicate")) ++repeated;
            const std::lock_guard lock{mutex};
            const auto [at, fresh] = ids.emplace(key, said.at("id"));
            if (!fresh && at->second != said.at("id")) fault = key + ": " + at->second + " and " + answer.body;
        }
    };
    std::vector<std::thread> senders;
    for (unsigned seed = 1; seed <= 4; ++seed) senders.emplace_back(send, seed);
    std::mt19937 chance{99};
    const int kills = std::getenv("EVENTYARD_LONG") != nullptr ? 100 : 12;
    for (int round = 0; round < kills; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds{20 + chance() % 300});
        daemon.kill();
        daemon.start();
    }
    over = true;
    for (std::thread& sender : senders) sender.join();
    for (unsigned key = 0; key < keys; ++key) {  // also those that a kill left without an answer
        const json said = post(daemon, body(std::to_string(key)));
        const auto [at, fresh] = ids.emplace(std::to_string(key), said.at("id"));
        if (!fresh && at->second != said.at("id")) fault = at->first;
    }
    daemon.settle();
    INFO(answered << " answered, " << repeated << " repeated");
    CHECK(fault == "");
    CHECK(repeated > 0);
    CHECK(sink.ids().size() == keys);  // one delivery each, however often it was repeated
}
