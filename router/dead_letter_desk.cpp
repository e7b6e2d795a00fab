#include "router/dead_letter_desk.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/log.hpp"
#include "router/delivery/retry.hpp"

namespace eventyard::router {
namespace {

using namespace std::chrono_literals;
using Stage = RedriveJob::State;

constexpr std::size_t page_size = 1000;
constexpr std::size_t step_max = 500;            // letters handed over at a time
constexpr Duration trial_look = 200ms;
constexpr Duration standstill_look = 5s;         // a whole status is behind it
constexpr Duration patience = 1s;                // after something could not be done
constexpr Duration retention_interval = 10s;

std::string text_of(const DeadLetterFilter& filter)
{
    std::string text;
    const auto add = [&](const char* key, const std::string& value) {
        if (!value.empty()) text += (text.empty() ? "" : " ") + std::string(key) + "=" + value;
    };
    add("target", filter.target);
    add("rule", filter.rule);
    add("reason", filter.reason);
    add("cause", filter.cause);
    if (filter.group != 0) add("group", std::to_string(filter.group));
    if (filter.dead_from != WallTime{}) add("dead_from", to_rfc3339(filter.dead_from));
    if (filter.dead_before != WallTime{}) add("dead_before", to_rfc3339(filter.dead_before));
    if (!filter.ids.empty()) add("ids", std::to_string(filter.ids.size()));
    return text.empty() ? "all" : text;
}

RetryRow row_of(const DeadLetter& letter)
{
    RetryRow row;
    row.target = letter.target;
    row.key = letter.key;
    row.rule = letter.rule;
    row.event = letter.event;
    row.letter = letter.id;
    row.earlier = letter.attempts;
    row.routed_to = letter.routed_to;
    return row;
}

bool needs_letters(const DeadLetterFilter& filter)
{
    return !filter.rule.empty() || !filter.reason.empty() || !filter.ids.empty() ||
           filter.dead_from != WallTime{} || filter.dead_before != WallTime{};
}

}  // namespace

struct DeadLetterDesk::Desk : std::enable_shared_from_this<Desk> {
    Desk(State& s, const Clock& c, Hooks h)
        : state(s), clock(c), hooks(std::move(h)), ages(c.steady(), c.wall())
    {
    }

    /// A redrive and what only this process knows of it.
    struct Running {
        RedriveJob job;
        bool busy = false;
        double tokens = 0;
        SteadyTime refilled{};
        SteadyTime not_before{};
        SteadyTime standstill_at{};                                         // asked about it not before
        std::vector<std::function<void(Result<RedriveJob>)>> cancelled_by;  // to be answered when it is not busy
    };

    State& state;
    const Clock& clock;
    Hooks hooks;
    AgeClock ages;
    std::map<std::int64_t, Running> jobs;
    bool loaded = false;
    bool retaining = false;
    std::string served{};              // the target whose budget was looked after last
    SteadyTime retention_at{};

    /// Wraps an answer so that it runs on the desk's thread.
    template <class... Args, class Then>
    std::function<void(Args...)> here(Then then)
    {
        return [self = shared_from_this(), then = std::move(then)](Args... args) {
            self->hooks.post([then, ... args = std::move(args)]() mutable { then(std::move(args)...); });
        };
    }

    /// Walks over everything that matches. `visit` gets a page and calls the function it is given for the next.
    using Budgets = std::map<std::string, std::uint64_t>;
    using Page = Result<DeadLetterPage>;
    void walk(DeadLetterFilter filter, std::function<void(const Page&, std::function<void()> next)> visit)
    {
        state.dead_letters(filter, here<Page>([this, filter, visit](Page page) mutable {
            if (page.has_value()) filter.after_id = page->through;
            visit(page, [self = shared_from_this(), filter, visit] { self->walk(filter, visit); });
        }));
    }

    // --- Redrives ------------------------------------------------------------------------------------

    void note(Running& one, std::function<void(Result<void>)> done = nullptr)
    {
        one.job.changed = clock.wall();
        state.submit({RedriveNoted{one.job}}, [done = std::move(done)](Result<void> durable) {
            if (done) done(std::move(durable));
        });
    }

    void finish(Running& one, Stage as, std::string message)
    {
        one.job.state = as;
        one.job.message = std::move(message);
        one.job.trial.clear();
        note(one);
        const auto level = as == Stage::done ? log::Level::info : log::Level::warn;
        log::write(level, "dead-letters", std::string("redrive is ") + router::text_of(as),
                   {{"redrive", one.job.id}, {"redriven", one.job.redriven}, {"of", one.job.total},
                    {"skipped", one.job.skipped}, {"why", one.job.message}});
    }

