#include "router/replay_desk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <future>

#include "core/log.hpp"
#include "core/report.hpp"
#include "router/replay_name.hpp"

namespace eventyard::router {
namespace {

constexpr std::size_t batch_max = 256;                       // events of one commit
constexpr std::size_t batch_bytes_max = 4U << 20;
constexpr std::size_t look_max = 4096;                       // events looked at in one step
constexpr std::chrono::seconds retry_interval{1};
constexpr double burst_seconds = 0.25;
constexpr std::uint64_t job_size_max = 64U << 20;
const std::string queued = "waits for the end of replay ";
constexpr json::Limits any_depth{10'001};                    // the most that limits.depth can be, and an envelope

/// @param earliest  zero: there is nothing to take in
void widen(ReplayJob& job, WallTime earliest, WallTime latest)
{
    if (earliest == WallTime{}) return;
    job.earliest = job.earliest == WallTime{} ? earliest : std::min(job.earliest, earliest);
    job.latest = std::max(job.latest, latest);
}

}  // namespace

struct ReplayDesk::Run {
    Run(History of, SteadyTime now) : history(std::move(of)), filled(now) {}

    History history;
    SteadyTime filled;                 // tokens are of then
    double tokens = 0;
    std::uint64_t generation = 0;      // of the table that follows
    RoutingVersionPtr version;         // null: a dry run
    std::vector<std::int64_t> mapped;  // by route of the table: route of the version; -1: not replayed
    std::vector<std::shared_ptr<StoredEvent>> batch;
    std::vector<std::pair<std::string, std::string>> names;  // by route of the version: (rule, target)
    std::map<std::pair<std::string, std::string>, std::uint64_t> counts;  // of the batch
    std::uint64_t deliveries = 0, events = 0, read = 0, unreadable = 0;
    WallTime earliest{}, latest{};
    std::size_t bytes = 0;
    Sequence looked = 0;               // up to here everything is in the batch, or not replayed
    json::Document document;
    std::vector<std::uint32_t> rules;

