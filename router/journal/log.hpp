// router/journal/log.hpp — the journal without threads: recovery, commits, chores, reads.
//
// journal.cpp runs the parts on three threads (commit: writer; chores, release, rewrite: keeper;
// reads: reader); tests and the simulator call them from one.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "router/journal/appender.hpp"
#include "router/journal/journal.hpp"
#include "router/journal/keeper.hpp"
#include "router/journal/reader.hpp"

namespace eventyard::router {

class Log {
public:
    /// Locks the directory, recovers, and opens a new segment. See Journal::open.
    static Result<std::unique_ptr<Log>> open(Disk& disk, const Clock& clock, Random& random,
                                             JournalOptions options, JournalMarks marks);

    [[nodiscard]] const RecoveryReport& recovery() const noexcept { return report_; }
    [[nodiscard]] Appender& appender() noexcept { return *appender_; }
    [[nodiscard]] Reader& reader() noexcept { return *reader_; }
    [[nodiscard]] Keeper& keeper() noexcept { return *keeper_; }
    [[nodiscard]] Versions& versions() noexcept { return *versions_; }
    [[nodiscard]] SegmentSet& segments() noexcept { return segments_; }
    [[nodiscard]] const SegmentSet& segments() const noexcept { return segments_; }
    [[nodiscard]] Spares& spares() noexcept { return *spares_; }

    /// Commits units with one write, and one sync if any of them asks for it: ready, number, write.
    Result<void> commit(const std::vector<CommitUnit>& units);

    /// Nothing stands up to here that recovery has not decided about. Until a commit declares the hole behind it, nobody's
    /// position may pass it: a later start may keep more of what was never answered.
    [[nodiscard]] Sequence decided() const noexcept { return decided_; }

    /// Bytes that may still be taken before min_free is reached; 0: ingest has to stop.
    [[nodiscard]] std::uint64_t room();
    /// Keeper: seals what was closed and prepares what comes next.
    void chores(std::uint64_t room);
    /// See Keeper::clear_spares().
    Result<void> clear_spares();
    /// Called by the appender's thread when there are chores.
    void on_chores(std::function<void()> wake) { wake_ = std::move(wake); }

private:
    Log(Disk& disk, JournalOptions options);
    Result<void> start(const Clock& clock, Random& random, const JournalMarks& marks);

    Disk& disk_;
    JournalOptions options_;
    std::shared_ptr<void> lock_;
    SegmentSet segments_;
    std::unique_ptr<Versions> versions_;
    std::unique_ptr<Spares> spares_;
    std::unique_ptr<Appender> appender_;
    std::unique_ptr<Reader> reader_;
    std::unique_ptr<Keeper> keeper_;
    RecoveryReport report_;
    Sequence decided_ = 0;
    std::function<void()> wake_;
    std::mutex closed_mutex_;
    struct Closed {
        SegmentPtr segment;
        bool failed = false;
        bool again = false;  // tried before
    };
    std::vector<Closed> closed_;  // to be sealed
};

}  // namespace eventyard::router