    void step(Running& one)
    {
        const SteadyTime now = clock.steady();
        if (one.busy || now < one.not_before) return;
        RedriveJob& job = one.job;
        if (job.state == Stage::trial && !job.trial.empty()) return look_at_trial(one);
        std::size_t room = job.state == Stage::trial ? trial_size : step_max;
        if (job.state == Stage::running && job.per_second > 0) {
            const double passed = std::chrono::duration<double>(now - one.refilled).count();
            one.refilled = now;
            one.tokens = std::min(std::max(1.0, job.per_second), one.tokens + passed * job.per_second);
            if (one.tokens < 1) return;
            room = std::min(room, static_cast<std::size_t>(one.tokens));
        }
        one.busy = true;
        DeadLetterFilter filter = job.filter;
        filter.limit = room;
        state.dead_letters(filter, here<Page>([this, id = job.id](Page page) {
            if (!page.has_value()) return later(jobs.at(id), page.error().what);
            hand_over(jobs.at(id), std::move(*page));
        }));
    }

    void later(Running& one, const std::string& why)
    {
        one.not_before = clock.steady() + patience;
        if (one.job.active()) one.job.message = "waits: " + why;
        rest(one);
    }

    /// After all that is done for it at a time.
    static void rest(Running& one)
    {
        one.busy = false;
        tell_cancelled(one);
    }

    static void tell_cancelled(Running& one)
    {
        for (const auto& done : std::exchange(one.cancelled_by, {})) done(one.job);
    }

    void hand_over(Running& one, DeadLetterPage page)
    {
        std::map<std::string, std::vector<RetryRow>> rows;
        std::uint64_t skipped = 0, erased = 0;
        for (const DeadLetter& letter : page.letters) {
            if (letter.format == EventFormat::erased) ++erased;
            else if (hooks.served(letter.target)) rows[letter.target].push_back(row_of(letter));
            else ++skipped;
        }
        struct Gathering {
            std::size_t missing = 0;
            std::string failed;
            std::vector<TrialKey> keys;
        };
        const auto all = std::make_shared<Gathering>();
        all->missing = rows.size() + 1;
        const auto one_done = here<Result<void>>(
            [this, all, id = one.job.id, through = page.through, more = page.more, skipped, erased](const Result<void>& durable) {
                if (!durable.has_value()) all->failed = durable.error().what;
                if (--all->missing > 0) return;
                Running& job = jobs.at(id);
                if (!all->failed.empty()) return later(job, all->failed);
                job.job.skipped += skipped;
                job.job.erased += erased;
                advance(job, std::move(all->keys), through, more);
                rest(job);
            });
        for (auto& [target, of] : rows) {
            for (const RetryRow& row : of) all->keys.push_back({target, row.key});
            hooks.redrive(target, std::move(of), one_done);
        }
        one_done({});
    }

    /// All of the page is durable in its lanes.
    void advance(Running& one, std::vector<TrialKey> keys, std::int64_t through, bool more)
    {
        RedriveJob& job = one.job;
        one.tokens -= static_cast<double>(keys.size());
        job.redriven += keys.size();
        job.filter.after_id = through;
        if (!job.active()) return note(one);  // cancelled meanwhile
        job.message.clear();
        if (job.state == Stage::trial && !keys.empty()) {
            job.message = "waits for its first deliveries";
            job.trial = std::move(keys);
            return note(one);
        }
        if (!more) return finish(one, Stage::done, skipped_text(job));
        note(one);
    }

    static std::string skipped_text(const RedriveJob& job)
    {
        std::string text;
        if (job.skipped > 0)
            text = std::to_string(job.skipped) +
                   (job.skipped == 1 ? " stays dead: its target is" : " stay dead: their targets are") + " not configured any more";
        if (job.erased > 0)
            text += (text.empty() ? "" : "; ") + std::to_string(job.erased) +
                    (job.erased == 1 ? " stays dead: its event was erased" : " stay dead: their events were erased");
        return text;
    }

    void look_at_trial(Running& one)
    {
        one.busy = true;
        state.trial(one.job.trial, here<Result<std::vector<TrialResult>>>(
                                       [this, id = one.job.id](const Result<std::vector<TrialResult>>& results) {
                                           Running& job = jobs.at(id);
                                           if (!results.has_value()) return later(job, results.error().what);
                                           judge(job, *results);
                                           rest(job);
                                       }));
    }

