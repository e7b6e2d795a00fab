// tests/support/fake_journal.hpp — a journal in memory that a test can hold, fail and read.
//
// Answers on a thread of its own, as the real one does. Readers find what was committed; segments
// and versions are kept as far as tests ask.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "router/journal/journal.hpp"

namespace eventyard::support {

class FakeJournal : public router::Journal {
public:
    FakeJournal() : thread_([this] { run(); }) {}
    ~FakeJournal() override { stop(); }

    /// Until let_go() no unit is answered.
    void hold()
    {
        const std::lock_guard lock{mutex_};
        held_ = true;
    }
    void let_go()
    {
        const std::lock_guard lock{mutex_};
        held_ = false;
        wake_.notify_all();
    }
    /// From now on units are answered with this error; nothing: they are committed.
    void fail_with(std::optional<Errc> code)
    {
        const std::lock_guard lock{mutex_};
        failure_ = code;
    }
    /// Everything committed so far, in order.
    [[nodiscard]] std::vector<router::StoredEventPtr> events() const
    {
        const std::lock_guard lock{mutex_};
        return events_;
    }
    /// How many units were committed.
    [[nodiscard]] std::size_t units() const
    {
        const std::lock_guard lock{mutex_};
        return units_;
    }
    [[nodiscard]] std::size_t waiting() const
    {
        const std::lock_guard lock{mutex_};
        return queue_.size();
    }

    const router::RecoveryReport& recovery() const noexcept override { return recovery_; }
    void set_listener(std::function<void(router::CommitBatchPtr)> listener) override
    {
        listener_ = std::move(listener);
    }
    void submit(router::CommitUnit unit) override
    {
        {
            const std::lock_guard lock{mutex_};
            if (!stopping_) {
                queue_.push_back(std::move(unit));
                wake_.notify_all();
                return;
            }
        }
        unit.done(fail(Errc::cancelled, "stopped"));
    }
    router::Sequence synced() const noexcept override { return last(); }
    router::Sequence last() const noexcept override
    {
        const std::lock_guard lock{mutex_};
        return last_;
    }
    router::Sequence oldest() const noexcept override { return 1; }
    void set_reserver(std::function<void(router::Sequence)>) override {}
    void reserved(router::Sequence) override {}
    Result<router::RoutingVersionPtr> store_version(const router::RoutingVersion& version) override
    {
        auto stored = std::make_shared<router::RoutingVersion>(version);
        const std::lock_guard lock{mutex_};
        stored->number = ++versions_;
        return router::RoutingVersionPtr(std::move(stored));
    }
    void read_lane(router::LaneRead request, std::function<void(Result<router::LaneChunk>)> done) override
    {
        router::LaneChunk chunk;
        chunk.through = request.through;
        for (const auto& event : events())
            for (std::uint32_t i = 0; i < event->routes.size(); ++i)
                if (event->version->routes[event->routes[i]].target == request.target &&
                    router::DeliveryKey{event->sequence, i} > request.after &&
                    event->sequence <= request.through)
                    chunk.items.push_back({event, i});
        done(std::move(chunk));
    }
    void read_event(router::Sequence sequence,
                    std::function<void(Result<router::StoredEventPtr>)> done) override
    {
        for (const auto& event : events())
            if (event->sequence == sequence) return done(event);
        done(fail(Errc::not_found, "no such event"));
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally(
        router::Sequence after, router::Sequence through) override
    {
        std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
        for (const auto& event : events())
            if (event->sequence > after && event->sequence <= through)
                for (const auto route : event->routes)
                    ++counts[{std::string{event->version->routes[route].rule}, event->version->routes[route].target}];
        return counts;
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally_of(std::vector<router::DeliveryKey> keys) override
    {
        std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
        for (const auto& event : events())
            for (const router::DeliveryKey& key : keys)
                if (key.sequence == event->sequence) {
                    const auto route = event->version->routes[event->routes.at(key.route)];
                    ++counts[{std::string{route.rule}, route.target}];
                }
        return counts;
    }
    Result<std::uint64_t> count_after(const std::string& target, router::DeliveryKey after) override
    {
        std::uint64_t count = 0;
        for (const auto& event : events())
            for (std::uint32_t i = 0; i < event->routes.size(); ++i)
                count += event->version->routes[event->routes[i]].target == target &&
                         router::DeliveryKey{event->sequence, i} > after;
        return count;
    }
    std::vector<router::SegmentInfo> segments() const override { return {}; }
    void release(std::vector<std::string>) override {}
    void rewrite(std::string, std::function<bool(const router::StoredEvent&, std::uint32_t)>,
                 std::function<void(Result<void>)> done) override
    {
        done(Result<void>{});
    }
    const Stats& stats() const noexcept override { return stats_; }
    void stop() override
    {
        {
            const std::lock_guard lock{mutex_};
            stopping_ = true;
            held_ = false;
            wake_.notify_all();
        }
        if (thread_.joinable()) thread_.join();
    }

private:
    void run()
    {
        std::unique_lock lock{mutex_};
        for (;;) {
            wake_.wait(lock, [this] { return stopping_ || (!held_ && !queue_.empty()); });
            if (queue_.empty()) return;
            auto batch = std::make_shared<router::CommitBatch>();
            std::vector<std::pair<router::CommitUnit, Result<router::CommitResult>>> answers;
            for (; !queue_.empty(); queue_.pop_front()) {
                router::CommitUnit& unit = queue_.front();
                if (failure_) {
                    answers.emplace_back(std::move(unit), fail(*failure_, "as the test asked"));
                    continue;
                }
                const router::Sequence first = last_ + 1;
                for (auto& event : unit.events) {
                    event->sequence = ++last_;
                    events_.push_back(event);
                    batch->events.push_back(event);
                }
                ++units_;
                const auto durability = unit.durability;
                answers.emplace_back(std::move(unit), router::CommitResult{first, durability});
            }
            lock.unlock();
            for (auto& [unit, result] : answers) unit.done(result);
            if (listener_ && !batch->events.empty()) {
                batch->first = batch->events.front()->sequence;
                batch->last = batch->events.back()->sequence;
                listener_(std::move(batch));
            }
            lock.lock();
        }
    }

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<router::CommitUnit> queue_;
    std::vector<router::StoredEventPtr> events_;
    router::Sequence last_ = 0;
    std::uint64_t versions_ = 0;
    std::size_t units_ = 0;
    std::optional<Errc> failure_;
    bool held_ = false, stopping_ = false;
    std::function<void(router::CommitBatchPtr)> listener_;
    router::RecoveryReport recovery_;
    Stats stats_;
    std::thread thread_;
};

}  // namespace eventyard::support
