// What people ask for by the admin API: passed on to the lanes and the desks, on the control thread.
#include <algorithm>

#include "core/log.hpp"
#include "core/report.hpp"
#include "router/router_parts.hpp"

namespace eventyard::router {

namespace asio = boost::asio;

namespace {

/// Says in the log who did what, and why, once it is done.
template <class T>
std::function<void(Result<T>)> logged(const char* what, const std::string& target, const Act& act, std::function<void(Result<T>)> done)
{
    return [=, done = std::move(done)](Result<T> result) {
        if (result.has_value())
            log::info("delivery", "an operator acts", {{"what", what}, {"target", target}, {"who", act.who}, {"why", act.why}});
        done(std::move(result));
    };
}

}  // namespace

void RouterParts::pause(std::string target, Act act, std::function<void(Result<void>)> done)
{
    const std::unique_lock lock{engine_mutex_, std::try_to_lock};
    if (!lock) return done(reloading());
    auto durable = logged<void>("pause", target, act, done);
    if (!line_.engine().pause(target, act.why, std::move(durable))) done(known(target, false));
}

void RouterParts::resume(std::string target, Act act, std::function<void(Result<void>)> done)
{
    const std::unique_lock lock{engine_mutex_, std::try_to_lock};
    if (!lock) return done(reloading());
    if (!line_.engine().resume(target, logged<void>("resume", target, act, done))) done(known(target, false));
}

void RouterParts::drain(std::string target, Act act, std::function<void(Result<std::uint64_t>)> done)
{
    const std::unique_lock lock{engine_mutex_, std::try_to_lock};
    if (!lock) return done(reloading().error());
    if (!line_.engine().knows(target)) return done(known(target, false).error());
    if (!served(target))
        return done(fail(Errc::conflict, "target '" + target + "' is not configured any more: nothing is sent to it"));
    (void)line_.engine().drain(target, act.why, logged<std::uint64_t>("drain", target, act, done));
}

void RouterParts::retry_now(std::string target, Act act, std::function<void(Result<void>)> done)
{
    const std::unique_lock lock{engine_mutex_, std::try_to_lock};
    if (!lock) return done(reloading());
    logged<void>("retry-now", target, act, done)(known(target, line_.engine().retry_now(target)));
}

void RouterParts::release_keys(std::string target, std::string order_key, Act act,
                      std::function<void(Result<std::size_t>)> done)
{
    const std::unique_lock lock{engine_mutex_, std::try_to_lock};
    if (!lock) return done(reloading().error());
    if (!line_.engine().release_keys(target, order_key, logged<std::size_t>("release", target, act, done)))
        done(known(target, false).error());
}

void RouterParts::deliveries(DeliveryFilter filter, std::string after, std::size_t limit,
                             std::function<void(Result<DeliveryPage>)> done)
{
    if (unknown(filter.target)) return done(known(filter.target, false).error());
    deliveries_->list(std::move(filter), std::move(after), limit, std::move(done));
}

void RouterParts::act_on_deliveries(DeliveryAct what, DeliveryFilter filter, std::string after, std::size_t limit, Act act,
                                    std::function<void(Result<DeliveriesActed>)> done)
{
    if (unknown(filter.target)) return done(known(filter.target, false).error());
    deliveries_->act(what, std::move(filter), std::move(after), limit, std::move(act), std::move(done));
}

void RouterParts::move_deliveries(DeliveryFilter filter, std::string to, bool dry_run, std::string after, std::size_t limit, Act act,
                                  std::function<void(Result<DeliveriesActed>)> done)
{
    if (line_.state().stats().failing) return done(fail(Errc::unavailable, why_failing(line_.state().stats())));
    const RouteTablePtr table = table_.get();
    const auto taker = table->targets.find(to);
    if (taker == table->targets.end()) return done(known(to, false).error());
    if (to == filter.target) return done(fail(Errc::invalid, "'" + to + "' has these deliveries already"));
    if (taker->second.order.order != Order::none)
        return done(fail(Errc::conflict, "target '" + to + "' keeps an order, in which deliveries of another target have no place: "
                                         "move them to one without 'order'"));
    line_.engine().status([=, this, filter = std::move(filter), after = std::move(after), act = std::move(act),
                           done = std::move(done)](const std::vector<TargetStatus>& targets) {
        const auto giver = std::find_if(targets.begin(), targets.end(), [&](const auto& one) { return one.name == filter.target; });
        const bool there = giver != targets.end();
        const bool still = there && (giver->state == TargetState::orphaned || giver->state == TargetState::paused);
        asio::post(control_, [=, this] {
            if (!there) return done(known(filter.target, false).error());
            if (!still)
                return done(fail(Errc::conflict, "target '" + filter.target + "' is neither paused nor orphaned: pause it first"));
            if (!dry_run) return deliveries_->move(filter, to, after, limit, act, done);
            deliveries_->list(filter, after, limit, [done](const Result<DeliveryPage>& page) {
                if (!page.has_value()) return done(page.error());
                done(DeliveriesActed{page->deliveries.size(), 0, 0, page->next});
            });
        });
    });
}

void RouterParts::dead_letters(DeadLetterFilter filter, std::function<void(Result<DeadLetterPage>)> done)
{
    if (unknown(filter.target)) return done(known(filter.target, false).error());
    line_.state().dead_letters(std::move(filter), std::move(done));
}

void RouterParts::dead_letter(std::int64_t id,
                              std::function<void(Result<DeadLetter>, std::vector<AttemptRecord>)> done)
{
    line_.state().dead_letter(id, std::move(done));
}

void RouterParts::audit(std::function<void(Result<AuditReport>)> done)
{
    if (!line_.hold_segments()) {  // what is counted in the journal stays there meanwhile; a round takes a moment
        const auto again = std::make_shared<asio::steady_timer>(control_, std::chrono::milliseconds{20});
        return again->async_wait([this, again, done = std::move(done)](const boost::system::error_code& cancelled) mutable {
            if (cancelled) done(fail(Errc::cancelled, "the daemon stops"));
            else audit(std::move(done));
        });
    }
    gather([this, done = std::move(done)] {
        line_.state().audit([this, done](Result<AuditState> state) {
            asio::post(control_, [this, done, state = std::move(state)] {
                auto report = state.has_value() ? router::audit(*state, line_.journal()) : Result<AuditReport>{state.error()};
                line_.let_segments_go();
                done(std::move(report));
            });
        });
    });
}

void RouterParts::dead_letter_groups(DeadLetterFilter filter,
                                     std::function<void(Result<std::vector<DeadLetterGroup>>)> done)
{
    if (unknown(filter.target)) return done(known(filter.target, false).error());
    desk_->groups(std::move(filter), std::move(done));
}

void RouterParts::redrive(DeadLetterFilter filter, double per_second, Act act,
                          std::function<void(Result<RedriveJob>)> done)
{
    if (unknown(filter.target)) return done(known(filter.target, false).error());
    desk_->redrive(std::move(filter), per_second, std::move(act), std::move(done));
}

void RouterParts::cancel_redrive(std::int64_t id, Act act, std::function<void(Result<RedriveJob>)> done)
{
    desk_->cancel(id, act, std::move(done));
}

void RouterParts::discard(DeadLetterFilter filter, bool dry_run, Act act,
                          std::function<void(Result<std::uint64_t>)> done)
{
    if (unknown(filter.target)) return done(known(filter.target, false).error());
    desk_->discard(std::move(filter), dry_run, std::move(act), std::move(done));
}

Result<ReplayJob> RouterParts::replay(ReplayRequest request, const Act& act)
{
    return replays_->replay(*table_.get(), std::move(request), act);
}

void RouterParts::erase(Id event, Act act, std::function<void(Result<Erased>)> done)
{
    const bool posted = past_->post([this, event, act = std::move(act), done] { done(eraser_->erase(event, act)); });
    if (!posted) done(fail(Errc::cancelled, "the daemon stops"));
}

void RouterParts::export_state(std::function<void(Result<std::string>)> done)
{
    const std::string directory = data_dir_ + "/exports";
    if (auto made = disk_.make_directory(directory); !made.has_value()) return done(made.error());
    std::string stamp = to_rfc3339(clock_.wall());
    stamp.erase(std::remove(stamp.begin(), stamp.end(), ':'), stamp.end());
    const std::string path = directory + "/state-" + stamp + ".db";
    line_.state().export_copy(path, [path, done = std::move(done)](const Result<void>& written) {
        if (written.has_value())
            done(path);
        else
            done(written.error());
    });
}

/// The control thread never waits for a reload: the reload may wait for the control thread.
Result<void> RouterParts::reloading()
{
    return fail(Errc::unavailable, "a reload is under way; try again in a moment");
}

/// Configured, or renamed since.
bool RouterParts::served(const std::string& target) const
{
    const RouteTablePtr table = table_.get();
    return std::any_of(table->targets.begin(), table->targets.end(), [&](const auto& one) {
        return one.first == target || one.second.renamed_from == target;
    });
}

/// A filter's target of which nothing is known: that nothing is found for it would look like good news.
bool RouterParts::unknown(const std::string& target)
{
    if (target.empty()) return false;
    const std::unique_lock lock{engine_mutex_, std::try_to_lock};
    return lock && !line_.engine().knows(target) && !served(target);
}

Result<void> RouterParts::known(const std::string& target, bool found) const
{
    if (found) return {};
    std::vector<std::string> names;
    for (const auto& [name, spec] : table_.get()->targets) names.push_back(name);
    return fail(Errc::not_found, "no target '" + target + "'" + did_you_mean(target, names));
}

}  // namespace eventyard::router