    void judge(Running& one, const std::vector<TrialResult>& results)
    {
        one.not_before = clock.steady() + trial_look;
        if (one.job.state != Stage::trial) return;
        std::size_t failed = 0, waiting = 0;
        std::string error, target;
        for (std::size_t i = 0; i < results.size(); ++i) {
            const TrialResult& result = results[i];
            if (result.state == TrialResult::State::waiting && waiting++ == 0) target = one.job.trial[i].target;
            if (result.state != TrialResult::State::failed) continue;
            if (failed++ == 0) error = result.error;
        }
        if (failed > 0)
            return finish(one, Stage::stopped,
                          (results.size() == 1 ? std::string("the first delivery")
                                               : std::to_string(failed) + " of the first " + std::to_string(results.size()) + " deliveries") +
                              " failed: " + error);
        if (waiting > 0) return wait_for(one, target);
        one.job.state = Stage::running;
        one.job.trial.clear();
        one.job.message.clear();
        one.tokens = 0;
        one.refilled = clock.steady();
        note(one);
    }

    void wait_for(Running& one, const std::string& target)
    {
        if (clock.steady() < one.standstill_at) return;
        one.standstill_at = clock.steady() + standstill_look;
        hooks.standstill(target, here<std::string>([this, id = one.job.id](const std::string& why) {
            Running& job = jobs.at(id);
            if (job.job.state == Stage::trial)
                job.job.message = "waits for its first deliveries" + (why.empty() ? "" : ": " + why);
        }));
    }

    void create(DeadLetterFilter filter, double per_second, const Act& act, std::uint64_t total,
                std::function<void(Result<RedriveJob>)> done)
    {
        RedriveJob job;
        job.id = jobs.empty() ? 1 : jobs.rbegin()->first + 1;
        job.filter = std::move(filter);
        job.per_second = per_second;
        job.total = total;
        job.who = act.who;
        job.why = act.why;
        job.created = clock.wall();
        Running& one = jobs[job.id];
        one.job = std::move(job);
        one.busy = true;  // not before it is durable
        log::info("dead-letters", "redrive was asked for",
                  {{"redrive", one.job.id}, {"letters", total}, {"of", text_of(one.job.filter)}, {"who", act.who}, {"why", act.why}});
        note(one, here<Result<void>>([this, id = one.job.id, done = std::move(done)](const Result<void>& durable) {
                 Running& made = jobs.at(id);
                 rest(made);
                 if (durable.has_value()) return done(made.job);
                 jobs.erase(id);
                 done(durable.error());
             }));
    }

    // --- Discarding ----------------------------------------------------------------------------------

    void discard(const DeadLetterFilter& filter, bool dry_run, const Act& act, std::uint64_t so_far,
                 std::function<void(Result<std::uint64_t>)> done)
    {
        state.dead_letters(filter, here<Page>([=, this](const Page& page) {
            if (!page.has_value()) return done(page.error());
            std::vector<Change> changes;
            for (const DeadLetter& letter : page->letters) changes.emplace_back(DeadLetterDiscarded{letter.id});
            const std::uint64_t sum = so_far + changes.size();
            DeadLetterFilter next = filter;
            next.after_id = page->through;
            const auto go_on = here<Result<void>>([=, this, more = page->more](const Result<void>& durable) {
                if (!durable.has_value()) return done(durable.error());
                if (more) return discard(next, dry_run, act, sum, done);
                if (!dry_run && sum > 0)
                    log::warn("dead-letters", "discarded by an operator",
                              {{"letters", sum}, {"of", text_of(filter)}, {"who", act.who}, {"why", act.why}});
                done(sum);
            });
            if (dry_run || changes.empty()) return go_on({});
            state.submit(std::move(changes), go_on);
        }));
    }

    // --- Retention -----------------------------------------------------------------------------------

    void retain(const DeadLetterRetention& retention, const Budgets& budgets)
    {
        const SteadyTime now = clock.steady();
        if (retaining || now < retention_at) return;
        const bool sizes = retention.max_bytes > 0 || !budgets.empty();
        if (retention.max_age <= Duration{0} && !sizes) return;
        retaining = true;
        retention_at = now + retention_interval;
        if (!sizes) return remove_oldest({{}, 0, retention.max_age, 0});
        state.dead_letter_groups({}, here<Result<std::vector<DeadLetterGroup>>>(
                                         [this, retention, budgets](const Result<std::vector<DeadLetterGroup>>& all) {
                                             std::map<std::string, std::uint64_t> bytes;
                                             if (all.has_value())
                                                 for (const DeadLetterGroup& group : *all) bytes[group.target] += group.bytes;
                                             remove_oldest(next_removal(retention, budgets, bytes));
                                         }));
    }

