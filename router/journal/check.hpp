// router/journal/check.hpp — reads every byte of a journal's segments and tells what is wrong.
//
// A start trusts the footers of sealed segments; here every frame is held against its checksums, and
// the footer against the frames. Writes nothing but what Versions::open mends: give it an overlay to
// look at a directory without changing it. Blocks.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/disk.hpp"
#include "router/journal/journal.hpp"
#include "router/journal/judge.hpp"
#include "router/journal/versions.hpp"

namespace eventyard::router {

/// Synced once, unreadable now, and not declared so by an earlier recovery.
struct DamagedRange {
    Sequence first = 0, last = 0;
    std::uint64_t offset = 0, size = 0;                       // of the frame that is left; 0: none
    std::vector<std::pair<std::string, std::string>> routes;  // (rule, target); empty when unreadable
};

struct SegmentCheck {
    enum class Kind : std::uint8_t { sealed, open, unused, foreign, newer, unreadable };
    std::string name;
    std::uint64_t bytes = 0;
    Kind kind = Kind::open;
    std::uint64_t events = 0;        // intact
    Sequence first = 0, last = 0;    // accounted for; 0: nothing
    std::uint64_t declared = 0;      // sequences declared missing: dropped, damaged, torn, uncertain
    std::uint64_t torn_bytes = 0;    // above every sync mark: a start cuts them, nobody was answered
    std::uint64_t unversioned = 0;   // events whose routing version is lost
    std::vector<DamagedRange> damage;
    std::vector<std::string> troubles;  // of header, footer, file
    [[nodiscard]] bool good() const noexcept
    {
        return damage.empty() && troubles.empty() && unversioned == 0;
    }
};
[[nodiscard]] const char* text_of(SegmentCheck::Kind kind) noexcept;

struct JournalCheck {
    Id store;
    std::vector<SegmentCheck> segments;      // by name, so in order
    std::uint64_t spares = 0;
    std::uint64_t quarantined = 0;           // files set aside before
    std::vector<std::string> bad_versions;   // files of routing versions that were unreadable
    Sequence lost_first = 0, lost_last = 0;  // the state knows of them, no segment does
    [[nodiscard]] bool good() const noexcept
    {
        if (!bad_versions.empty() || lost_last != 0) return false;
        for (const SegmentCheck& segment : segments)
            if (!segment.good()) return false;
        return true;
    }
};

/// @param marks  what the state knows of this journal; all zero without one
Result<JournalCheck> check_journal(Disk& disk, const std::string& directory, const JournalMarks& marks);

/// One sealed segment, by its own footer. @param scan  of the whole file
[[nodiscard]] SegmentCheck check_sealed(File& file, std::uint64_t size, const std::string& name, const Scan& scan,
                                        const SegmentSummary& summary, Versions& versions);

}  // namespace eventyard::router
