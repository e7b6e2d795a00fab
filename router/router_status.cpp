// How a running router is: the status, of one cut.
#include <unistd.h>

#include <fstream>

#include "router/router_parts.hpp"

namespace eventyard::router {
namespace {

namespace asio = boost::asio;

std::uint64_t resident_bytes()
{
    std::ifstream statm("/proc/self/statm");
    std::uint64_t size = 0, resident = 0;
    statm >> size >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

const char* text_of(Durability durability)
{
    switch (durability) {
        case Durability::fsync: return "fsync";
        case Durability::os: return "os";
        case Durability::memory: break;
    }
    return "memory";
}

const char* text_of(Unmatched unmatched)
{
    switch (unmatched) {
        case Unmatched::drop: return "drop";
        case Unmatched::store: return "store";
        case Unmatched::refuse: break;
    }
    return "refuse";
}

}  // namespace

// --- admin::Backend --------------------------------------------------------------------------
/// Of one cut: lanes, what they have had end, and what was routed, all behind the same commit.
void RouterParts::status(std::function<void(admin::StatusReport)> done)
{
    struct Cut {  // control thread
        std::optional<std::vector<TargetStatus>> targets;
        std::optional<std::vector<LedgerRow>> routed;
        std::vector<EventTotals> events;
        std::function<void(admin::StatusReport)> done;
        bool in_turn = true;
    };
    const auto cut = std::make_shared<Cut>();
    cut->done = std::move(done);
    const auto whole = [this, cut] {
        if (!cut->targets || !cut->routed) return;
        if (cut->in_turn) turns_.end();
        admin::StatusReport report = look();
        report.ledger = admin::with_replays(admin::ledger_at_cut(std::move(*cut->routed), *cut->targets));
        report.targets = std::move(*cut->targets);
        report.events = std::move(cut->events);
        cut->done(std::move(report));
    };
    const auto begin = [this, cut, whole] {
        line_.between_commits([&] {
            line_.engine().status([this, cut, whole](std::vector<TargetStatus> targets) {
                asio::post(control_, [cut, whole, targets = std::move(targets)]() mutable {
                    cut->targets = std::move(targets);
                    whole();
                });
            });
        });
        line_.hand_over_totals();
        hand_over_received();
        // The state applies what was submitted before it reads.
        line_.state().ledger([this, cut, whole](Result<std::vector<LedgerRow>> rows, std::vector<EventTotals> events) {
            asio::post(control_, [cut, whole, rows = std::move(rows), events = std::move(events)]() mutable {
                cut->routed.emplace();
                if (rows.has_value()) cut->routed = std::move(*rows);
                cut->events = std::move(events);
                whole();
            });
        });
    };
    cut->in_turn = !line_.state().stats().failing;  // or a move that waits for a disk would keep people from seeing why
    if (cut->in_turn) turns_.take(begin);
    else begin();
}

std::vector<std::string> RouterParts::not_ready() const
{
    std::vector<std::string> reasons;
    if (!ready_) reasons.emplace_back("starting or stopping");
    if (!line_.journal().stats().accepting)
        reasons.emplace_back("the journal accepts nothing: too little free space, or a failing disk");
    if (line_.state().stats().failing || line_.state().stats().damaged) reasons.emplace_back(why_failing(line_.state().stats()));
    return reasons;
}

/// Everything that needs no other thread.
admin::StatusReport RouterParts::look() const
{
    const RouteTablePtr table = table_.get();
    admin::StatusReport report;
    report.version = EVENTYARD_VERSION;
    report.started = started_;
    report.now = clock_.wall();
    report.not_ready = not_ready();
    report.generation = table->generation;
    report.rules = table->rules.size();
    report.loaded = table->loaded;
    report.resident_bytes = resident_bytes();
    auto matching = ingest_->match_totals();
    for (const auto& [name, bus] : table->buses)
        report.buses.push_back({name, bus.rules.size(), text_of(bus.durability), text_of(bus.unmatched),
                                bus.rules.figures(), bus.rules_built, std::move(matching[name])});
    {
        const std::lock_guard lock{mutex_};
        report.reloads = reloads_;
        report.reloads_failed = reloads_failed_;
        report.has_last_reload = reloads_ > 0;
        report.last_reload = last_reload_;
        report.last_reload_at = last_reload_at_;
    }
    const IngestTotals totals = ingest_->totals();
    report.ingest.requests.assign(totals.requests.begin(), totals.requests.end());
    report.ingest.body_bytes = totals.body_bytes;
    report.ingest.connections = totals.connections_open;
    report.ingest.connections_total = totals.connections_accepted;
    report.ingest.connections_refused = totals.connections_refused;
    report.ingest.buffered_bytes = totals.buffered_bytes;
    const Journal::Stats& journal = line_.journal().stats();
    report.journal = {line_.journal().last(), line_.journal().synced(), line_.journal().oldest(), journal.commits, journal.events,
                      journal.event_bytes, journal.written_bytes, journal.failed_commits,
                      journal.uncertain_events, journal.refused_no_space,
                      static_cast<double>(journal.sync_nanoseconds) * 1e-9, journal.queued_bytes,
                      journal.segments, journal.disk_bytes, journal.lane_reads, journal.read_bytes,
                      journal.known_keys, journal.keys_forgotten_early, journal.accepting, line_.journal().recovery()};
    const State::Stats& state = line_.state().stats();
    report.archives = archives_->status();
    report.state = {state.batches, state.changes, state.queued, state.wal_bytes, state.settled_unsynced,
                    state.failing, state.damaged, line_.state().report()};
    return report;
}

}  // namespace eventyard::router