    struct Removal {
        std::string target;               // beyond its own budget; empty: of all
        std::int64_t after_id = 0;
        Duration max_age{0};
        std::uint64_t excess = 0;         // bytes
    };

    /// One target's budget at a time, in turns with each other and with what is for all; retention is looked at again at
    /// once after it.
    Removal next_removal(const DeadLetterRetention& retention, const Budgets& budgets,
                         const std::map<std::string, std::uint64_t>& bytes)
    {
        for (auto of = bytes.upper_bound(served); of != bytes.end(); ++of) {
            const auto budget = budgets.find(of->first);
            if (budget == budgets.end() || of->second <= budget->second) continue;
            served = of->first;
            return {served, 0, Duration{0}, of->second - budget->second};
        }
        std::uint64_t sum = 0;
        for (const auto& [target, its] : bytes) sum += its;
        const bool wrapped = !served.empty();
        served.clear();
        if (wrapped) retention_at = {};  // the others have had no look since
        return {{}, 0, retention.max_age, retention.max_bytes == 0 ? 0 : sum - std::min(sum, retention.max_bytes)};
    }

    /// Ids rise with the time of death, so the oldest come first. A page at a time; the next tick() goes on.
    void remove_oldest(Removal removal)
    {
        DeadLetterFilter filter;
        filter.limit = page_size;
        filter.bodies = removal.excess > 0;
        filter.target = removal.target;
        filter.after_id = removal.after_id;
        state.dead_letters(filter, here<Page>([this, removal = std::move(removal)](const Page& page) {
            if (page.has_value() && page->letters.empty() && page->more) {  // only such as are redriven
                Removal on = removal;
                on.after_id = page->through;
                return remove_oldest(std::move(on));
            }
            retaining = false;
            if (!page.has_value()) return;
            const bool of_budget = !removal.target.empty();
            const Ending ending = of_budget ? Ending::discarded_overflow : Ending::discarded_retention;
            std::vector<Change> changes;
            std::uint64_t bytes = 0, too_old = 0;
            WallTime last{};
            for (const DeadLetter& letter : page->letters) {
                const bool old = removal.max_age > Duration{0} &&
                                 ages.age(letter.dead, clock.steady(), clock.wall()) >= removal.max_age;
                if (!old && bytes >= removal.excess) break;
                too_old += old ? 1 : 0;
                bytes += letter.body.size();
                last = letter.dead;
                changes.emplace_back(DeadLetterDiscarded{letter.id, ending});
            }
            if (changes.empty()) return;
            if (of_budget)
                log::error("dead-letters", "discarded: more dead letters than budget.dead_letters of the target",
                           {{"target", removal.target}, {"letters", changes.size()}, {"bytes", bytes}, {"dead_until", to_rfc3339(last)}});
            else
                log::warn("dead-letters", "discarded by dead_letters.max_age or max_bytes",
                          {{"letters", changes.size()}, {"too_old", too_old}, {"dead_until", to_rfc3339(last)}});
            if (of_budget || (changes.size() == page->letters.size() && page->more)) retention_at = {};
            state.submit(std::move(changes));
        }));
    }
};

DeadLetterDesk::DeadLetterDesk(State& state, const Clock& clock, Hooks hooks)
    : desk_(std::make_shared<Desk>(state, clock, std::move(hooks)))
{
}

DeadLetterDesk::~DeadLetterDesk() = default;

void DeadLetterDesk::start()
{
    desk_->state.redrives(desk_->here<Result<std::vector<RedriveJob>>>(
        [desk = desk_.get()](const Result<std::vector<RedriveJob>>& jobs) {
            if (!jobs.has_value())
                return log::error("dead-letters", "the redrives under way cannot be read", {{"error", jobs.error().what}});
            desk->loaded = true;
            for (const RedriveJob& job : *jobs) {
                Desk::Running& one = desk->jobs[job.id];
                one.job = job;
                one.refilled = desk->clock.steady();
            }
        }));
}

void DeadLetterDesk::tick(const DeadLetterRetention& retention, const std::map<std::string, std::uint64_t>& budgets)
{
    const bool failing = desk_->state.stats().failing;
    for (auto& [id, one] : desk_->jobs) {
        if (one.job.active()) desk_->step(one);
        else if (failing) Desk::tell_cancelled(one);  // the page under way may stay so for long
    }
    desk_->retain(retention, budgets);
}

void DeadLetterDesk::redrive(DeadLetterFilter filter, double per_second, Act act,
                             std::function<void(Result<RedriveJob>)> done)
{
    if (!desk_->loaded) return done(fail(Errc::unavailable, "the redrives under way are being read; try again in a moment"));
    filter.limit = page_size;
    filter.after_id = 0;
    const auto total = std::make_shared<std::uint64_t>(0);
    desk_->walk(filter, [desk = desk_.get(), filter, per_second, act = std::move(act), total, done = std::move(done)](
                            const Result<DeadLetterPage>& page, const std::function<void()>& next) {
        if (!page.has_value()) return done(page.error());
        *total += page->letters.size();
        if (page->more) return next();
        if (*total == 0) return done(fail(Errc::not_found, "no dead letter matches"));
        DeadLetterFilter bounded = filter;
        bounded.until_id = page->through;
        desk->create(std::move(bounded), per_second, act, *total, done);
    });
}

void DeadLetterDesk::cancel(std::int64_t id, const Act& act, std::function<void(Result<RedriveJob>)> done)
{
    const auto found = desk_->jobs.find(id);
    if (found == desk_->jobs.end()) return done(fail(Errc::not_found, "no redrive has id " + std::to_string(id)));
    Desk::Running& one = found->second;
    if (!one.job.active())
        return done(fail(Errc::conflict, "redrive " + std::to_string(id) + " is " + text_of(one.job.state) + " already"));
    desk_->finish(one, RedriveJob::State::cancelled, "by " + act.who + (act.why.empty() ? "" : ": " + act.why));
    if (one.busy) one.cancelled_by.push_back(std::move(done));
    else done(one.job);
}

std::vector<RedriveJob> DeadLetterDesk::redrives() const
{
    std::vector<RedriveJob> all;
    for (const auto& [id, one] : desk_->jobs) all.push_back(one.job);
    return all;
}

void DeadLetterDesk::discard(DeadLetterFilter filter, bool dry_run, Act act,
                             std::function<void(Result<std::uint64_t>)> done)
{
    filter.limit = page_size;
    desk_->discard(filter, dry_run, act, 0, std::move(done));
}

void DeadLetterDesk::groups(DeadLetterFilter filter, std::function<void(Result<std::vector<DeadLetterGroup>>)> done)
{
    using Groups = std::vector<DeadLetterGroup>;
    desk_->state.dead_letter_groups(
        filter.target, desk_->here<Result<Groups>>([desk = desk_.get(), filter, done = std::move(done)](Result<Groups> all) mutable {
            if (!all.has_value()) return done(std::move(all));
            std::erase_if(*all, [&](const DeadLetterGroup& group) {
                return (filter.group != 0 && group.id != filter.group) || (!filter.cause.empty() && group.cause != filter.cause);
            });
            if (!needs_letters(filter)) return done(std::move(all));
            // Count them anew over the letters that match.
            const auto counted = std::make_shared<std::map<std::int64_t, DeadLetterGroup>>();
            for (DeadLetterGroup& group : *all) {
                group.letters = group.bytes = 0;
                counted->emplace(group.id, std::move(group));
            }
            filter.limit = page_size;
            filter.bodies = true;
            desk->walk(filter, [counted, done](const Result<DeadLetterPage>& page, const std::function<void()>& next) {
                if (!page.has_value()) return done(page.error());
                for (const DeadLetter& letter : page->letters) {
                    const auto found = counted->find(letter.group);
                    if (found == counted->end()) continue;
                    DeadLetterGroup& group = found->second;
                    if (group.letters++ == 0) group.first = letter.dead;
                    group.bytes += letter.body.size();
                    group.last = letter.dead;
                    group.sample = letter;
                    group.sample.body.clear();
                    group.sample.input.clear();
                }
                if (page->more) return next();
                Groups some;
                for (auto& [id, group] : *counted)
                    if (group.letters > 0) some.push_back(std::move(group));
                std::stable_sort(some.begin(), some.end(), [](const auto& a, const auto& b) { return a.letters > b.letters; });
                done(std::move(some));
            });
        }));
}

}  // namespace eventyard::router
