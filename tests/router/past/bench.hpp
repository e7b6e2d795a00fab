// tests/router/past/bench.hpp — archives and replays over a real journal on a disk in memory, without threads: whatever is
// asked of them has ended when the call returns.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/ids.hpp"
#include "router/archive_desk.hpp"
#include "router/journal/desk.hpp"
#include "router/replay_desk.hpp"
#include "tests/router/ingest/table.hpp"
#include "tests/support/memory_disk.hpp"

namespace eventyard::router::testing {

using eventyard::test::MemoryDisk;

class HandClock final : public Clock {
public:
    [[nodiscard]] SteadyTime steady() const noexcept override { return steady_; }
    [[nodiscard]] WallTime wall() const noexcept override { return wall_; }
    void pass(Duration time)
    {
        steady_ += time;
        wall_ += time;
    }

private:
    SteadyTime steady_{std::chrono::hours{1}};
    WallTime wall_{std::chrono::hours{500'000}};
};

/// Its writer, reader and keeper work where they are called.
class CalmJournal final : public JournalDesk {
public:
    static std::unique_ptr<CalmJournal> open(Disk& disk, const Clock& clock, Random& random, const JournalOptions& options)
    {
        auto log = Log::open(disk, clock, random, options, {});
        REQUIRE(log.has_value());
        return std::make_unique<CalmJournal>(std::move(*log), clock, options);
    }
    CalmJournal(std::unique_ptr<Log> log, const Clock& clock, const JournalOptions& options)
        : JournalDesk(std::move(log), clock, options, 0)
    {
    }
    std::function<void()> before_read, before_submit;  // of events

    /// Seals what is full, makes room for what comes.
    using JournalDesk::chores;
    void read_events(EventsRead request, std::function<void(Result<EventChunk>)> done) override
    {
        if (before_read) before_read();
        JournalDesk::read_events(request, std::move(done));
    }
    void submit(CommitUnit unit) override
    {
        if (before_submit) before_submit();
        JournalDesk::submit(std::move(unit));
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally(Sequence after, Sequence through) override
    {
        return log().reader().tally(after, through);
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally_of(std::vector<DeliveryKey> keys) override
    {
        return log().reader().tally_of(keys);
    }
    Result<std::uint64_t> count_after(const std::string& target, DeliveryKey after) override
    {
        return log().reader().count_after(target, after);
    }
    void stop() override
    {
        if (!begin_stop()) return;
        end_writing();
    }

private:
    bool post_reader(Job job) override
    {
        job();
        return true;
    }
    bool post_keeper(Job job) override
    {
        job();
        return true;
    }
    void wake_writer() override
    {
        while (write_turn()) continue;
    }
};

/// A bus "default" whose rule "all" takes every event to the target "hook".
class Bench {
public:
    Bench()
    {
        options.directory = "/data/journal";
        options.segment_size = 8192;
        options.min_free = 1;
        options.spare_segments = 1;
        table = std::make_shared<RouteTable>();
        table->buses.emplace("default", eventyard::test::make_bus("default", 0, {{R"({"n":[{"exists":true}]})", {0}}}));
        Rule rule;
        rule.name = "all";
        rule.bus = std::make_shared<const std::string>("default");
        table->rules.push_back(rule);
        table->targets["hook"].name = "hook";
        table->generation = 1;
        open();
    }
    ~Bench() { journal->stop(); }

    /// What a start after a kill finds.
    void reopen()
    {
        replays.reset();
        archives.reset();
        journal->stop();
        journal.reset();
        open();
    }
    /// Events 1, 2, ... as their bodies say, with padding; one a commit.
    void post(std::uint64_t count, const std::function<std::string(std::uint64_t)>& body = {})
    {
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t n = journal->last() + 1;
            auto event = std::make_shared<StoredEvent>();
            event->event.received = clock.wall();
            event->event.id = new_event_id(event->event.received, random);
            event->event.bus = "default";
            event->event.body = body ? body(n) : R"({"n":)" + std::to_string(n) + R"(,"pad":")" + std::string(500, 'x') + "\"}";
            event->version = table->version;
            event->routes = {0};
            ids.push_back(event->event.id);
            CommitUnit unit;
            unit.events.push_back(std::move(event));
            bool committed = false;
            unit.done = [&committed](const Result<CommitResult>& result) { committed = result.has_value(); };
            journal->submit(std::move(unit));
            REQUIRE(committed);
            journal->chores();
        }
    }
    void archive(Duration retention = {}, std::uint64_t max_bytes = 0)
    {
        table->buses.at("default").archive = ArchiveOptions{retention, max_bytes, nullptr};
    }
    ReplayJob job(std::int64_t id) const
    {
        for (const ReplayJob& one : replays->replays())
            if (one.id == id) return one;
        FAIL("no such replay");
        return {};
    }
    /// A turn of the past, after `time`.
    bool tick(Duration time = std::chrono::seconds{2})
    {
        clock.pass(time);
        archives->tick(*table);
        return replays->tick(table);
    }
    /// Numbers in the bodies of what replays have put into the journal.
    std::vector<std::uint64_t> replayed()
    {
        std::vector<std::uint64_t> all;
        EventsRead read{0, journal->synced()};
        while (read.after < read.through) {
            const auto chunk = router::read_events(*journal, read);
            REQUIRE(chunk.has_value());
            for (const StoredEventPtr& event : chunk->events)
                if (is_replayed(*event)) all.push_back(std::stoull(event->event.body.substr(5)));
            read.after = chunk->through;
        }
        return all;
    }

    MemoryDisk disk;
    HandClock clock;
    SeededRandom random{7};
    JournalOptions options;
    std::shared_ptr<RouteTable> table;
    std::vector<Id> ids;  // by sequence, less one
    std::unique_ptr<CalmJournal> journal;
    std::unique_ptr<ArchiveDesk> archives;
    std::unique_ptr<ReplayDesk> replays;

private:
    void open()
    {
        journal = CalmJournal::open(disk, clock, random, options);
        RoutingVersion version;
        version.buses = {"default"};
        version.routes.push_back({"all", "hook", {}, "", {}, {}});
        auto stored = journal->store_version(version);
        REQUIRE(stored.has_value());
        table->version = *stored;
        archives = std::make_unique<ArchiveDesk>(disk, clock, *journal, "/data");
        replays = std::make_unique<ReplayDesk>(disk, clock, random, *journal, *archives, "/data");
        REQUIRE(replays->start().has_value());
    }
};

}  // namespace eventyard::router::testing