    void clear_batch()
    {
        batch.clear();
        counts.clear();
        deliveries = events = read = unreadable = 0;
        earliest = latest = {};
        bytes = 0;
    }
};

ReplayDesk::ReplayDesk(Disk& disk, const Clock& clock, Random& random, Journal& journal, const ArchiveDesk& archives,
                       std::string data_dir)
    : disk_(disk), clock_(clock), random_(random), journal_(journal), archives_(archives),
      directory_(std::move(data_dir) + "/replays")
{
}

ReplayDesk::~ReplayDesk() = default;

std::string ReplayDesk::path(std::int64_t id) const { return directory_ + '/' + std::to_string(id) + ".json"; }

Result<void> ReplayDesk::start()
{
    if (!disk_.exists(directory_)) return {};
    EVENTYARD_TRY(names, disk_.list(directory_));
    const std::lock_guard lock{mutex_};
    for (const std::string& name : names) {
        std::int64_t id = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
        if (error != std::errc{} || std::string_view{end} != ".json") continue;
        last_id_ = std::max(last_id_, id);
        const auto text = read_file(disk_, path(id), job_size_max);
        auto job = text.has_value() ? decode_replay(*text) : Result<ReplayJob>{text.error()};
        if (!job.has_value()) {
            log::error("replay", "a replay cannot be read and does not go on", {{"file", path(id)}, {"error", job.error().what}});
            continue;
        }
        if (job->next != 0) marks_[id] = job->mark;
        jobs_.emplace(id, std::move(*job));
    }
    return {};
}

Result<ReplayJob> ReplayDesk::replay(const RouteTable& table, ReplayRequest request, const Act& act)
{
    const auto bus = table.buses.find(request.bus);
    if (bus == table.buses.end()) return fail(Errc::not_found, "no bus '" + request.bus + "'");
    const auto rule = std::find_if(table.rules.begin(), table.rules.end(), [&](const Rule& one) {
        return one.name == request.rule && *one.bus == request.bus && one.enabled;
    });
    if (!request.rule.empty() && rule == table.rules.end())
        return fail(Errc::not_found, "the bus '" + request.bus + "' has no rule '" + request.rule + "' that is enabled");
    if (!request.target.empty() && !table.targets.contains(request.target)) {
        std::vector<std::string> names;
        for (const auto& [name, spec] : table.targets) names.push_back(name);
        return fail(Errc::not_found, "no target '" + request.target + "'" + did_you_mean(request.target, names));
    }
    ReplayJob job;
    const Sequence now = journal_.synced();
    job.through = request.last == 0 ? now : std::min(request.last, now);
    Sequence oldest = journal_.oldest();
    if (const auto files = archives_.files(request.bus); !files.empty()) oldest = std::min(oldest, files.front()->footer.first);
    if (request.first > now)
        return fail(Errc::not_found, now == 0 ? std::string("there is no event yet")
                                              : fmt::format("no event has a sequence from {} on: the last is {}", request.first, now));
    if (request.last != 0 && request.last < oldest)
        return fail(Errc::not_found, oldest > now ? fmt::format("no event up to {} is kept", request.last)
                                                  : fmt::format("no event up to {} is kept: the oldest is {}", request.last, oldest));
    job.begin = std::max({request.first, oldest, Sequence{1}});
    job.cursor = job.begin - 1;
    job.request = std::move(request);
    job.who = act.who;
    job.why = act.why;
    job.created = job.changed = clock_.wall();
    EVENTYARD_CHECK(disk_.make_directory(directory_));
    const std::lock_guard lock{mutex_};
    job.id = ++last_id_;
    // The number alone could be given again after a restore.
    job.tag = fmt::format("{}.{:08x}", job.id, static_cast<std::uint32_t>(random_.next()));
    EVENTYARD_CHECK(save(job));
    jobs_[job.id] = job;
    if (!job.request.dry_run)
        log::info("replay", "a replay begins",
                  {{"replay", job.id}, {"bus", job.request.bus}, {"first", job.begin}, {"last", job.through},
                   {"who", job.who}, {"why", job.why}});
    return job;
}

Result<ReplayJob> ReplayDesk::cancel(std::int64_t id, const Act& act)
{
    const std::lock_guard lock{mutex_};
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return fail(Errc::not_found, "no replay has id " + std::to_string(id));
    ReplayJob job = found->second;
    if (job.state != ReplayState::running)
        return fail(Errc::conflict, "replay " + std::to_string(id) + " has ended: it is " + text_of(job.state));
    job.state = ReplayState::cancelled;
    job.message = "by " + act.who + (act.why.empty() ? "" : ": " + act.why);
    job.changed = clock_.wall();
    EVENTYARD_CHECK(save(job));  // else it goes on, as a start would have it
    found->second = job;
    log::info("replay", "a replay was cancelled", {{"replay", id}, {"events", job.events}, {"who", act.who}, {"why", act.why}});
    return job;
}

std::vector<ReplayJob> ReplayDesk::replays() const
{
    const std::lock_guard lock{mutex_};
    std::vector<ReplayJob> all;
    for (const auto& [id, job] : jobs_) all.push_back(job);
    return all;
}

std::vector<SequenceRange> ReplayDesk::kept() const
{
    std::vector<SequenceRange> all;
    const std::lock_guard lock{mutex_};
    for (const auto& [id, job] : jobs_) {
        if (job.state != ReplayState::running) continue;
        all.push_back({std::max(job.cursor, archives_.through(job.request.bus)), job.through});
        if (const auto mark = marks_.find(id); mark != marks_.end()) all.push_back({mark->second, UINT64_MAX});
    }
    return all;
}

/// With the lock. A dry run leaves nothing behind, and what was cancelled stays so.
Result<void> ReplayDesk::save(const ReplayJob& job)
{
    const auto known = jobs_.find(job.id);
    const bool ended = known != jobs_.end() && known->second.state != ReplayState::running;
    if (job.request.dry_run || (ended && job.state == ReplayState::running)) return {};
    if (job.next != 0) marks_[job.id] = job.mark;
    EVENTYARD_CHECK(replace_file(disk_, path(job.id), encode_replay(job)));
    if (job.next == 0) marks_.erase(job.id);
    return {};
}

/// Unless it was cancelled meanwhile.
void ReplayDesk::publish(const ReplayJob& job)
{
    const std::lock_guard lock{mutex_};
    const auto found = jobs_.find(job.id);
    if (found == jobs_.end()) return;
    const bool cancelled = found->second.state == ReplayState::cancelled;
    const std::string by = found->second.message;
    found->second = job;
    if (!cancelled) return;
    found->second.state = ReplayState::cancelled;
    found->second.message = by;
    (void)save(found->second);  // its cancelling is durable; only its figures are of before
}

void ReplayDesk::forget_old()
{
    const std::lock_guard lock{mutex_};
    std::size_t ended = 0;
    for (auto at = jobs_.rbegin(); at != jobs_.rend(); ++at) ended += at->second.state != ReplayState::running;
    for (auto at = jobs_.begin(); at != jobs_.end() && ended > kept_max;) {
        if (at->second.state == ReplayState::running) {
            ++at;
            continue;
        }
        if (!at->second.request.dry_run) (void)disk_.unlink(path(at->first));
        marks_.erase(at->first);
        at = jobs_.erase(at);
        --ended;
    }
}

void ReplayDesk::read_anew() { runs_.clear(); }

bool ReplayDesk::tick(const RouteTablePtr& table)
{
    std::vector<ReplayJob> due;
    {
        const std::lock_guard lock{mutex_};
        std::int64_t running = 0;
        for (auto& [id, job] : jobs_) {
            if (job.state != ReplayState::running) continue;
            const bool turn = job.request.dry_run || running == 0;
            if (!turn) job.message = queued + std::to_string(running);
            else if (job.message.starts_with(queued)) job.message.clear();
            if (turn) due.push_back(job);
            if (!job.request.dry_run && running == 0) running = id;
        }
    }
    std::erase_if(runs_, [&](const auto& run) {
        return std::none_of(due.begin(), due.end(), [&](const ReplayJob& job) { return job.id == run.first; });
    });
    bool more = false;
    for (ReplayJob& job : due) {
        const SteadyTime now = clock_.steady();
        if (const auto wait = waits_.find(job.id); wait != waits_.end() && now < wait->second) continue;
        waits_.erase(job.id);
        committed_ = false;
        auto advanced = advance(job, *table);
        // The next batch stores where the last one ended. Where none follows at once that is stored now: until then the
        // journal keeps the last batch, for a start to find.
        const bool follows = committed_ && advanced.has_value() && *advanced;
        if (!follows && job.next == 0) {
            const std::lock_guard lock{mutex_};
            if (marks_.contains(job.id)) (void)save(job);
        }
        if (advanced.has_value()) {
            more = more || *advanced;
        } else {
            runs_.erase(job.id);  // begins again where the job says
            const Errc code = advanced.error().code;
            if (code == Errc::not_found || code == Errc::too_large) {
                end(job, ReplayState::failed, advanced.error().what);
            } else if (code != Errc::cancelled) {  // that has been said by whoever asked for it
                waits_[job.id] = now + retry_interval;
                if (job.message != advanced.error().what)
                    log::warn("replay", "a replay waits", {{"replay", job.id}, {"why", advanced.error().what}});
                job.message = advanced.error().what;
            }
        }
        publish(job);
    }
    forget_old();
    return more;
}

Result<bool> ReplayDesk::advance(ReplayJob& job, const RouteTable& table)
{
    auto& run = runs_[job.id];
    if (!run) {
        if (job.next != 0) EVENTYARD_CHECK(reconcile(job));
        run = std::make_unique<Run>(
            History{disk_, journal_, archives_, job.request.bus, job.cursor, job.through}, clock_.steady());
        run->looked = job.cursor;
    }
    return step(job, *run, table);
}

/// Whether the batch that was under way is in the journal: a unit is there whole or not at all.
Result<void> ReplayDesk::reconcile(ReplayJob& job)
{
    EventsRead read{job.mark, journal_.synced()};
    ReplayJob found = job;  // counts only when all of it could be looked at
    bool there = false;
    while (read.after < read.through) {
        EVENTYARD_TRY(chunk, read_events(journal_, read));
        for (const StoredEventPtr& event : chunk.events) {
            if (!is_replayed(*event)) continue;
            const auto& routes = event->version->routes;
            if (parse_replay_name(routes[event->routes.front()].rule)->tag != job.tag) continue;
            there = true;
            ++found.events;
            found.deliveries += event->routes.size();
            for (const std::uint32_t route : event->routes)
                ++found.routes[{std::string{plain_rule(routes[route].rule)}, routes[route].target}];
        }
        read.after = chunk.through > read.after ? chunk.through : read.through;
    }
    if (there) {
        found.cursor = job.next;
        found.read += job.next_read;
        found.unreadable += job.next_unreadable;
    }
    found.next = 0;
    job = std::move(found);
    const std::lock_guard lock{mutex_};
    return save(job);
}

/// The routes that are replayed: those of the bus that the request does not leave out.
Result<void> ReplayDesk::map_routes(const ReplayJob& job, Run& run, const RouteTable& table)
{
    run.generation = table.generation;
    run.mapped.assign(table.version->routes.size(), -1);
    run.names.clear();
    const auto bus = table.buses.find(job.request.bus);
    if (bus == table.buses.end()) return fail(Errc::not_found, "the bus '" + job.request.bus + "' is gone");
    auto version = std::make_shared<RoutingVersion>();
    version->buses = table.version->buses;
    for (std::uint32_t rule = 0; rule < bus->second.rules.size(); ++rule)
        for (const std::uint32_t at : bus->second.routes[rule]) {
            const RouteList::View names = table.version->routes[at];
            if (!job.request.rule.empty() && names.rule != job.request.rule) continue;
            if (!job.request.target.empty() && names.target != job.request.target) continue;
            Route route = table.version->routes.at(at);
            run.names.emplace_back(route.rule, route.target);
            route.rule = replay_name({job.tag, job.request.same_ids, route.rule});
            run.mapped[at] = static_cast<std::int64_t>(version->routes.size());
            version->routes.push_back(route);
        }
    if (version->routes.empty()) return fail(Errc::not_found, "no rule of the bus goes to what is asked for");
    if (job.request.dry_run) return {};
    EVENTYARD_TRY(stored, journal_.store_version(*version));
    run.version = std::move(stored);
    return {};
}

/// One batch at most. False: nothing is to be done at once.
Result<bool> ReplayDesk::step(ReplayJob& job, Run& run, const RouteTable& table)
{
    if (run.generation != table.generation) EVENTYARD_CHECK(map_routes(job, run, table));
    std::size_t most = batch_max;
    const double rate = job.request.dry_run ? 0 : job.request.per_second;
    if (rate > 0) {
        const SteadyTime now = clock_.steady();
        const double passed = std::chrono::duration<double>(now - std::exchange(run.filled, now)).count();
        run.tokens = std::min(run.tokens + passed * rate, std::max(1.0, rate * burst_seconds));
        most = std::min(most, static_cast<std::size_t>(run.tokens));
        if (most == 0) return false;
    }
    EVENTYARD_TRY(more, gather(job, run, table, most));
    run.tokens -= static_cast<double>(run.events);
    if (!run.batch.empty()) EVENTYARD_CHECK(commit(job, run));
    job.read += run.read;
    job.unreadable += run.unreadable;
    widen(job, run.earliest, run.latest);
    job.events += run.events;
    job.deliveries += run.deliveries;
    for (const auto& [route, n] : run.counts) job.routes[route] += n;
    run.clear_batch();
    job.cursor = run.looked;
    job.message.clear();
    job.changed = clock_.wall();
    if (!more) end(job, ReplayState::done, {});
    return more;
}

/// Fills the batch. False: there is no event after it.
Result<bool> ReplayDesk::gather(const ReplayJob& job, Run& run, const RouteTable& table, std::size_t most)
{
    const Bus& bus = table.buses.find(job.request.bus)->second;
    const ReplayRequest& request = job.request;
    for (std::size_t looked = 0; looked < look_max && run.events < most && run.bytes < batch_bytes_max; ++looked) {
        EVENTYARD_TRY(more, run.history.fill());
        run.looked = more ? run.history.front()->sequence : job.through;
        run.unreadable += run.history.take_unreadable(run.looked);
        if (!more) return false;
        const ArchivedEvent one = *run.history.front();
        run.history.pop();
        const WallTime received = one.event.received;
        if ((request.from != WallTime{} && received < request.from) ||
            (request.before != WallTime{} && received >= request.before) || is_erased(one.event))
            continue;
        ++run.read;
        run.earliest = run.earliest == WallTime{} ? received : std::min(run.earliest, received);
        run.latest = std::max(run.latest, received);
        json::SyntaxError error;
        if (!run.document.parse(one.event.body, any_depth, error)) {
            ++run.unreadable;
            continue;
        }
        run.rules.clear();
        bus.rules.match(run.document, run.rules);
        std::vector<std::uint32_t> routes;
        for (const std::uint32_t rule : run.rules)
            for (const std::uint32_t at : bus.routes[rule]) {
                if (run.mapped[at] < 0) continue;
                if (const Gate* gate = request.dry_run ? nullptr : table.closed_gate({&at, 1}))
                    return fail(Errc::unavailable, "the target '" + gate->target + "' is over its budget and refuses what is new");
                routes.push_back(static_cast<std::uint32_t>(run.mapped[at]));
            }
        if (routes.empty()) continue;
        if (routes.size() > table.limits.matches)
            return fail(Errc::too_large, fmt::format("event {} would make {} deliveries, more than limits.matches",
                                                     one.sequence, routes.size()));
        std::sort(routes.begin(), routes.end());
        ++run.events;
        run.deliveries += routes.size();
        run.bytes += one.event.body.size();
        for (const std::uint32_t route : routes) ++run.counts[run.names[route]];
        if (request.dry_run) continue;
        auto stored = std::make_shared<StoredEvent>();
        stored->event = one.event;
        stored->event.received = clock_.wall();  // what a rule says of an event's age begins anew
        stored->version = run.version;
        stored->routes = std::move(routes);
        stored->bus = bus.number;
        run.batch.push_back(std::move(stored));
    }
    return true;
}

Result<void> ReplayDesk::commit(ReplayJob& job, Run& run)
{
    {
        const std::lock_guard lock{mutex_};
        const auto found = jobs_.find(job.id);
        if (found == jobs_.end() || found->second.state != ReplayState::running)
            return fail(Errc::cancelled, "the replay was cancelled");
        ReplayJob intended = job;
        intended.next = run.looked;
        intended.next_read = run.read;
        intended.next_unreadable = run.unreadable;
        widen(intended, run.earliest, run.latest);  // a second time says the same
        intended.mark = journal_.last();
        EVENTYARD_CHECK(save(intended));
        job = std::move(intended);
    }
    const auto answer = std::make_shared<std::promise<Result<CommitResult>>>();
    auto committed = answer->get_future();
    CommitUnit unit;
    unit.events = std::move(run.batch);
    unit.done = [answer](const Result<CommitResult>& result) { answer->set_value(result); };
    journal_.submit(std::move(unit));
    const auto result = committed.get();
    if (!result.has_value()) return result.error();
    job.next = 0;
    committed_ = true;
    return {};
}

/// Unless it was cancelled meanwhile; and afterwards it cannot be.
void ReplayDesk::end(ReplayJob& job, ReplayState state, std::string message)
{
    const std::lock_guard lock{mutex_};
    const auto found = jobs_.find(job.id);
    if (found == jobs_.end() || found->second.state != ReplayState::running) return;
    job.state = state;
    job.message = std::move(message);
    job.changed = clock_.wall();
    if (auto saved = save(job); !saved.has_value())
        log::warn("replay", "the end of a replay could not be stored; a start looks through its rest again",
                  {{"replay", job.id}, {"error", saved.error().what}});
    found->second = job;
    if (!job.request.dry_run)
        log::info("replay", "a replay ended",
                  {{"replay", job.id}, {"state", text_of(state)}, {"events", job.events},
                   {"deliveries", job.deliveries}, {"message", job.message}});
}

}  // namespace eventyard::router
