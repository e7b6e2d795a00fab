// cli/journal.cpp — `eventyard journal check|repair`: the journal of a data directory that no daemon uses, read whole.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/overlay_disk.hpp"
#include "cli/table.hpp"
#include "config/load.hpp"
#include "core/log.hpp"
#include "core/units.hpp"
#include "router/journal/repair.hpp"
#include "router/state/inspect.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::ordered_json;
using router::DamagedRange;
using router::JournalCheck;
using router::SegmentCheck;
using router::Sequence;

struct Options {
    std::string data_dir, config;
    bool json = false;
};

/// Errc::conflict: a daemon uses it.
Result<std::shared_ptr<void>> take(Disk& disk, const std::string& data_dir)
{
    if (!std::filesystem::is_directory(data_dir + "/journal"))
        return fail(Errc::not_found, "'" + data_dir + "' holds no journal: no daemon has run here");
    auto lock = disk.lock(data_dir + "/lock");
    if (!lock.has_value() && lock.error().code == Errc::conflict)
        return fail(Errc::conflict, "a daemon uses '" + data_dir + "': stop it first");
    return lock;
}

/// What the state knows of the journal; nothing where it cannot be read, which a start says then.
router::JournalMarks marks_of(Disk& disk, const std::string& data_dir)
{
    router::JournalMarks marks;
    const std::string path = data_dir + "/state.db";
    if (!disk.exists(path)) return marks;
    const auto state = router::inspect_state(disk, path);
    if (!state.has_value()) {
        std::cerr << "eventyard: state.db cannot be asked what was synced: " << state.error().what << "\n";
        return marks;
    }
    return {state->store, state->reserved, state->synced, state->routed_through};
}

std::string sequences(Sequence first, Sequence last)
{
    if (last == 0) return "-";
    return first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
}

std::string text_of_damage(const DamagedRange& damage)
{
    std::string text = sequences(damage.first, damage.last) + ": ";
    text += damage.size > 0 ? fmt::format("fails its checksum, {} bytes at {}", damage.size, damage.offset) : "not there any more";
    if (!damage.routes.empty()) {
        text += "; for";
        for (const auto& [rule, target] : damage.routes) text += " " + rule + ">" + target;
    }
    return text;
}

void print(const JournalCheck& check)
{
    Table table({"SEGMENT", "STATE", "SEQUENCES", "EVENTS", "DECLARED MISSING", "DAMAGED", "SIZE", "WRONG"});
    std::uint64_t events = 0, damaged = 0;
    for (const SegmentCheck& one : check.segments) {
        std::uint64_t gone = 0;
        for (const DamagedRange& damage : one.damage) gone += damage.last - damage.first + 1;
        events += one.events;
        damaged += gone;
        std::string wrong;
        for (const std::string& trouble : one.troubles) wrong += (wrong.empty() ? "" : "; ") + trouble;
        if (one.unversioned > 0)
            wrong += (wrong.empty() ? "" : "; ") + counted(one.unversioned, "event") + " of a lost routing version";
        table.add({one.name.substr(0, 29), text_of(one.kind), sequences(one.first, one.last), grouped(one.events),
                   grouped(one.declared), gone == 0 ? "-" : grouped(gone), format_size(one.bytes), wrong.empty() ? "-" : wrong});
    }
    if (!table.empty()) std::cout << table.text() << "\n";
    for (const SegmentCheck& one : check.segments)
        for (const DamagedRange& damage : one.damage) std::cout << "damaged " << text_of_damage(damage) << "\n";
    for (const SegmentCheck& one : check.segments)
        if (one.torn_bytes > 0)
            std::cout << one.name.substr(0, 29) << ": " << format_size(one.torn_bytes)
                      << " torn above every sync mark; nobody was answered, a start cuts them\n";
    for (const std::string& path : check.bad_versions) std::cout << "unreadable: " << path << "\n";
    if (check.lost_last > 0)
        std::cout << "lost " << sequences(check.lost_first, check.lost_last) << ": state.db knows that they were synced, no segment holds them\n";
    std::cout << counted(check.segments.size(), "segment") << " of store " << check.store.text() << ", "
              << counted(events, "event") << ", " << counted(check.spares, "spare") << ", "
              << counted(check.quarantined, "file") << " in quarantine\n"
              << (check.good() ? "good: every frame and footer is what it was\n"
                               : "NOT GOOD: " + counted(damaged, "event") + " damaged; see above\n");
}

