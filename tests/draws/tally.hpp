// tests/draws/tally.hpp — what was drawn and how it came out, so that a run can show it left nothing out.
#pragma once

#include <array>
#include <string>

#include "tests/draws/events.hpp"

namespace eventyard::draws {

struct Outcomes {
    std::uint64_t matched = 0;
    std::uint64_t failed = 0;
    void add(bool match) noexcept { ++(match ? matched : failed); }
};

class Tally {
public:
    std::uint64_t sets = 0;
    std::uint64_t events = 0;
    Outcomes pairs;  // every rule with every event
    Outcomes aimed;  // the rules an event was made for

    /// Counts the answer for a rule the event was made for.
    void add(const Aim& aim, const Tree& pattern, const Spelling& event, bool match);
    [[nodiscard]] std::string table() const;
    /// The lowest count in the table, and whose it is. Of fields by form in any setting, and of
    /// each setting; with `each`, also of each form in each setting.
    [[nodiscard]] std::uint64_t lowest(bool each, std::string& whose) const;
    /// The forms with fewer than `limit` of either answer in that setting.
    [[nodiscard]] std::vector<Form> lacking(Setting setting, std::uint64_t limit) const;

private:
    std::array<Outcomes, form_count> forms_{};
    std::array<Outcomes, setting_count> settings_{};
    std::array<std::array<Outcomes, setting_count>, form_count> both_{};
};

}  // namespace eventyard::draws
