// tests/router/journal/helpers.hpp — a small journal on a disk in memory.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "router/journal/log.hpp"
#include "tests/support/memory_disk.hpp"

namespace eventyard::router::test {

using eventyard::test::MemoryDisk;

class StillClock final : public Clock {
public:
    SteadyTime steady() const noexcept override { return SteadyTime{Duration{steady_.load()}}; }
    WallTime wall() const noexcept override { return WallTime{std::chrono::hours{500'000}}; }
    void advance(Duration by) { steady_ += by.count(); }

private:
    std::atomic<Duration::rep> steady_{0};  // threads read it while a test moves it
};

inline RoutingVersion two_targets()
{
    RoutingVersion version;
    version.buses = {"default", "audit"};
    version.routes = {{"orders", "webhook", {}, "", {}, {}},
                      {"orders", "archive", {}, "", {}, {}},
                      {"rare", "pager", {}, "", {}, {}}};
    return version;
}

/// Event `n` of a test: its body and routes follow from n alone, so a test can tell invented ones.
inline std::string body_of(std::uint64_t n)
{
    return R"({"n":)" + std::to_string(n) + R"(,"pad":")" + std::string(20 + n * 37 % 150, 'x') + "\"}";
}
inline std::vector<std::uint32_t> routes_of(std::uint64_t n)
{
    if (n % 7 == 0) return {0, 2};
    if (n % 5 == 0) return {1};
    return {0, 1};
}

inline std::shared_ptr<StoredEvent> make_event(std::uint64_t n, const RoutingVersionPtr& version)
{
    auto stored = std::make_shared<StoredEvent>();
    for (std::size_t i = 0; i < 8; ++i)
        stored->event.id.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
    stored->event.received = WallTime{std::chrono::seconds{1'800'000'000 + n}};
    stored->event.bus = version->buses[n % 2];
    stored->event.body = body_of(n);
    stored->bus = static_cast<std::uint32_t>(n % 2);
    stored->version = version;
    stored->routes = routes_of(n);
    return stored;
}

inline CommitUnit make_unit(std::uint64_t first, std::uint32_t size, const RoutingVersionPtr& version,
                            Durability durability = Durability::fsync)
{
    CommitUnit unit;
    unit.durability = durability;
    for (std::uint32_t i = 0; i < size; ++i) unit.events.push_back(make_event(first + i, version));
    return unit;
}

/// A bit of the body of event `n` in that file flips.
inline void flip_body(MemoryDisk& disk, const std::string& path, std::uint64_t n)
{
    std::string content = disk.content(path);
    const auto at = content.find(R"({"n":)" + std::to_string(n) + ',');
    if (at == std::string::npos) throw std::runtime_error("event " + std::to_string(n) + " is not in " + path);
    content[at + 10] ^= 1;
    disk.set_content(path, content);
}

struct Bench {
    std::unique_ptr<MemoryDisk> disk = std::make_unique<MemoryDisk>();
    StillClock clock;
    SeededRandom random{7};
    JournalOptions options;
    Bench()
    {
        options.directory = "/data/journal";
        options.segment_size = 8192;
        options.min_free = 1;
        options.spare_segments = 1;
    }
    Result<std::unique_ptr<Log>> open(JournalMarks marks = {})
    {
        return Log::open(*disk, clock, random, options, marks);
    }
    void chores(Log& log) { log.chores(log.room()); }
};

/// The journal with its threads.
struct Running : Bench {
    std::unique_ptr<Journal> journal;
    RoutingVersionPtr version;

    explicit Running(const std::function<void(JournalOptions&)>& change = {})
    {
        if (change) change(options);
        journal = *Journal::open(*disk, clock, random, options, {});
        version = *journal->store_version(two_targets());
    }
    /// Has the unit's answer told there.
    static std::future<Result<CommitResult>> answer_of(CommitUnit& unit)
    {
        auto answer = std::make_shared<std::promise<Result<CommitResult>>>();
        unit.done = [answer](const Result<CommitResult>& result) { answer->set_value(result); };
        return answer->get_future();
    }
    std::future<Result<CommitResult>> submit(CommitUnit unit)
    {
        auto answer = answer_of(unit);
        journal->submit(std::move(unit));
        return answer;
    }
};

/// Everything a target reads, and what it is told to be damaged.
struct LaneContent {
    std::map<Sequence, std::string> bodies;
    std::set<DeliveryKey> keys;
    std::set<DamagedDelivery> damaged;
};
inline LaneContent read_all(Log& log, const std::string& target, std::size_t max_items = 7)
{
    LaneContent content;
    LaneRead request;
    request.target = target;
    request.after = {0, UINT32_MAX};
    request.max_items = max_items;
    const Sequence end = log.appender().last();
    while (request.after.sequence < end) {
        request.through = end;
        auto chunk = log.reader().read_lane(request);
        if (!chunk.has_value()) throw std::runtime_error(chunk.error().what);
        for (const LaneItem& item : chunk->items) {
            content.bodies[item.event->sequence] = item.event->event.body;
            content.keys.insert({item.event->sequence, item.route});
        }
        content.damaged.insert(chunk->damaged.begin(), chunk->damaged.end());
        if (chunk->through <= request.after.sequence) throw std::runtime_error("no progress");
        request.after = {chunk->through, UINT32_MAX};
    }
    return content;
}

}  // namespace eventyard::router::test
