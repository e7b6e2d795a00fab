// The order in which a backup is made, and that the release of segments always goes on afterwards.
#include "router/backup.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::router;

namespace {

namespace asio = boost::asio;

class ShiftedClock final : public Clock {
public:
    Duration by{0};
    [[nodiscard]] SteadyTime steady() const noexcept override { return real_.steady() + by; }
    [[nodiscard]] WallTime wall() const noexcept override { return real_.wall(); }

private:
    SystemClock real_;
};

struct Fixture {
    support::TempDir directory;
    PosixDisk disk;
    SystemClock clock;
    ShiftedClock desk_clock;
    SystemRandom random;
    std::unique_ptr<State> state;
    std::unique_ptr<Journal> journal;
    asio::io_context control;
    asio::executor_work_guard<asio::io_context::executor_type> work{control.get_executor()};
    std::vector<std::string> steps;
    bool may_hold = true;
    std::unique_ptr<BackupDesk> desk;

    Fixture()
    {
        state = *State::open(disk, clock, {.path = directory.file("state.db")});
        JournalOptions options;
        options.directory = directory.file("journal");
        options.segment_size = 64U << 10;
        options.min_free = 1;
        journal = *Journal::open(disk, clock, random, options, {});
        REQUIRE(state->bind_store(journal->recovery().store).has_value());
        BackupDesk::Hooks hooks;
        hooks.post = [this](std::function<void()> job) { asio::post(control, std::move(job)); };
        hooks.gather = [this](std::function<void()> done) {
            steps.emplace_back("gather");
            done();
        };
        hooks.hold = [this] {
            if (may_hold) steps.emplace_back("hold");
            return may_hold;
        };
        hooks.let_go = [this] {
            // Whatever is in the backup by now is all of it.
            steps.emplace_back(std::string("let go") + (made("state.db") ? ", state" : "") + (made("journal") ? ", journal" : "") +
                               (made("backup.json") ? ", manifest" : ""));
        };
        desk = std::make_unique<BackupDesk>(disk, desk_clock, *journal, *state, directory.path(), std::move(hooks));
    }
    ~Fixture()
    {
        journal->stop();
        state->stop();
    }
    [[nodiscard]] bool made(const std::string& name) const
    {
        std::error_code ec;
        for (const auto& entry : std::filesystem::directory_iterator(directory.file("backups"), ec))
            if (std::filesystem::exists(entry.path() / name)) return true;
        return false;
    }
    Result<BackupMade> finish(std::optional<Result<BackupMade>>& answer)
    {
        while (!answer) control.run_one();
        return *answer;
    }
};

}  // namespace

TEST_CASE("a backup waits for the release, copies the state and then the journal, and names itself last")
{
    Fixture f;
    std::optional<Result<BackupMade>> answer, second;
    f.may_hold = false;
    f.desk->start([&](Result<BackupMade> made) { answer = std::move(made); });
    f.desk->start([&](Result<BackupMade> made) { second = std::move(made); });
    REQUIRE(second);
    CHECK(second->error().code == Errc::conflict);
    f.desk->tick();
    CHECK(f.steps.empty());
    f.may_hold = true;
    f.desk->tick();
    f.desk->tick();
    const auto made = f.finish(answer);
    REQUIRE(made.has_value());
    CHECK(f.steps == std::vector<std::string>{"hold", "gather", "let go, state, journal"});
    CHECK(made->manifest.store == f.journal->recovery().store);
    const auto manifest = decode_manifest(support::read_text(made->path + "/backup.json"));
    REQUIRE(manifest.has_value());
    CHECK(manifest->store == made->manifest.store);
    CHECK(manifest->segments == made->manifest.segments);
}

TEST_CASE("a backup that is not let near the segments says who may have them")
{
    Fixture f;
    f.may_hold = false;
    std::optional<Result<BackupMade>> answer;
    f.desk->start([&](Result<BackupMade> made) { answer = std::move(made); });
    f.desk_clock.by = std::chrono::minutes{2};
    f.desk->tick();
    REQUIRE(answer);
    CHECK(answer->error().code == Errc::unavailable);
    CHECK(answer->error().what.find("an audit, an erasure or a long release") != std::string::npos);
    CHECK(f.steps.empty());
}

TEST_CASE("a backup that fails leaves nothing behind and lets the release go on")
{
    Fixture f;
    f.journal->stop();
    std::optional<Result<BackupMade>> answer;
    f.desk->start([&](Result<BackupMade> made) { answer = std::move(made); });
    CHECK_FALSE(f.finish(answer).has_value());
    CHECK(f.steps == std::vector<std::string>{"hold", "gather", "let go, state"});
    CHECK(std::filesystem::is_empty(f.directory.file("backups")));

    answer.reset();
    std::filesystem::remove_all(f.directory.file("backups"));
    f.directory.write("backups", "in the way");
    f.desk->start([&](Result<BackupMade> made) { answer = std::move(made); });
    CHECK_FALSE(f.finish(answer).has_value());
    CHECK(f.steps.back() == "let go");
}

TEST_CASE("a manifest that is not one, or of a newer form, is refused")
{
    CHECK(decode_manifest("").error().code == Errc::corrupt);
    CHECK(decode_manifest("[]").error().code == Errc::corrupt);
    CHECK(decode_manifest(R"({"backup":1})").error().code == Errc::corrupt);
    CHECK(decode_manifest(R"({"backup":2})").error().code == Errc::unsupported);
    BackupManifest manifest;
    manifest.store.bytes.fill(3);
    manifest.last = 7;
    manifest.segments = {"a.seg"};
    const auto again = decode_manifest(encode_manifest(manifest));
    REQUIRE(again.has_value());
    CHECK(again->store == manifest.store);
    CHECK(again->last == 7);
    CHECK(again->segments == manifest.segments);
}
