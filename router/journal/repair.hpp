// router/journal/repair.hpp — makes a damaged journal one that a start takes as it is.
//
// What a start does with a segment that was not sealed is done with every segment that a whole reading
// finds damaged: what is readable stays where it is by sequence, what is not is declared with the names
// of its deliveries, so that the ledger counts them as damaged. Originals stay aside. Blocks; the caller
// holds the data directory's lock.
#pragma once

#include <string>
#include <vector>

#include "core/time.hpp"
#include "router/journal/check.hpp"

namespace eventyard::router {

struct Repair {
    JournalCheck before, after;
    std::vector<std::string> originals;  // whole files as they were, in quarantine/
    RecoveryReport report;
    [[nodiscard]] bool changed() const noexcept { return !before.good(); }
};

/// Changes nothing when nothing is wrong. Errc::unsupported: a segment of a newer format; io: one that
/// the disk does not give, and a repair would take for lost.
Result<Repair> repair_journal(Disk& disk, Random& random, const std::string& directory, const JournalMarks& marks);

}  // namespace eventyard::router
