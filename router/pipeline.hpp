// router/pipeline.hpp — journal, state, lanes and segment release, in the order in which they need
// one another. No sockets, and no thread of its own: router.cpp adds both; tests/sim opens the same
// over a journal and a state whose threads are its own turns.
//
// open(), start(), then prepare() and commit() or abandon() for each reload, stop_lanes(), stop_state().
// These come from one thread at a time. What the control thread does is said so.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/disk.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "router/delivery/alarm.hpp"
#include "router/delivery/engine.hpp"
#include "router/io_threads.hpp"
#include "router/journal/journal.hpp"
#include "router/routed_counter.hpp"
#include "router/segment_release.hpp"
#include "router/state/state.hpp"

namespace eventyard::router {

class Pipeline {
public:
    /// The references outlive the pipeline.
    struct Place {
        Disk& disk;
        const Clock& clock;
        Random& random;
        IoThreads& io;
        Waits& waits;
        /// Posts to the control thread, in order.
        std::function<void(std::function<void()>)> control;
    };
    struct Options {
        std::string data_dir;
        JournalOptions journal;  // but its directory
        EngineOptions engine;
        ReleaseOptions release;
        /// Says of events that the journal has whether they may come again; empty: all may.
        std::function<std::optional<Uniqueness>(const StoredEvent&)> once;
        Duration once_longest{0};  // its longest window
    };
    struct Makers {
        std::function<Result<std::unique_ptr<State>>(StateOptions)> state;
        std::function<Result<std::unique_ptr<Journal>>(JournalOptions, JournalMarks)> journal;
    };
    /// The real ones, with threads of their own.
    static Makers threaded(Place& place);

    explicit Pipeline(Place place) : place_(std::move(place)) {}

    /// Locks the directory, recovers state and journal and lets each know of the other.
    Result<void> open(Options options, const Makers& make);
    /// Every target gets its lane; from here on what is committed is delivered.
    Result<void> start(const std::vector<TargetSpec>& specs);

    /// First half of a reload: stores the routing version and gives new targets a durable cursor. On
    /// failure nothing has changed. Blocks; a state that cannot write fails it in the end.
    Result<RoutingVersionPtr> prepare(const std::vector<TargetSpec>& specs, const RoutingVersion& version);
    void commit() { engine_->commit(); }
    void abandon() { engine_->abandon(); }

    /// Control thread: runs `mark` between two commits. Lanes meet what it posts to them (Engine::status()) behind the
    /// same commits, and until this thread goes on to other work the totals are of just those: one cut through
    /// everything that is counted.
    void between_commits(const std::function<void()>& mark);
    /// Control thread, at intervals: what commits promised and how far the journal is on disk.
    void hand_over_totals();
    /// Control thread, at intervals, after the totals: what is let go has been counted.
    void release_segments(const std::vector<SequenceRange>& kept = {}) { release_->tick(kept); }
    /// See SegmentRelease.
    [[nodiscard]] bool hold_segments() { return release_->hold(); }
    void let_segments_go() { release_->let_go(); }

    /// Lets attempts in flight end, and what settled become durable; then stops the journal.
    void stop_lanes(Duration grace);
    /// Ends the state. The control thread stands still.
    void stop_state();

    [[nodiscard]] Journal& journal() const noexcept { return *journal_; }
    [[nodiscard]] State& state() const noexcept { return *state_; }
    [[nodiscard]] Engine& engine() const noexcept { return *engine_; }

private:
    Result<void> recount();
    KeysKnown recall(Sequence counted, Sequence last);

    Place place_;
    Options options_;
    std::shared_ptr<void> lock_;  // of the data directory, against a second process
    std::unique_ptr<State> state_;
    std::unique_ptr<Journal> journal_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<SegmentRelease> release_;
    std::vector<CommitBatchPtr> told_;  // what the control thread has not counted yet; see Journal::between_commits()
    // Control thread only.
    RoutedCounter routed_;
    KeysKnown keys_;
    Sequence synced_told_ = 0;
};

}  // namespace eventyard::router
