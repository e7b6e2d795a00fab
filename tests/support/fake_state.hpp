// tests/support/fake_state.hpp — the state in memory: its rules as plain maps, and a thread around them.
//
// StateModel applies changes at once and can be copied: a copy is what a crash leaves. FakeState
// is a router::State that applies what is submitted in batches on a thread of its own, and keeps
// a copy of the last "durable" batch.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>

#include "router/state/state.hpp"

namespace eventyard::router::testing {

struct StateModel {
    struct Position {
        std::string kind;
        Sequence cursor = 0;
        std::vector<DeliveryKey> settled;
        std::optional<std::uint32_t> shard;
        std::string paused;
        Sequence drain = 0;
        bool trusted = true;
        std::optional<WallTime> rate_full;
        std::set<std::string> held_keys;
    };
    using Key = std::tuple<std::string, DeliveryKey>;
    std::map<std::string, Position> targets;
    std::map<Key, RetryRow> retries;
    std::map<std::int64_t, DeadLetter> dead;
    std::map<Key, std::vector<Ending>> ended;   // every Ended, in order
    std::map<std::uint32_t, Sequence> marks;
    std::int64_t next_id = 1;
    Sequence counted_through = 0;
    std::map<std::pair<std::string, std::string>, std::uint64_t> counted;
    std::vector<std::string> complaints;        // changes that break the contract

