// The desk that erases an event: in which order it asks, what it finds, and that it lets go of the segments in the end.
#include <future>

#include "router/erase_desk.hpp"
#include "tests/router/past/bench.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;
using namespace std::chrono_literals;

namespace {

using Picks = std::vector<PickedDelivery>;

/// Time that passes when it is asked for, where a test is in a hurry.
class TestWaits final : public Waits {
public:
    bool hurry = false;
    std::unique_ptr<Alarm> alarm(boost::asio::io_context&) override { return nullptr; }
    bool until(const std::function<bool(Duration)>& ready, Duration patience) override
    {
        return ready(hurry ? Duration{0} : patience);
    }
};

/// The desk over a real state, with lanes that do as they are told.
struct Office {
    Office()
    {
        auto opened = State::open(real_disk, clock, {.path = directory.file("state.db")});
        REQUIRE(opened.has_value());
        state = std::move(*opened);
        REQUIRE(state->bind_store(bench.journal->recovery().store).has_value());
        EraseDesk::Hooks hooks;
        hooks.stopping = [this] { return stopping; };
        hooks.hold = [this] {
            if (held) return false;
            steps.emplace_back("hold");
            return true;
        };
        hooks.let_go = [this] { steps.emplace_back("let go"); };
        hooks.discard = [this](const std::string& target, const Picks& picked, const std::function<void(Result<Acted>)>& done) {
            for (const PickedDelivery& one : picked)
                steps.push_back("discard " + std::to_string(one.key.sequence) + " at " + target);
            done(discard ? discard(target, picked) : Acted{picked.size(), 0, 0, 0, {}, {}});
        };
        hooks.drop_copies = [this](const Id&, const std::function<void(std::uint64_t)>& done) {
            steps.emplace_back("drop copies");
            done(0);
        };
        hooks.read_anew = [this] { steps.emplace_back("read anew"); };
        desk = std::make_unique<EraseDesk>(bench.disk, waits, *bench.journal, *state, *bench.archives, "/data", std::move(hooks));
    }
    ~Office() { state->stop(); }
    Result<Erased> erase(Sequence sequence) { return desk->erase(bench.ids[sequence - 1], {"me", "a test"}); }
    void put(std::vector<Change> changes)
    {
        std::promise<Result<void>> durable;
        state->submit(std::move(changes), [&durable](const Result<void>& result) { durable.set_value(result); });
        REQUIRE(durable.get_future().get().has_value());
    }
    /// Of event `sequence`, as the target `target` has it.
    [[nodiscard]] RetryRow row(const std::string& target, Sequence sequence) const
    {
        RetryRow made;
        made.target = target;
        made.key = {sequence, 0};
        made.rule = "all";
        made.event = bench.ids[sequence - 1];
        made.attempts = 1;
        made.received = clock.wall();
        made.due = clock.wall() + 1h;
        return made;
    }
    /// Whether the body of event `sequence` is in any file of journal and archive.
    [[nodiscard]] bool on_disk(Sequence sequence) const
    {
        const std::string body = R"({"n":)" + std::to_string(sequence) + ",";
        const auto paths = bench.disk.paths();
        return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
            return bench.disk.content(path).find(body) != std::string::npos;
        });
    }

    Bench bench;
    support::TempDir directory;
    PosixDisk real_disk;
    SystemClock clock;
    TestWaits waits;
    std::unique_ptr<State> state;
    std::vector<std::string> steps;
    bool held = false, stopping = false;
    std::function<Result<Acted>(const std::string& target, const Picks&)> discard;  // empty: all of them end
    std::unique_ptr<EraseDesk> desk;
};

}  // namespace

TEST_CASE("an event is erased where it pends, in the journal, in the archive and among the dead letters, in that order")
{
    Office office;
    office.bench.archive();
    office.bench.post(40);
    for (int turn = 0; turn < 30; ++turn) office.bench.tick();
    REQUIRE(office.bench.archives->through("default") > 3);
    DeadLetter letter;
    letter.target = "hook";
    letter.rule = "all";
    letter.bus = "default";
    letter.key = {3, 0};
    letter.event = office.bench.ids[2];
    letter.body = "the body";
    Ended dead{"hook", {3, 0}, "all", Ending::dead_lettered, letter, std::nullopt};
    Moved moved{"hook", office.row("other", 3), true};
    moved.row.routed_to = "hook";
    moved.row.key.route = 1;
    office.put({TargetKnown{"hook", "webhook", 0}, TargetKnown{"other", "webhook", 0}, dead, moved,
                Retrying{office.row("hook", 4), std::nullopt}});

    const auto erased = office.erase(3);
    REQUIRE(erased.has_value());
    CHECK(erased->journal == 1);
    CHECK(erased->archive_files == 1);
    CHECK(erased->dead_letters == 1);
    // The letter's row in the state of this test goes on being there: nobody has ended it.
    CHECK(office.steps == std::vector<std::string>{"hold", "read anew", "discard 3 at hook", "discard 3 at other",
                                                   "discard 3 at other", "drop copies", "let go"});
    CHECK_FALSE(office.on_disk(3));
    CHECK(office.on_disk(40));
    std::promise<Result<DeadLetter>> kept;
    office.state->dead_letter(1, [&kept](Result<DeadLetter> got, const auto&) { kept.set_value(std::move(got)); });
    const auto left = kept.get_future().get();
    REQUIRE(left.has_value());
    CHECK(left->format == EventFormat::erased);
    CHECK(left->body.find("the body") == std::string::npos);

    // Asked again, it finds what it left.
    const auto again = office.erase(3);
    REQUIRE(again.has_value());
    CHECK(again->journal == 1);
    CHECK(again->dead_letters == 1);
}

