// The disk of a live daemon fails: what was answered 202 is delivered all the same, what cannot be kept is refused
// with 503, and when the disk works again so does the daemon, by itself. After each fault a kill and a start, too.
#include <csignal>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;

namespace {

std::string event_of(std::uint64_t n)
{
    return R"({"source":"faults","n":)" + std::to_string(n) + R"(,"pad":")" + std::string(2000, 'x') + "\"}";
}

/// A daemon below a directory whose disk fails as told, with one target, under load.
class Stand {
public:
    Stand() : daemon_(directory_)
    {
        daemon_.configure("journal: {segment_size: 1MiB, min_free: 1MiB}\ntargets:\n  hook:\n    webhook: {url: '" + sink_.url() + "'}\n",
                          "rules:\n  - {name: all, pattern: {source: [faults]}, targets: [hook]}\n");
        start();
    }

    void start()
    {
        daemon_.launch({{"LD_PRELOAD", EVENTYARD_FAULTS_LIBRARY},
                        {"EVENTYARD_FAULTS_DIRECTORY", directory_.file("data")},
                        {"EVENTYARD_FAULTS_CONTROL", control()}});
        INFO(daemon_.process().err());
        REQUIRE(daemon_.process().running());
    }
    void fail(const std::string& how) { directory_.write("fault", how); }
    void mend() { std::filesystem::remove(control()); }
    /// The fault was met; for those that come once.
    [[nodiscard]] bool met() const { return !std::filesystem::exists(control()); }

    [[nodiscard]] support::HttpAnswer post()
    {
        auto answer = support::http_post(daemon_.http(), "/v1/events", event_of(next_++));
        if (answer.status == 202) accepted_.push_back(nlohmann::json::parse(answer.body).at("id").get<std::string>());
        return answer;
    }
    [[nodiscard]] bool answers(int status, std::chrono::milliseconds limit = 60s)
    {
        return eventually([&] { return post().status == status; }, limit, 5ms);
    }
    /// Posts from four threads for the time that `during` takes.
    template <class F>
    std::uint64_t under_load(F during)
    {
        Load load{daemon_.http(), 4, event_of, next_};
        during();
        load.stop();
        for (const Accepted& event : load.accepted()) accepted_.push_back(event.id);
        return load.failed();
    }

    [[nodiscard]] bool all_arrived()
    {
        return eventually([&] {
            const auto ids = sink_.ids();
            for (const std::string& id : accepted_)
                if (ids.count(delivery_of(id, "all", "hook")) == 0) return false;
            return true;
        });
    }
    /// All that was answered 202 arrives, the ledger balances, and the audit agrees; now and after a kill.
    void check()
    {
        INFO(daemon_.process().err());
        CHECK(all_arrived());
        CHECK(daemon_.settle().at("balanced") == true);
        CHECK(audited());
        daemon_.kill();
        start();
        CHECK(answers(202));
        CHECK(all_arrived());
        CHECK(daemon_.settle().at("balanced") == true);
        CHECK(audited());
        CHECK(daemon_.terminate().code == 0);
        const std::string log = daemon_.process().err();
        CHECK(log.find("cannot be read any more") == std::string::npos);
        CHECK(log.find("set aside") == std::string::npos);
    }

    [[nodiscard]] Daemon& daemon() { return daemon_; }
    [[nodiscard]] std::size_t accepted() const { return accepted_.size(); }

private:
    [[nodiscard]] std::string control() const { return directory_.file("fault"); }
    [[nodiscard]] bool audited()
    {
        const auto audit = support::run({EVENTYARD_BINARY, "audit", "--admin", daemon_.admin_address()});
        INFO(audit.out << audit.err);
        CHECK(audit.exit.code == 0);
        return audit.exit.code == 0;
    }

    TempDir directory_;
    Sink sink_;
    Daemon daemon_;
    std::atomic<std::uint64_t> next_{0};
    std::vector<std::string> accepted_;
};

}  // namespace

TEST_CASE("a sync of the journal that fails once costs one batch, and the next segment goes on")
{
    Stand stand;
    REQUIRE(stand.answers(202));
    const std::uint64_t refused = stand.under_load([&] {
        for (int i = 0; i < 5; ++i) {
            stand.fail("sync EIO journal once");
            CHECK(eventually([&] { return stand.met(); }));
        }
    });
    CHECK(refused > 0);
    CHECK(stand.answers(202));
    stand.check();
    WARN(stand.accepted() << " events answered 202 around five failed syncs, " << refused << " refused");
}

TEST_CASE("while every write to the journal fails ingest refuses, delivery goes on, and then it resumes by itself")
{
    Stand stand;
    stand.under_load([&] { CHECK(eventually([&] { return stand.daemon().status().value("pending", 0) > 0; })); });
    stand.fail("write EIO journal");
    REQUIRE(stand.answers(503));
    const auto refused = stand.post();
    CHECK(refused.status == 503);
    CHECK_FALSE(refused.header("retry-after").empty());
    CHECK(stand.all_arrived());
    CHECK(stand.daemon().process().running());
    stand.mend();
    CHECK(stand.answers(202));
    CHECK(eventually([&] { return support::http_get(stand.daemon().admin(), "/readyz").status == 200; }));
    stand.check();
}

TEST_CASE("a disk that turns read-only under a live daemon loses nothing that was answered")
{
    Stand stand;
    REQUIRE(stand.answers(202));
    std::uint64_t refused = stand.under_load([&] {
        std::this_thread::sleep_for(200ms);
        stand.fail("all EROFS");
        std::this_thread::sleep_for(2s);
    });
    CHECK(refused > 0);
    CHECK(stand.post().status == 503);
    CHECK(stand.daemon().process().running());
    stand.mend();
    CHECK(stand.answers(202));
    stand.check();
}

TEST_CASE("a disk that turned read-only is found so by a kill and a start, and mended later")
{
    Stand stand;
    stand.under_load([&] {
        std::this_thread::sleep_for(200ms);
        stand.fail("all EROFS");
        std::this_thread::sleep_for(500ms);
    });
    stand.daemon().kill();
    stand.mend();
    stand.start();
    CHECK(stand.answers(202));
    stand.check();
}

TEST_CASE("while the state cannot be written nothing is lost, and it catches up")
{
    Stand stand;
    REQUIRE(stand.answers(202));
    stand.fail("all EIO state.db");
    stand.under_load([&] { std::this_thread::sleep_for(2s); });
    CHECK(stand.daemon().process().running());
    CHECK(eventually([&] { return stand.daemon().metric("eventyard_state_failing") == 1; }));
    stand.mend();
    CHECK(stand.answers(202));
    stand.check();
}