    [[nodiscard]] Sequence cursor(const std::string& target) const
    {
        const Position& position = targets.at(target);
        if (!position.shard) return position.cursor;
        const auto mark = marks.find(*position.shard);
        return std::max(position.cursor, mark == marks.end() ? 0 : mark->second);
    }
    void apply(const Change& change)
    {
        std::visit([this](const auto& one) { on(one); }, change);
    }
    [[nodiscard]] std::vector<RetryRow> next(const std::string& target, WallTime due, DeliveryKey key,
                                             std::size_t limit) const
    {
        std::vector<RetryRow> rows;
        for (const auto& [at, row] : retries)
            if (row.target == target && !row.held() && std::pair{row.due, row.key} > std::pair{due, key}) rows.push_back(row);
        std::sort(rows.begin(), rows.end(), [](const RetryRow& a, const RetryRow& b) {
            return std::pair{a.due, a.key} < std::pair{b.due, b.key};
        });
        if (rows.size() > limit) rows.resize(limit);
        return rows;
    }
    [[nodiscard]] std::optional<RetryRow> first_of_key(const std::string& target, const std::string& order_key) const
    {
        for (const auto& [at, row] : retries)
            if (row.target == target && row.order_key == order_key && !order_key.empty()) return row;
        return std::nullopt;
    }
    [[nodiscard]] std::vector<RetryRow> rows_of(const std::string& target, const std::vector<DeliveryKey>& keys) const
    {
        std::vector<RetryRow> rows;
        for (const DeliveryKey& key : keys)
            if (const auto found = retries.find({target, key}); found != retries.end()) rows.push_back(found->second);
        return rows;
    }
    [[nodiscard]] RowPage pending_rows(const DeliveryFilter& filter, const RowPosition& after, std::size_t limit) const
    {
        std::map<std::tuple<DeliveryKey, std::int64_t>, RetryRow> ordered;  // targets numbered as their names sort
        for (const auto& [at, row] : retries)
            ordered[{row.key, std::distance(targets.begin(), targets.find(row.target)) + 1}] = row;
        RowPage page{{}, after, false};
        for (const auto& [at, row] : ordered) {
            if (at <= std::tuple{after.key, after.target}) continue;
            page.more = page.rows.size() >= limit;
            if (page.more) break;
            page.through = {std::get<0>(at), std::get<1>(at)};
            if (filter.takes(row.target, row.rule, row.event, row.received, row.addressee())) page.rows.push_back(row);
        }
        return page;
    }
    [[nodiscard]] std::vector<DeadLetter> forwards(const std::string& target, std::int64_t after,
                                                   std::size_t limit) const
    {
        std::vector<DeadLetter> letters;
        for (auto at = dead.upper_bound(after); at != dead.end() && letters.size() < limit; ++at)
            if (at->second.forward_to == target) letters.push_back(at->second);
        return letters;
    }
    [[nodiscard]] StateSnapshot snapshot() const
    {
        StateSnapshot all;
        for (const auto& [name, position] : targets) {
            TargetPosition one;
            one.target = name;
            one.kind = position.kind;
            one.cursor = cursor(name);
            one.settled = position.settled;
            (position.drain > 0 ? one.drain_reason : one.paused) = position.paused;
            one.drain_through = position.drain;
            one.trusted = position.trusted;
            one.rate_full = position.rate_full;
            std::map<std::string, ParkedKey> parked;
            for (const std::string& key : position.held_keys) parked[key] = {key, 0, false, true};
            for (const auto& [key, row] : retries) {
                if (row.target != name) continue;
                ++one.retries;
                one.held += row.held() ? 1 : 0;
                one.delayed += row.delayed() ? 1 : 0;
                if (row.order_key.empty()) continue;
                ParkedKey& of = parked[row.order_key];
                of.order_key = row.order_key;
                if (row.held()) ++of.held;
                else of.first = true;
            }
            for (auto& [key, of] : parked) one.parked.push_back(std::move(of));
            for (const auto& [id, letter] : dead) one.dead_letters += letter.target == name ? 1 : 0;
            all.targets.push_back(std::move(one));
        }
        for (const auto& [key, endings] : ended) {
            if (std::find(endings.begin(), endings.end(), Ending::moved) == endings.end()) continue;
            LedgerRow gave;
            gave.target = std::get<0>(key);
            gave.ended[Ending::moved] = 1;
            all.ledger.push_back(std::move(gave));
        }
        return all;
    }
    [[nodiscard]] bool covers(const std::string& target, DeliveryKey key) const
    {
        const auto found = targets.find(target);
        if (found == targets.end()) return false;
        const auto& settled = found->second.settled;
        return key.sequence <= cursor(target) || std::find(settled.begin(), settled.end(), key) != settled.end();
    }

private:
    void on(const Ended& change)
    {
        const Key key{change.target, change.key};
        const auto row = retries.find(key);
        if (change.redriven && row == retries.end()) return;
        if (row != retries.end() && change.fresh) complaints.push_back("fresh, but with a retry row");
        if (row != retries.end()) {
            dead.erase(row->second.letter);
            retries.erase(row);
        }
        ended[key].push_back(change.ending);
        if ((change.ending == Ending::dead_lettered) != change.dead_letter.has_value())
            complaints.push_back("a dead letter without its body, or a body without it");
        if (change.dead_letter) {
            DeadLetter letter = *change.dead_letter;
            letter.id = next_id++;
            letter.group = 1;
            dead.emplace(letter.id, std::move(letter));
        }
    }
    void on(const Retrying& change)
    {
        const Key key{change.row.target, change.row.key};
        if (ended.count(key) > 0) complaints.push_back("a retry of what has ended");
        retries.insert_or_assign(key, change.row);
    }
    void on(const CursorMoved& change)
    {
        Position& position = targets[change.target];
        if (change.cursor < cursor(change.target)) complaints.push_back("a cursor went back: " + change.target);
        position.cursor = change.cursor;
        position.trusted = true;
        position.settled = change.settled;
        position.shard.reset();
        if (!std::is_sorted(change.settled.begin(), change.settled.end())) complaints.push_back("settled, unsorted");
        for (const DeliveryKey& key : change.settled)
            if (key.sequence <= change.cursor) complaints.push_back("settled below the cursor");
    }
    void on(const LaneIdle& change)
    {
        Position& position = targets[change.target];
        position.cursor = cursor(change.target);
        position.shard = change.shard;
        position.settled.clear();
    }
    void on(const LaneActive& change)
    {
        Position& position = targets[change.target];
        if (change.cursor < cursor(change.target)) complaints.push_back("an idle cursor ran ahead: " + change.target);
        position.cursor = change.cursor;
        position.shard.reset();
    }
    void on(const IdleThrough& change) { marks[change.shard] = std::max(marks[change.shard], change.through); }
    void on(const TargetKnown& change)
    {
        const auto [position, added] = targets.try_emplace(change.target);
        position->second.kind = change.kind;
        if (added) position->second.cursor = change.cursor;
    }
    void on(const TargetPaused& change)
    {
        targets[change.target].paused = change.reason;
        targets[change.target].drain = 0;
    }
    void on(const TargetDraining& change)
    {
        targets[change.target].paused = change.reason;
        targets[change.target].drain = change.through;
    }
    void on(const Moved& change)
    {
        const Key from{change.from, change.row.key}, to{change.row.target, change.row.key};
        const auto row = retries.find(from);
        if (row == retries.end() && change.row.letter != 0) return;
        if (row != retries.end() && change.fresh) complaints.push_back("fresh, but with a retry row");
        if (row != retries.end()) retries.erase(row);
        ended[from].push_back(Ending::moved);
        ended.erase(to);
        retries.insert_or_assign(to, change.row);
    }
    void on(const DeadLetterForwarded& change)
    {
        if (const auto found = dead.find(change.id); found != dead.end()) found->second.forward_to.clear();
    }
    void on(const DeadLetterDiscarded& change)
    {
        const auto found = dead.find(change.id);
        if (found != dead.end() && found->second.group != 0) dead.erase(found);
    }
    void on(const Redriven& change)
    {
        const auto found = dead.find(change.row.letter);
        if (found == dead.end() || found->second.group == 0) return;
        found->second.group = 0;
        ended.erase({change.row.target, change.row.key});
        retries.insert_or_assign(Key{change.row.target, change.row.key}, change.row);
    }
    void on(const RedriveNoted&) {}
    void on(const KeyHeld& change)
    {
        auto& keys = targets[change.target].held_keys;
        if (change.held) keys.insert(change.order_key);
        else keys.erase(change.order_key);
    }
    void on(const KeysKnown&) {}
    void on(const TargetRate& change) { targets[change.target].rate_full = change.full; }
    void on(const JournalCounted& change)
    {
        counted_through = std::max(counted_through, change.through);
        for (const auto& [of, n] : change.counts) counted[of] += n;
    }
    void on(const TargetRenamed&) { complaints.push_back("lanes are drained, not renamed"); }
    void on(const EventErased&) {}
    void on(const Routed&) {}
    void on(const Received&) {}
    void on(const JournalMarked&) {}
};

class FakeState final : public State {
public:
    explicit FakeState(StateModel start = {}, std::chrono::milliseconds batch = std::chrono::milliseconds{3})
        : batch_(batch), live_(std::move(start)), durable_(live_), snapshot_(live_.snapshot()),
          thread_([this] { run(); })
    {
    }
    ~FakeState() override { stop(); }

