// tests/sim/threads.hpp — the production's threads as turns: whoever holds the seed says who runs.
//
// Each part is the production's own with its thread taken out: journal and state take turns, alarms
// ring when the world lets them, whoever waits lets the world go on. Everything runs on one thread.
#pragma once

#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "router/delivery/alarm.hpp"
#include "router/journal/desk.hpp"
#include "router/state/desk.hpp"

namespace eventyard::sim {

using namespace router;

/// What the world wants to know of what passes, and what planted mistakes change of it.
struct Wires {
    std::function<void(const CommitBatch&)> published;
    std::function<void(const std::vector<Change>&)> submitted;
    std::function<void(const std::vector<Change>&)> durable;
    /// Takes a submission in the place of the state; false: it did not.
    std::function<bool(State&, std::vector<Change>&, std::function<void(Result<void>)>&)> instead;
    bool no_reservations = false;    // the journal numbers without a reservation
    /// Changes an event that is read back; may be empty.
    std::function<StoredEventPtr(const StoredEventPtr&)> reread;
};

class SimJournal final : public JournalDesk {
public:
    SimJournal(std::unique_ptr<Log> opened, const Clock& clock, JournalOptions options, Sequence reserved,
               const Wires& wires)
        : JournalDesk(std::move(opened), clock, std::move(options), reserved), clock_(clock), wires_(wires)
    {
        log().on_chores([this] { chores_due_ = true; });
    }
    void set_listener(std::function<void(CommitBatchPtr)> listener) override
    {
        JournalDesk::set_listener([this, listener = std::move(listener)](CommitBatchPtr batch) {
            wires_.published(*batch);
            listener(std::move(batch));
        });
    }
    void set_reserver(std::function<void(Sequence)> reserve) override
    {
        if (!wires_.no_reservations) JournalDesk::set_reserver(std::move(reserve));
    }
    void read_event(Sequence sequence, std::function<void(Result<StoredEventPtr>)> done) override
    {
        if (!wires_.reread) return JournalDesk::read_event(sequence, std::move(done));
        JournalDesk::read_event(sequence, [this, done = std::move(done)](Result<StoredEventPtr> event) {
            done(event.has_value() ? Result<StoredEventPtr>{wires_.reread(*event)} : std::move(event));
        });
    }
    void read_lane(LaneRead request, std::function<void(Result<LaneChunk>)> done) override
    {
        if (!wires_.reread) return JournalDesk::read_lane(std::move(request), std::move(done));
        JournalDesk::read_lane(std::move(request), [this, done = std::move(done)](Result<LaneChunk> chunk) {
            if (chunk.has_value())
                for (LaneItem& item : chunk->items) item.event = wires_.reread(item.event);
            done(std::move(chunk));
        });
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally(Sequence after, Sequence through) override
    {
        return log().reader().tally(after, through);
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally_of(std::vector<DeliveryKey> keys) override
    {
        return log().reader().tally_of(keys);
    }
    Result<void> visit_events(Sequence after, Sequence through, const std::function<void(const StoredEvent&)>& visit) override
    {
        return log().reader().visit_events(after, through, visit);
    }
    Result<std::uint64_t> count_after(const std::string& target, DeliveryKey after) override
    {
        return log().reader().count_after(target, after);
    }
    void stop() override
    {
        if (!begin_stop()) return;
        while (write_turn()) {
        }
        end_writing();
        while (read()) {
        }
        while (!keeper_.empty()) run_first(keeper_);
        stopped_ = true;
    }

    // One turn each; false: nothing to do.
    bool write()
    {
        if (stopping()) return false;
        if (write_turn()) return true;
        const auto at = write_at();
        if (!at || *at > clock_.steady()) return false;
        write_late();
        return true;
    }
    bool read() { return run_first(reader_); }
    bool keep()
    {
        if (run_first(keeper_)) return true;
        if (stopped_ || !std::exchange(chores_due_, false)) return false;
        chores();
        return true;
    }
    /// The keeper's interval is over.
    void chores_due() { chores_due_ = true; }

    /// Past the threads: what the disk holds of it.
    Result<StoredEventPtr> look_up(Sequence sequence) { return log().reader().read_event(sequence); }

private:
    static bool run_first(std::deque<Job>& jobs)
    {
        if (jobs.empty()) return false;
        const Job job = std::move(jobs.front());
        jobs.pop_front();
        job();
        return true;
    }
    bool post_reader(Job job) override
    {
        if (!stopped_) reader_.push_back(std::move(job));
        return !stopped_;
    }
    bool post_keeper(Job job) override
    {
        if (!stopped_) keeper_.push_back(std::move(job));
        return !stopped_;
    }
    void wake_writer() override {}

    const Clock& clock_;
    const Wires& wires_;
    std::deque<Job> reader_, keeper_;
    bool chores_due_ = true, stopped_ = false;
};

class SimState final : public StateDesk {
public:
    SimState(Disk& disk, const Clock& clock, StateOptions options, OpenedStore opened, const Wires& wires)
        : StateDesk(disk, clock, std::move(options), std::move(opened)), wires_(wires)
    {
    }
    void submit(std::vector<Change> changes) override { submit(std::move(changes), nullptr); }
    void submit(std::vector<Change> changes, std::function<void(Result<void>)> durable) override
    {
        if (wires_.instead && wires_.instead(*this, changes, durable)) return;
        pass_on(std::move(changes), std::move(durable));
    }
    /// As submit, past the planted mistakes.
    void pass_on(std::vector<Change> changes, std::function<void(Result<void>)> durable)
    {
        wires_.submitted(changes);
        auto copy = changes;
        StateDesk::submit(std::move(changes), [this, copy = std::move(copy),
                                               durable = std::move(durable)](const Result<void>& result) {
            if (result.has_value()) wires_.durable(copy);
            if (durable) durable(result);
        });
    }
    Result<void> bind_store(const Id& store) override { return bind(store); }
    Result<std::vector<KnownEvent>> known_events() override { return read_known(); }
    void stop() override
    {
        if (std::exchange(stopped_, true)) return;
        close(std::exchange(inbox_, {}));
    }

    /// @param early  the interval of a batch may be over, whatever the clock says; that of a retry never is
    bool work(bool early)
    {
        const bool holds_off = failing();
        const bool late = busy() && (wait_time() == Duration{0} || (early && !holds_off));
        if (stopped_ || (inbox_.empty() && !late && (holds_off || !busy()))) return false;
        turn(std::exchange(inbox_, {}), late);
        return true;
    }

private:
    bool put(Item& item) override
    {
        if (stopped_) return false;
        inbox_.push_back(std::move(item));
        return true;
    }

    const Wires& wires_;
    std::deque<Item> inbox_;
    bool stopped_ = false;
};

/// Alarms that ring when the world lets them.
class SimWaits final : public Waits {
public:
    /// @param go_on  one step of everything else; false: the machine is off
    SimWaits(const Clock& clock, std::function<bool()> go_on) : clock_(clock), go_on_(std::move(go_on)) {}

    std::unique_ptr<Alarm> alarm(boost::asio::io_context& io) override { return std::make_unique<SimAlarm>(*this, io); }
    bool until(const std::function<bool(Duration)>& ready, Duration patience) override
    {
        const SteadyTime end = clock_.steady() + patience;
        while (!ready(Duration{0}))
            if (clock_.steady() >= end || !go_on_()) return false;
        return true;
    }

    struct Armed {
        boost::asio::io_context* io;
        std::function<void()> ring;
    };
    [[nodiscard]] std::optional<SteadyTime> next() const
    {
        if (armed_.empty()) return std::nullopt;
        return armed_.begin()->first.first;
    }
    /// One of those that are due, taken out. @param draw  says which
    std::optional<Armed> take_due(std::uint64_t draw)
    {
        const auto end = armed_.upper_bound({clock_.steady(), UINT64_MAX});
        const auto due = static_cast<std::uint64_t>(std::distance(armed_.begin(), end));
        if (due == 0) return std::nullopt;
        const auto at = std::next(armed_.begin(), static_cast<std::ptrdiff_t>(draw % due));
        Armed taken = std::move(at->second);
        armed_.erase(at);
        return taken;
    }
    /// What is armed keeps alive what armed it.
    void clear() { std::exchange(armed_, {}).clear(); }

private:
    using Place = std::pair<SteadyTime, std::uint64_t>;

    class SimAlarm final : public Alarm {
    public:
        SimAlarm(SimWaits& waits, boost::asio::io_context& io) : waits_(waits), io_(io), number_(waits.made_++) {}
        ~SimAlarm() override { cancel(); }
        void set(Duration wait, std::function<void()> ring) override
        {
            cancel();
            at_ = waits_.clock_.steady() + wait;
            waits_.armed_[{at_, number_}] = {&io_, std::move(ring)};
        }
        void cancel() override { waits_.armed_.erase({at_, number_}); }

    private:
        SimWaits& waits_;
        boost::asio::io_context& io_;
        const std::uint64_t number_;
        SteadyTime at_{};
    };

    const Clock& clock_;
    std::function<bool()> go_on_;
    std::uint64_t made_ = 0;
    std::map<Place, Armed> armed_;
};

}  // namespace eventyard::sim
