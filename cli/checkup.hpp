// cli/checkup.hpp — what `eventyard doctor` looks at: a data directory and the place it lies in.
//
// Nothing of a daemon is changed; what is measured is measured with a file of the doctor's own, which
// is gone at the end. While a daemon uses the directory its journal and state are left alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/disk.hpp"
#include "core/time.hpp"

namespace eventyard::cli {

struct CheckupPlace {
    std::string data_dir;
    std::uint64_t min_free = 0;       // journal.min_free; 0: the default
    std::uint64_t files_wanted = 0;   // connections and attempts the configuration allows; 0: unknown
};

struct CheckupItem {
    enum class Mark : unsigned char { good, note, warning, bad };
    std::string name;                 // of a fixed list, for programs too
    Mark mark = Mark::good;
    std::string found;
    std::string advice;               // empty when there is nothing to do
};
[[nodiscard]] const char* text_of(CheckupItem::Mark mark) noexcept;

struct Checkup {
    std::vector<CheckupItem> items;
    [[nodiscard]] bool good() const noexcept;  // neither a warning nor anything bad
};

/// Blocks.
[[nodiscard]] Checkup check_up(Disk& disk, const Clock& clock, const CheckupPlace& place);

}  // namespace eventyard::cli
