// Mistakes put in on purpose, by messages altered and files changed: the production code has no switch for them.
#include "router/journal/scan.hpp"
#include "tests/sim/world.hpp"

namespace eventyard::sim {

using namespace std::chrono_literals;

void World::plant()
{
    disk_.renamed = [this](const std::string& from, const std::string& to) { recycled(from, to); };
    switch (options_.plant) {
        case Plant::none:
        case Plant::key_unsynced:                            // ingest()
        case Plant::erase_unsynced: break;                   // erase_event()
        case Plant::stale_frame:                             // revive_frames()
            disk_.free = limits_.journal.segment_size / 2;
            limits_.journal.spare_segments = 3;
            break;
        case Plant::sync_skipped: disk_.skip_sync_below = data_dir + "/journal"; break;
        case Plant::sequence_reused: wires_.no_reservations = true; break;
        case Plant::released_unsynced: disk_.skip_sync_below = data_dir + "/state.db"; break;
        case Plant::sync_retried: disk_.retry_failed_sync = true; break;
        case Plant::new_cursor_at_end: wires_.instead = [this](auto& state, auto& changes, auto& durable) {
                return hold_new_cursors(state, changes, durable);
            }; break;
        case Plant::cursor_early: wires_.instead = [this](auto& state, auto& changes, auto& durable) {
                return send_cursors_first(state, changes, durable);
            }; break;
        case Plant::retry_dropped: wires_.instead = [this](auto&, auto& changes, auto&) {
                std::erase_if(changes, [this](const Change& change) {
                    return drop_retries_ > 0 && std::holds_alternative<Retrying>(change) && drop_retries_-- > 0;
                });
                return false;
            }; break;
        case Plant::key_overtaken: wires_.instead = [](auto&, auto& changes, auto&) {
                for (Change& change : changes)
                    if (auto* one = std::get_if<Retrying>(&change); one && !one->row.held()) one->row.order_key.clear();
                return false;
            }; break;
        case Plant::input_of_new_table: wires_.reread = [this](const auto& event) { return with_new_inputs(event); }; break;
    }
}

/// What a router would remember that stores an event's key when it takes the event in.
void World::store_keys_early(const CommitUnit& unit)
{
    KeysKnown keys;
    Sequence sequence = life_->journal->last();
    for (const auto& event : unit.events)
        if (++sequence; event->once)
            keys.added.push_back({event->event.bus, event->once->key, event->event.id, sequence, event->event.received, event->once->until});
    if (!keys.added.empty()) life_->state->pass_on({std::move(keys)}, nullptr);
}

/// Positions go to the state ahead of what they vouch for.
bool World::send_cursors_first(State& state, std::vector<Change>& changes, std::function<void(Result<void>)>& durable)
{
    std::vector<Change> cursors, rest;
    for (Change& change : changes)
        (std::holds_alternative<CursorMoved>(change) ? cursors : rest).push_back(std::move(change));
    if (cursors.empty() || rest.empty()) {
        changes = cursors.empty() ? std::move(rest) : std::move(cursors);
        return false;
    }
    auto& real = static_cast<SimState&>(state);
    real.pass_on(std::move(cursors), [&real, rest, durable](const Result<void>& result) {
        if (result.has_value()) real.pass_on(rest, durable);
        else if (durable) durable(result);
    });
    return true;
}

/// A new target's cursor is stored later than the table takes effect, and says where the journal ends then.
bool World::hold_new_cursors(State& state, std::vector<Change>& changes, std::function<void(Result<void>)>& durable)
{
    if (changes.size() != 1 || !life_ || !life_->started) return false;
    const auto* known = std::get_if<TargetKnown>(&changes.front());
    if (!known) return false;
    (void)state;
    late_known_ = {clock_.steady() + 100ms, *known};
    if (durable) durable(Result<void>{});
    return true;
}

/// Segments that are used again, with the id of their former life.
void World::recycled(const std::string& from, const std::string& to)
{
    const auto name_of_path = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
    if (const auto was = parse_segment_name(name_of_path(from))) former_ids_[to] = was->second;
    else if (const auto spare = former_ids_.find(from); spare != former_ids_.end()) former_ids_[to] = spare->second;
    if (parse_segment_name(name_of_path(from)) && name_of_path(to).starts_with("spare-"))
        coverage_.count("journal: a segment was recycled");
}

/// What a journal would do that does not tell frames of a file's former life from those of this one.
void World::revive_frames()
{
    for (const std::string& path : disk_.paths()) {
        const auto name = parse_segment_name(path.substr(path.rfind('/') + 1));
        const auto former = former_ids_.find(path);
        if (!name || former == former_ids_.end()) continue;
        const auto file = disk_.open(path, OpenMode::read);
        const std::uint64_t size = disk_.size_of(path);
        const Scan live = scan_segment(**file, size, name->second);
        const Scan stale = scan_segment(**file, size, former->second);
        if (live.events.empty()) continue;
        Sequence sequence = live.events.back().sequence;
        const FrameSeed seed{name->second};
        for (const ScannedEvent& event : stale.events) {
            if (event.offset < live.end || !event.intact()) continue;
            const std::string content = disk_.content(path);
            const auto read = decode_event({content.data() + event.offset, static_cast<std::size_t>(event.size)},
                                           FrameSeed{former->second}.at(event.offset), event.sequence);
            if (!read.has_value()) continue;
            std::string bytes;
            FrameWriter{bytes, seed, event.offset}.event(++sequence, 0, 1, read->meta, read->body);
            disk_.patch(path, event.offset, bytes);
            coverage_.count("plant: a stale frame lives again");
        }
    }
}

/// What a router would send that takes a rule's input from the table that is in effect.
StoredEventPtr World::with_new_inputs(const StoredEventPtr& event)
{
    auto version = std::make_shared<RoutingVersion>();
    version->number = event->version->number;
    version->buses = event->version->buses;
    const RouteList& now = table_.version->routes;
    for (std::size_t i = 0; i < event->version->routes.size(); ++i) {
        Route route = event->version->routes.at(i);
        for (std::size_t j = 0; j < now.size(); ++j)
            if (now[j].rule == route.rule && now[j].target == route.target) route.input = now.at(j).input;
        version->routes.push_back(route);
    }
    auto changed = std::make_shared<StoredEvent>(*event);
    changed->version = std::move(version);
    return changed;
}

const char* name_of(Plant plant) noexcept
{
    switch (plant) {
        case Plant::none: break;
        case Plant::sync_skipped: return "sync_skipped";
        case Plant::stale_frame: return "stale_frame";
        case Plant::sequence_reused: return "sequence_reused";
        case Plant::released_unsynced: return "released_unsynced";
        case Plant::sync_retried: return "sync_retried";
        case Plant::new_cursor_at_end: return "new_cursor_at_end";
        case Plant::cursor_early: return "cursor_early";
        case Plant::retry_dropped: return "retry_dropped";
        case Plant::key_overtaken: return "key_overtaken";
        case Plant::erase_unsynced: return "erase_unsynced";
        case Plant::input_of_new_table: return "input_of_new_table";
        case Plant::key_unsynced: return "key_unsynced";
    }
    return "none";
}

std::optional<Plant> plant_of(const std::string& name)
{
    for (int i = 0; i <= static_cast<int>(Plant::key_unsynced); ++i)
        if (name == name_of(static_cast<Plant>(i))) return static_cast<Plant>(i);
    return std::nullopt;
}

}  // namespace eventyard::sim
