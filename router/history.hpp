// router/history.hpp — a bus's events of the past, in order: from its archive, then from the journal.
//
// What is archived comes from the archive, and what is not yet from the journal, so each event comes
// once. A segment that is archived while it is read may have been released: the journal's answer
// counts only when the archive had not moved meanwhile. One thread; blocks.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "router/archive_desk.hpp"

namespace eventyard::router {

class History {
public:
    /// The references outlive this.
    /// @param after  exclusive
    History(Disk& disk, Journal& journal, const ArchiveDesk& archives, std::string bus, Sequence after, Sequence through)
        : disk_(disk), journal_(journal), archives_(archives), bus_(std::move(bus)), at_(after), through_(through)
    {
    }

    /// Reads on when nothing is left of what was read. False: there are no more events.
    Result<bool> fill();
    /// The next event; null when fill() has to be called.
    [[nodiscard]] const ArchivedEvent* front() const noexcept { return events_.empty() ? nullptr : &events_.front(); }
    void pop() { events_.pop_front(); }
    /// Events up to here that could not be read, since the last call.
    [[nodiscard]] std::uint64_t take_unreadable(Sequence through);
    /// Everything up to here was read.
    [[nodiscard]] Sequence read_through() const noexcept { return at_; }

private:
    Result<void> read_archive(Sequence archived);
    Result<void> read_journal(Sequence archived);

    Disk& disk_;
    Journal& journal_;
    const ArchiveDesk& archives_;
    const std::string bus_;
    Sequence at_;
    const Sequence through_;
    std::deque<ArchivedEvent> events_;
    std::deque<std::pair<Sequence, std::uint64_t>> unreadable_;  // (the last of them, how many), ascending
};

}  // namespace eventyard::router
