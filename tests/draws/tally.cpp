#include "tests/draws/tally.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace eventyard::draws {
namespace {

bool has_or(const Tree& pattern)
{
    for (const Tree& member : pattern.items)
        if (member.key == "$or" || (member.is(Tree::Kind::object) && has_or(member))) return true;
    return false;
}

constexpr const char* names[] = {"flat", "in an array", "two arrays deep", "with $or", "dotted keys", "repeated keys", "object and array"};
static_assert(std::size(names) == setting_count);

}  // namespace

const char* setting_name(Setting setting) noexcept { return names[static_cast<std::size_t>(setting)]; }

void Tally::add(const Aim& aim, const Tree& pattern, const Spelling& event, bool match)
{
    aimed.add(match);
    const bool either = has_or(pattern);
    std::array<bool, setting_count> seen{};
    for (const Aim::Field& field : aim.fields) {
        std::array<bool, setting_count> here{};
        here[0] = field.arrays == 0 && !either && !event.dotted && !event.repeated;
        here[1] = field.arrays == 1;
        here[2] = field.arrays >= 2;
        here[3] = either;
        here[4] = event.dotted;
        here[5] = event.repeated;
        here[6] = event.mixed;
        const auto form = static_cast<std::size_t>(field.form);
        forms_[form].add(match);
        for (std::size_t i = 0; i < setting_count; ++i) {
            if (!here[i]) continue;
            both_[form][i].add(match);
            if (!seen[i]) settings_[i].add(match);
            seen[i] = true;
        }
    }
}

std::uint64_t Tally::lowest(bool each, std::string& whose) const
{
    std::uint64_t least = UINT64_MAX;
    const auto look = [&](const Outcomes& outcomes, const std::string& name) {
        const std::uint64_t lower = std::min(outcomes.matched, outcomes.failed);
        if (lower >= least) return;
        least = lower;
        whose = name + (lower == outcomes.matched ? ", matched" : ", failed");
    };
    for (std::size_t i = 0; i < form_count; ++i) look(forms_[i], form_name(static_cast<Form>(i)));
    for (std::size_t i = 0; i < setting_count; ++i) look(settings_[i], names[i]);
    for (std::size_t i = 0; each && i < form_count; ++i)
        for (std::size_t j = 0; j < setting_count; ++j)
            look(both_[i][j], std::string(form_name(static_cast<Form>(i))) + ", " + names[j]);
    return least;
}

std::vector<Form> Tally::lacking(Setting setting, std::uint64_t limit) const
{
    std::vector<Form> out;
    for (std::size_t i = 0; i < form_count; ++i) {
        const Outcomes& outcomes = both_[i][static_cast<std::size_t>(setting)];
        if (std::min(outcomes.matched, outcomes.failed) < limit) out.push_back(static_cast<Form>(i));
    }
    return out;
}

std::string Tally::table() const
{
    std::string out = fmt::format("{} rule sets, {} events, {} pairs of a rule and an event ({} match)\n", sets, events,
                                  pairs.matched + pairs.failed, pairs.matched);
    const std::uint64_t all = aimed.matched + aimed.failed;
    out += fmt::format("{} pairs aimed, {:.1f} % match; of these, matched/failed by the item aimed at:\n", all,
                       100.0 * static_cast<double>(aimed.matched) / static_cast<double>(std::max<std::uint64_t>(all, 1)));
    const auto cell = [](const Outcomes& o) { return fmt::format("{}/{}", o.matched, o.failed); };
    out += fmt::format("{:27}{:>17}", "", "any setting");
    for (const char* name : names) out += fmt::format("{:>17}", name);
    out += fmt::format("\n{:27}{:>17}", "any item", cell(aimed));
    for (const Outcomes& setting : settings_) out += fmt::format("{:>17}", cell(setting));
    for (std::size_t i = 0; i < form_count; ++i) {
        out += fmt::format("\n{:27}{:>17}", form_name(static_cast<Form>(i)), cell(forms_[i]));
        for (const Outcomes& outcomes : both_[i]) out += fmt::format("{:>17}", cell(outcomes));
    }
    return out + "\n";
}

}  // namespace eventyard::draws
