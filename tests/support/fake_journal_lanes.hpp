// tests/support/fake_journal_lanes.hpp — the journal as lanes see it: events in a vector.
//
// EventLog holds events and answers lane reads; FakeJournalLanes is a router::Journal over one,
// with a thread that commits and reads. Damage can be declared by sequence.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "core/ids.hpp"
#include "router/journal/journal.hpp"

namespace eventyard::router::testing {

inline std::shared_ptr<StoredEvent> make_event(const RoutingVersionPtr& version, std::vector<std::uint32_t> routes,
                                               Random& random, WallTime received, std::string body = "{}")
{
    auto event = std::make_shared<StoredEvent>();
    event->event.id = new_event_id(received, random);
    event->event.received = received;
    event->event.bus = "default";
    event->event.body = std::move(body);
    event->version = version;
    event->routes = std::move(routes);
    return event;
}

struct EventLog {
    std::vector<StoredEventPtr> events;  // of sequence i + 1
    std::set<Sequence> damaged;
    std::set<Sequence> lost;  // what rot took without a word: no longer there

    [[nodiscard]] static bool routed(const StoredEvent& event, std::uint32_t route, const std::string& target)
    {
        return event.version->routes[event.routes[route]].target == target;
    }
    [[nodiscard]] LaneChunk read(const LaneRead& request) const
    {
        LaneChunk chunk;
        std::size_t bytes = 0;
        for (Sequence at = std::max<Sequence>(1, request.after.sequence); at <= request.through; ++at) {
            const StoredEventPtr& event = events[at - 1];
            if (lost.contains(at)) continue;
            for (std::uint32_t route = 0; route < event->routes.size(); ++route) {
                const DeliveryKey key{at, route};
                if (key <= request.after || !routed(*event, route, request.target)) continue;
                if (damaged.count(at) > 0) {
                    chunk.damaged.push_back({key, std::string{event->version->routes[event->routes[route]].rule}});
                    continue;
                }
                if (chunk.items.size() >= request.max_items ||
                    (!chunk.items.empty() && bytes + event->event.body.size() > request.max_bytes)) {
                    chunk.through = at - 1;
                    return chunk;
                }
                bytes += event->event.body.size();
                chunk.items.push_back({event, route});
            }
        }
        chunk.through = request.through;
        return chunk;
    }
    [[nodiscard]] std::uint64_t count_after(const std::string& target, DeliveryKey after) const
    {
        std::uint64_t count = 0;
        for (const StoredEventPtr& event : events)
            for (std::uint32_t route = 0; route < event->routes.size(); ++route)
                if (DeliveryKey{event->sequence, route} > after && routed(*event, route, target) && !lost.contains(event->sequence)) ++count;
        return count;
    }
};

class FakeJournalLanes final : public Journal {
public:
    explicit FakeJournalLanes(EventLog start = {}) : log_(std::move(start)), thread_([this] { run(); }) {}
    ~FakeJournalLanes() override { stop(); }

    /// What a restart would find.
    [[nodiscard]] EventLog contents() const
    {
        const std::lock_guard lock(mutex_);
        return log_;
    }
    /// Single events are not read while set: reads wait.
    void hold_events(bool on)
    {
        std::deque<std::function<void()>> late;
        {
            const std::lock_guard lock(mutex_);
            holding_ = on;
            if (!on) late.swap(held_);
        }
        for (auto& work : late) push(std::move(work));
    }
    [[nodiscard]] std::size_t events_held() const
    {
        const std::lock_guard lock(mutex_);
        return held_.size();
    }
    /// Commits one batch of these events.
    void commit(std::vector<std::shared_ptr<StoredEvent>> events)
    {
        CommitUnit unit;
        unit.events = std::move(events);
        submit(std::move(unit));
    }