TEST_CASE("an event that nothing knows is not found, and the segments are let go")
{
    Office office;
    office.bench.post(3);
    const auto erased = office.desk->erase(new_event_id(office.clock.wall(), office.bench.random), {});
    REQUIRE_FALSE(erased.has_value());
    CHECK(erased.error().code == Errc::not_found);
    CHECK(office.steps == std::vector<std::string>{"hold", "read anew", "drop copies", "let go"});
}

TEST_CASE("deliveries that change meanwhile are picked once more, and those under way are told of")
{
    Office office;
    office.bench.post(3);
    int asked = 0;
    office.discard = [&asked](const std::string&, const Picks& picked) {
        Acted acted;
        if (++asked < 3) acted.again = picked;
        else acted.in_flight = picked.size();
        return acted;
    };
    const auto erased = office.erase(2);
    REQUIRE(erased.has_value());
    CHECK(asked == 3);
    CHECK(erased->in_flight == 1);
    CHECK(erased->discarded == 0);
}

TEST_CASE("an erasure that cannot end what is pending leaves the body and lets the segments go")
{
    const std::string what = GENERATE("no room", "a failing lane", "always again");
    INFO(what);
    Office office;
    office.bench.post(3);
    office.discard = [&what](const std::string&, const Picks& picked) -> Result<Acted> {
        if (what == "a failing lane") return fail(Errc::io, "the state fails");
        Acted acted;
        if (what == "no room") acted.no_room = 1;
        else acted.again = picked;
        return acted;
    };
    const auto erased = office.erase(2);
    REQUIRE_FALSE(erased.has_value());
    CHECK(erased.error().code == (what == "a failing lane" ? Errc::io : Errc::unavailable));
    CHECK(office.on_disk(2));
    CHECK(office.steps.back() == "let go");
    // A lane that is gone has nothing pending.
    office.discard = [](const std::string&, const Picks&) { return Result<Acted>{fail(Errc::not_found, "no such lane")}; };
    CHECK(office.erase(2).has_value());
    CHECK_FALSE(office.on_disk(2));
}

TEST_CASE("an erasure waits for whoever has the segments, but not for ever, nor for longer than the daemon runs")
{
    Office office;
    office.bench.post(1);
    office.held = office.waits.hurry = true;
    for (const bool stopping : {false, true}) {
        office.stopping = stopping;
        const auto erased = office.erase(1);
        REQUIRE_FALSE(erased.has_value());
        CHECK(erased.error().code == (stopping ? Errc::cancelled : Errc::unavailable));
        CHECK((erased.error().what.find("a backup, an audit or a long release") != std::string::npos) == !stopping);
        CHECK(office.steps.empty());  // what it did not take it does not let go
    }
}

TEST_CASE("an erasure names the copies that people made, and archive files that cannot be read")
{
    Office office;
    office.bench.archive();
    office.bench.post(40);
    for (int turn = 0; turn < 30; ++turn) office.bench.tick();
    const auto files = office.bench.archives->files("default");
    REQUIRE(files.size() > 1);
    const std::string damaged = files.front()->path;
    std::string bytes = office.bench.disk.content(damaged);
    bytes[20] = static_cast<char>(bytes[20] + 1);
    office.bench.disk.set_content(damaged, bytes);
    office.bench.disk.set_content("/data/backups/monday", "");
    office.bench.disk.set_content("/data/exports/state.db", "");
    office.bench.disk.set_content("/data/state.db.1.corrupt", "");
    const auto erased = office.erase(1);
    REQUIRE(erased.has_value());
    CHECK(erased->left == std::vector<std::string>{damaged, "/data/backups/monday", "/data/exports/state.db", "/data/state.db.1.corrupt"});
}