ordered_json json_of(const JournalCheck& check)
{
    ordered_json segments = ordered_json::array();
    for (const SegmentCheck& one : check.segments) {
        ordered_json damage = ordered_json::array();
        for (const DamagedRange& range : one.damage) {
            ordered_json routes = ordered_json::array();
            for (const auto& [rule, target] : range.routes) routes.push_back({{"rule", rule}, {"target", target}});
            damage.push_back({{"first", range.first}, {"last", range.last}, {"offset", range.offset},
                              {"size", range.size}, {"deliveries", std::move(routes)}});
        }
        segments.push_back({{"name", one.name}, {"state", text_of(one.kind)}, {"good", one.good()}, {"bytes", one.bytes},
                            {"first", one.first}, {"last", one.last}, {"events", one.events}, {"declared_missing", one.declared},
                            {"torn_bytes", one.torn_bytes}, {"without_routing_version", one.unversioned},
                            {"damaged", std::move(damage)}, {"troubles", one.troubles}});
    }
    return {{"good", check.good()}, {"store", check.store.text()}, {"segments", std::move(segments)},
            {"spares", check.spares}, {"quarantined", check.quarantined}, {"unreadable_versions", check.bad_versions},
            {"lost_first", check.lost_first}, {"lost_last", check.lost_last}};
}

Result<bool> check(const Options& options)
{
    PosixDisk disk;
    EVENTYARD_TRY(lock, take(disk, options.data_dir));
    OverlayDisk overlay{disk};
    EVENTYARD_TRY(found, router::check_journal(overlay, options.data_dir + "/journal", marks_of(disk, options.data_dir)));
    if (options.json)
        std::cout << json_of(found).dump(2) << "\n";
    else
        print(found);
    return found.good();
}

Result<bool> repair(const Options& options)
{
    PosixDisk disk;
    SystemRandom random;
    EVENTYARD_TRY(lock, take(disk, options.data_dir));
    EVENTYARD_TRY(done, router::repair_journal(disk, random, options.data_dir + "/journal", marks_of(disk, options.data_dir)));
    // What is lost for good is told, and the next start accounts for it: nothing is left to repair.
    JournalCheck left = done.after;
    left.lost_first = left.lost_last = 0;
    if (options.json) {
        std::cout << ordered_json{{"changed", done.changed()}, {"originals", done.originals}, {"before", json_of(done.before)},
                                  {"after", json_of(done.after)}}.dump(2)
                  << "\n";
        return left.good();
    }
    if (!done.changed()) {
        std::cout << "nothing to repair\n";
        return true;
    }
    std::cout << "found:\n\n";
    print(done.before);
    std::cout << "\nleft:\n\n";
    print(done.after);
    for (const std::string& path : done.originals) std::cout << "as it was: " << path << "\n";
    return left.good();
}

int run(Result<bool> (*verb)(const Options&), Options options)
{
    if (options.config.empty() == options.data_dir.empty()) {
        std::cerr << "eventyard journal: give a data directory or --config, one of them\n";
        return 2;
    }
    log::configure(log::Format::text, log::Level::error);
    if (!options.config.empty()) {
        Report report;
        const auto table = config::load(options.config, report);
        std::cerr << report.text();
        if (!table) return 2;
        options.data_dir = table->process.data_dir;
    }
    const auto good = verb(options);
    if (good.has_value()) return *good ? 0 : 1;
    std::cerr << "eventyard: " << good.error().what << "\n";
    return 2;
}

}  // namespace

std::function<int()> setup_journal(CLI::App& app)
{
    app.require_subcommand(1);
    auto chosen = std::make_shared<std::function<int()>>();
    const auto add = [&](const char* name, const char* summary, Result<bool> (*verb)(const Options&)) {
        auto options = std::make_shared<Options>();
        CLI::App* sub = app.add_subcommand(name, summary);
        sub->add_option("data_dir", options->data_dir, "the data directory, which no daemon uses")->type_name("DIR");
        sub->add_option("--config,-c", options->config, "take the data_dir of this configuration")->type_name("FILE");
        sub->add_flag("--json", options->json, "one JSON object instead of a table");
        sub->callback([chosen, verb, options] { *chosen = [verb, options] { return run(verb, *options); }; });
    };
    add("check", "read every frame and footer, without changing anything", check);
    add("repair", "keep what is readable, declare the rest damaged, keep the originals aside", repair);
    app.footer("Exit code: 0 when all is good (after a repair: again), 1 when something is damaged, 2 when the journal could not be read.");
    return [chosen] { return (*chosen)(); };
}

}  // namespace eventyard::cli