    const RecoveryReport& recovery() const noexcept override { return recovery_; }
    void set_listener(std::function<void(CommitBatchPtr)> listener) override { listener_ = std::move(listener); }
    void submit(CommitUnit unit) override
    {
        push([this, unit = std::move(unit)] {
            auto batch = std::make_shared<CommitBatch>();
            {
                const std::lock_guard lock(mutex_);
                batch->first = log_.events.size() + 1;
                for (const auto& event : unit.events) {
                    event->sequence = log_.events.size() + 1;
                    log_.events.push_back(event);
                    batch->events.push_back(event);
                }
                batch->last = log_.events.size();
            }
            if (unit.done) unit.done(CommitResult{batch->first, unit.durability});
            if (listener_) listener_(batch);
        });
    }
    Sequence synced() const noexcept override { return last(); }
    Sequence last() const noexcept override
    {
        const std::lock_guard lock(mutex_);
        return log_.events.size();
    }
    Sequence oldest() const noexcept override { return 1; }
    void set_reserver(std::function<void(Sequence)>) override {}
    void reserved(Sequence) override {}
    Result<RoutingVersionPtr> store_version(const RoutingVersion& version) override
    {
        return std::make_shared<const RoutingVersion>(version);
    }
    void read_lane(LaneRead request, std::function<void(Result<LaneChunk>)> done) override
    {
        push([this, request = std::move(request), done = std::move(done)] {
            LaneChunk chunk;
            {
                const std::lock_guard lock(mutex_);
                chunk = log_.read(request);
            }
            done(std::move(chunk));
        });
    }
    void read_event(Sequence sequence, std::function<void(Result<StoredEventPtr>)> done) override
    {
        auto work = [this, sequence, done = std::move(done)] {
            StoredEventPtr event;
            bool damaged = false;
            {
                const std::lock_guard lock(mutex_);
                damaged = log_.damaged.count(sequence) > 0;
                if (!damaged) event = log_.events[sequence - 1];
            }
            if (damaged) done(fail(Errc::corrupt, "checksum"));
            else done(std::move(event));
        };
        {
            const std::lock_guard lock(mutex_);
            if (holding_) {
                held_.push_back(std::move(work));
                return;
            }
        }
        push(std::move(work));
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally(Sequence after,
                                                                               Sequence through) override
    {
        std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
        for (const StoredEventPtr& event : contents().events) {
            if (event->sequence <= after || event->sequence > through) continue;
            for (const std::uint32_t route : event->routes)
                ++counts[{std::string{event->version->routes[route].rule}, event->version->routes[route].target}];
        }
        return counts;
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally_of(
        std::vector<DeliveryKey> keys) override
    {
        std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
        const EventLog log = contents();
        for (const DeliveryKey& key : keys) {
            if (log.lost.contains(key.sequence)) continue;
            const StoredEvent& event = *log.events.at(key.sequence - 1);
            const auto route = event.version->routes[event.routes.at(key.route)];
            ++counts[{std::string{route.rule}, route.target}];
        }
        return counts;
    }
    Result<std::uint64_t> count_after(const std::string& target, DeliveryKey after) override
    {
        return contents().count_after(target, after);
    }
    std::vector<SegmentInfo> segments() const override { return sealed; }
    void release(std::vector<std::string> names) override
    {
        const std::lock_guard lock(mutex_);
        released_.insert(names.begin(), names.end());
    }
    [[nodiscard]] std::set<std::string> released() const
    {
        const std::lock_guard lock(mutex_);
        return released_;
    }
    std::vector<SegmentInfo> sealed;  // set before use
    void rewrite(std::string name, std::function<bool(const StoredEvent&, std::uint32_t)> keep,
                 std::function<void(Result<void>)> done) override
    {
        {
            const std::lock_guard lock(mutex_);
            for (const SegmentInfo& segment : sealed)
                for (Sequence at = segment.first; segment.name == name && at <= segment.last; ++at)
                    for (std::uint32_t route = 0; route < log_.events[at - 1]->routes.size(); ++route)
                        if (keep(*log_.events[at - 1], route)) kept_.insert({at, route});
        }
        done({});
    }
    /// What rewritten segments still hold.
    [[nodiscard]] std::set<DeliveryKey> kept() const
    {
        const std::lock_guard lock(mutex_);
        return kept_;
    }
    const Stats& stats() const noexcept override { return stats_; }
    void stop() override
    {
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) return;
            stopping_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }

private:
    void push(std::function<void()> work)
    {
        {
            const std::lock_guard lock(mutex_);
            work_.push_back(std::move(work));
        }
        wake_.notify_all();
    }
    void run()
    {
        for (;;) {
            std::function<void()> work;
            {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [this] { return stopping_ || !work_.empty(); });
                if (work_.empty()) return;
                work = std::move(work_.front());
                work_.pop_front();
            }
            work();
        }
    }

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    EventLog log_;
    std::set<DeliveryKey> kept_;
    std::set<std::string> released_;
    std::function<void(CommitBatchPtr)> listener_;
    RecoveryReport recovery_;
    Stats stats_;
    std::deque<std::function<void()>> work_, held_;
    bool stopping_ = false, holding_ = false;
    std::thread thread_;
};

}  // namespace eventyard::router::testing