    /// What a crash now would leave.
    [[nodiscard]] StateModel durable() const
    {
        const std::lock_guard lock(mutex_);
        return durable_;
    }
    /// As the state of a full disk: reads are answered from what is durable.
    void set_failing(bool on) { stats_.failing = on; }
    /// No batch becomes durable while set; submits queue up.
    void stall(bool on)
    {
        {
            const std::lock_guard lock(mutex_);
            stalled_ = on;
        }
        wake_.notify_all();
    }

    void hasten() override { ++hastened; }
    std::atomic<int> hastened{0};

    const StateReport& report() const noexcept override { return report_; }
    const StateSnapshot& snapshot() const noexcept override { return snapshot_; }
    Result<void> bind_store(const Id&) override { return {}; }
    void submit(std::vector<Change> changes) override { submit(std::move(changes), nullptr); }
    void submit(std::vector<Change> changes, std::function<void(Result<void>)> durable) override
    {
        push([this, changes = std::move(changes)] {
            for (const Change& change : changes) live_.apply(change);
        }, std::move(durable));
    }
    void due_retries(std::string, WallTime, std::size_t,
                     std::function<void(Result<std::vector<RetryRow>>)> done) override
    {
        push([done] { done(std::vector<RetryRow>{}); }, nullptr);
    }
    void next_retries(std::string target, WallTime due, DeliveryKey key, std::size_t limit,
                      std::function<void(Result<std::vector<RetryRow>>)> done) override
    {
        push([=, this] { done(live_.next(target, due, key, limit)); }, nullptr);
    }
    void first_of_key(std::string target, std::string order_key,
                      std::function<void(Result<std::optional<RetryRow>>)> done) override
    {
        push([=, this] { done(live_.first_of_key(target, order_key)); }, nullptr);
    }
    void forwards(std::string target, std::int64_t after, std::size_t limit,
                  std::function<void(Result<std::vector<DeadLetter>>)> done) override
    {
        push([=, this] { done(live_.forwards(target, after, limit)); }, nullptr);
    }
    Sequence counted = UINT64_MAX;  // what needed() says of the routed totals; set it before
    void needed(std::vector<NeededRange> ranges, std::function<void(Result<Needed>)> done) override
    {
        push([this, ranges = std::move(ranges), done] {
            const StateModel model = durable();
            Needed needed;
            needed.counted_through = model.counted_through;
            needed.counted = counted;
            for (const auto& [name, position] : model.targets) needed.cursors.emplace_back(name, model.cursor(name));
            for (NeededRange range : ranges) {
                for (const auto& [key, row] : model.retries)
                    if (row.key.sequence >= range.first && row.key.sequence <= range.last) ++range.retries;
                needed.ranges.push_back(range);
            }
            done(std::move(needed));
        }, nullptr);
    }
    void pending_rows(DeliveryFilter filter, RowPosition after, std::size_t limit,
                      std::function<void(Result<RowPage>)> done) override
    {
        push([=, this] { done(live_.pending_rows(filter, after, limit)); }, nullptr);
    }
    void rows_of(std::string target, std::vector<DeliveryKey> keys,
                 std::function<void(Result<std::vector<RetryRow>>)> done) override
    {
        push([=, this] { done(live_.rows_of(target, keys)); }, nullptr);
    }
    void retry_keys(Sequence first, Sequence last, std::string target,
                    std::function<void(Result<std::vector<DeliveryKey>>)> done) override
    {
        push(
            [this, first, last, target, done] {
                std::vector<DeliveryKey> keys;
                for (const auto& [key, row] : live_.retries)
                    if ((target.empty() || row.addressee() == target) && row.key.sequence >= first && row.key.sequence <= last)
                        keys.push_back(row.key);
                done(std::move(keys));
            },
            nullptr);
    }
    void dead_letters(DeadLetterFilter, std::function<void(Result<DeadLetterPage>)> done) override
    {
        push([done] { done(DeadLetterPage{}); }, nullptr);
    }
    void dead_letter_groups(std::string, std::function<void(Result<std::vector<DeadLetterGroup>>)> done) override
    {
        push([done] { done(std::vector<DeadLetterGroup>{}); }, nullptr);
    }
    void audit(std::function<void(Result<AuditState>)> done) override
    {
        push([done] { done(AuditState{}); }, nullptr);
    }
    void redrives(std::function<void(Result<std::vector<RedriveJob>>)> done) override
    {
        push([done] { done(std::vector<RedriveJob>{}); }, nullptr);
    }
    void trial(std::vector<TrialKey>, std::function<void(Result<std::vector<TrialResult>>)> done) override
    {
        push([done] { done(std::vector<TrialResult>{}); }, nullptr);
    }
    void dead_letter(std::int64_t id, std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done) override
    {
        push([this, id, done] {
            const auto found = live_.dead.find(id);
            if (found == live_.dead.end()) return done(fail(Errc::not_found, "none"), {});
            done(found->second, {});
        }, nullptr);
    }
    void ledger(std::function<void(Result<std::vector<LedgerRow>>, std::vector<EventTotals>)> done) override
    {
        push([done] { done(std::vector<LedgerRow>{}, {}); }, nullptr);
    }
    void ledger_of(std::vector<std::string>, std::function<void(Result<std::vector<LedgerRow>>)> done) override
    {
        done(std::vector<LedgerRow>{});  // at once, also while batches stall
    }
    void export_copy(std::string, std::function<void(Result<void>)> done) override
    {
        push([done] { done({}); }, nullptr);
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
    struct Step {
        std::function<void()> work;
        std::function<void(Result<void>)> durable;
    };
    void push(std::function<void()> work, std::function<void(Result<void>)> durable)
    {
        {
            const std::lock_guard lock(mutex_);
            steps_.push_back({std::move(work), std::move(durable)});
        }
        wake_.notify_all();
    }
    void run()
    {
        for (;;) {
            std::deque<Step> steps;
            {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [this] { return stopping_ || (!steps_.empty() && !stalled_); });
                if (steps_.empty()) return;
                steps.swap(steps_);
            }
            for (const Step& step : steps) step.work();
            std::this_thread::sleep_for(batch_);
            {
                const std::lock_guard lock(mutex_);
                durable_ = live_;
            }
            for (const Step& step : steps)
                if (step.durable) step.durable({});
        }
    }

    std::chrono::milliseconds batch_;
    StateModel live_;  // the thread's
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    StateModel durable_;
    StateSnapshot snapshot_;
    StateReport report_;
    Stats stats_;
    std::deque<Step> steps_;
    bool stalled_ = false, stopping_ = false;
    std::thread thread_;
};

}  // namespace eventyard::router::testing
