#include "router/delivery_desk.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "core/log.hpp"

namespace eventyard::router {
namespace {

using Stage = PendingDelivery::State;

constexpr std::uint32_t all_routes = UINT32_MAX;
constexpr std::size_t read_items = 1000;          // of one look into the journal
constexpr std::size_t read_bytes = 4U << 20;
constexpr std::size_t looks_max = 40;             // of one call
constexpr std::size_t act_max = 4000;             // deliveries handed to lanes at a time
constexpr unsigned again_max = 200;

/// Where a walk has come to. As text "j:SEQUENCE:ROUTE:TARGET", then "r:SEQUENCE:ROUTE:NUMBER".
struct Position {
    bool rows = false;
    std::string target;                           // in the journal
    DeliveryKey key;
    std::int64_t number = 0;                      // of the target, among the rows

    [[nodiscard]] std::string text() const
    {
        return std::string(rows ? "r:" : "j:") + std::to_string(key.sequence) + ":" + std::to_string(key.route) + ":" +
               (rows ? std::to_string(number) : target);
    }
};

template <class Number>
bool take_number(std::string_view& text, Number& value)
{
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

bool take_colon(std::string_view& text)
{
    if (text.empty() || text.front() != ':') return false;
    text.remove_prefix(1);
    return true;
}

std::optional<Position> parse(std::string_view text)
{
    Position at;
    if (text.empty()) return at;
    if (text.front() != 'j' && text.front() != 'r') return std::nullopt;
    at.rows = text.front() == 'r';
    text.remove_prefix(1);
    if (!take_colon(text) || !take_number(text, at.key.sequence) || !take_colon(text) ||
        !take_number(text, at.key.route) || !take_colon(text))
        return std::nullopt;
    if (!at.rows) at.target = text;
    else if (!take_number(text, at.number) || !text.empty()) return std::nullopt;
    return at;
}

bool contains(const std::vector<DeliveryKey>& ascending, DeliveryKey key)
{
    return std::binary_search(ascending.begin(), ascending.end(), key);
}

std::string text_of(const DeliveryFilter& filter)
{
    std::string text;
    const auto add = [&](const char* key, const std::string& value) {
        if (!value.empty()) text += (text.empty() ? "" : " ") + std::string(key) + "=" + value;
    };
    add("target", filter.target);
    add("rule", filter.rule);
    add("id", filter.event.is_nil() ? filter.delivery : filter.event.text());
    if (filter.received_before != WallTime::max()) add("received_before", to_rfc3339(filter.received_before));
    return text.empty() ? "all" : text;
}

/// Something of the log that two acts have in common.
const char* told_as(DeliveryAct what) noexcept
{
    switch (what) {
        case DeliveryAct::discard: return "discarded by an operator";
        case DeliveryAct::retry_now: return "made due by an operator";
        case DeliveryAct::move: break;
    }
    return "moved to another target by an operator";
}

}  // namespace

struct DeliveryDesk::Desk : std::enable_shared_from_this<Desk> {
    Desk(Journal& j, State& s, Hooks h) : journal(j), state(s), hooks(std::move(h)) {}

    Journal& journal;
    State& state;
    Hooks hooks;

    /// Wraps an answer so that it runs on the desk's thread.
    template <class... Args, class Then>
    std::function<void(Args...)> here(Then then)
    {
        return [self = shared_from_this(), then = std::move(then)](Args... args) {
            self->hooks.post([self, then, ... args = std::move(args)]() mutable { then(std::move(args)...); });
        };
    }

    // --- A piece of a walk ---------------------------------------------------------------------------

    struct Walk {
        DeliveryFilter filter;
        Position at;
        std::size_t limit = 0;
        bool journal_too = true;                  // false: rows only
        std::vector<LaneView> views;
        std::size_t looks = 0;
        DeliveryPage page;
        std::function<void(Result<DeliveryPage>)> done;
    };
    using WalkPtr = std::shared_ptr<Walk>;

    void walk(WalkPtr one)
    {
        if (!one->journal_too && !one->at.rows) one->at = {true, {}, {}, 0};
        std::string target = one->filter.target;
        hooks.views(std::move(target), here<std::vector<LaneView>>([this, one](std::vector<LaneView> views) {
            one->views = std::move(views);
            step(one);
        }));
    }

    void pause(const WalkPtr& one)
    {
        one->page.next = one->at.text();
        one->done(std::move(one->page));
    }

    void step(const WalkPtr& one)
    {
        if (one->page.deliveries.size() >= one->limit || one->looks++ >= looks_max) return pause(one);
        if (one->at.rows) return step_rows(one);
        const auto view = std::find_if(one->views.begin(), one->views.end(), [&](const LaneView& of) {
            return of.has_fresh && of.target >= one->at.target &&
                   (of.target != one->at.target || one->at.key.sequence <= of.seen);
        });
        if (view == one->views.end()) {
            one->at = {true, {}, {}, 0};
            return step_rows(one);
        }
        if (view->target != one->at.target) one->at = {false, view->target, {}, 0};
        const DeliveryKey after = std::max(one->at.key, DeliveryKey{view->position.cursor, all_routes});
        journal.read_lane({view->target, after, view->seen, read_items, read_bytes},
                          here<Result<LaneChunk>>([this, one, after, &of = *view](const Result<LaneChunk>& chunk) {
                              if (!chunk.has_value()) return one->done(chunk.error());
                              if (chunk->items.empty() && chunk->through < of.seen && chunk->through <= after.sequence)
                                  return one->done(fail(Errc::unavailable, "the journal cannot be read now; try again"));
                              take_chunk(*one, of, after, *chunk);
                              step(one);
                          }));
    }

    static void take_chunk(Walk& one, const LaneView& view, DeliveryKey after, const LaneChunk& chunk)
    {
        for (const LaneItem& item : chunk.items) {
            if (one.page.deliveries.size() >= one.limit) return;
            const Event& event = item.event->event;
            const DeliveryKey key{item.event->sequence, item.route};
            one.at.key = key;
            const std::string_view rule = item.event->version->routes[item.event->routes[item.route]].rule;
            if (key <= after || contains(view.position.settled, key) ||
                !one.filter.takes(view.target, rule, event.id, event.received, view.target))
                continue;
            const Stage state = contains(view.in_flight, key) ? Stage::in_flight
                                : contains(view.behind, key) ? Stage::held
                                                             : Stage::waiting;
            one.page.deliveries.push_back({view.target, std::string{rule}, event.id, key, state, 0, std::nullopt,
                                           event.received, false});
            const RouteExtras* const extras = item.event->version->routes.extras(item.event->routes[item.route]);
            if (extras && extras->expire_after > Duration{0})
                one.page.deliveries.back().expires = event.received + extras->expire_after;
        }
        // What comes while a walk takes its time is not of this walk.
        one.at.key = chunk.through >= view.seen ? DeliveryKey{UINT64_MAX, 0}
                                                : std::max(one.at.key, DeliveryKey{chunk.through, all_routes});
    }

    void step_rows(const WalkPtr& one)
    {
        state.pending_rows(one->filter, {one->at.key, one->at.number}, one->limit - one->page.deliveries.size(),
                           here<Result<RowPage>>([this, one](const Result<RowPage>& page) {
                               if (!page.has_value()) return one->done(page.error());
                               for (const RetryRow& row : page->rows) take_row(*one, row);
                               one->at.key = page->through.key;
                               one->at.number = page->through.target;
                               if (page->more) return step(one);
                               one->done(std::move(one->page));
                           }));
    }

    static void take_row(Walk& one, const RetryRow& row)
    {
        const auto view = std::find_if(one.views.begin(), one.views.end(),
                                       [&](const LaneView& of) { return of.target == row.target; });
        const bool flies = view != one.views.end() && contains(view->in_flight, row.key);
        const Stage state = flies           ? Stage::in_flight
                            : row.held()    ? Stage::held
                            : row.delayed() ? Stage::delayed
                                            : Stage::retry;
        std::optional<WallTime> due;
        if (state == Stage::retry || state == Stage::delayed) due = row.due;
        one.page.deliveries.push_back({row.target, row.rule, row.event, row.key, state, row.earlier + row.attempts, due,
                                       row.received, row.letter != 0, row.expires, row.routed_to, true});
    }

    // --- Acts ----------------------------------------------------------------------------------------

    struct Doing {
        DeliveryAct what;
        DeliveryFilter filter;
        std::string to;                           // of a move
        std::size_t left = 0;                     // of the limit
        Act act;
        DeliveriesActed sum;
        std::uint64_t no_room = 0;
        std::size_t pieces = 0;
        std::function<void(Result<DeliveriesActed>)> done;
        // Of the piece under way.
        std::size_t missing = 0;
        unsigned again = 0;
        std::map<std::string, std::vector<PickedDelivery>> picked;
        std::optional<Error> failed;
    };
    using DoingPtr = std::shared_ptr<Doing>;

    void begin(DeliveryAct what, DeliveryFilter filter, std::string to, const std::string& after, std::size_t limit, Act act,
               std::function<void(Result<DeliveriesActed>)> done)
    {
        auto at = parse(after);
        if (!at) return done(fail(Errc::invalid, "'" + after + "' is not the 'next' of a list of deliveries"));
        auto doing = std::make_shared<Doing>();
        doing->what = what;
        doing->filter = std::move(filter);
        doing->to = std::move(to);
        doing->left = limit;
        doing->act = std::move(act);
        doing->done = std::move(done);
        piece(doing, std::move(*at));
    }

    void piece(const DoingPtr& one, Position at)
    {
        auto looking = std::make_shared<Walk>();
        looking->filter = one->filter;
        looking->at = std::move(at);
        looking->limit = std::min(one->left, act_max);
        looking->journal_too = one->what != DeliveryAct::retry_now;
        looking->done = [this, one](Result<DeliveryPage> page) {
            if (!page.has_value()) return finish(one, page.error());
            one->sum.next = page->next;
            one->left -= page->deliveries.size();
            one->picked.clear();
            one->again = 0;
            for (PendingDelivery& delivery : page->deliveries)
                one->picked[delivery.target].push_back({delivery.key, std::move(delivery.rule), delivery.event, delivery.expires, delivery.row});
            hand_over(one);
        };
        walk(std::move(looking));
    }

    void hand_over(const DoingPtr& one)
    {
        auto picked = std::exchange(one->picked, {});
        one->missing = picked.size() + 1;
        for (auto& [target, of] : picked) {
            auto done = here<Result<Acted>>([this, one, name = target](Result<Acted> acted) {
                if (acted.has_value()) add(*one, name, std::move(*acted));
                else one->failed = acted.error();
                handed_over(one);
            });
            if (one->what == DeliveryAct::move) hooks.move(target, one->to, std::move(of), std::move(done));
            else hooks.act(target, one->what, std::move(of), std::move(done));
        }
        handed_over(one);
    }

    static void add(Doing& one, const std::string& target, Acted acted)
    {
        one.sum.done += acted.done;
        one.sum.in_flight += acted.in_flight;
        one.sum.held += acted.held;
        one.no_room += acted.no_room;
        if (!acted.again.empty()) one.picked[target] = std::move(acted.again);
    }

    void handed_over(const DoingPtr& one)
    {
        if (--one->missing > 0) return;
        if (one->failed) return finish(one, *one->failed);
        if (one->no_room > 0)
            return finish(one, fail(Errc::unavailable,
                                    "as many deliveries have ended beyond what the target still has to get as can be remembered; "
                                    "let it deliver, or take all of its deliveries, oldest first"));
        if (!one->picked.empty()) {
            if (++one->again > again_max) return finish(one, fail(Errc::unavailable, "the deliveries keep moving; try again"));
            return hand_over(one);
        }
        if (one->sum.next.empty() || one->left == 0 || ++one->pieces >= looks_max) return finish(one, std::nullopt);
        piece(one, *parse(one->sum.next));
    }

    /// What was done is told in any case.
    static void finish(const DoingPtr& one, const std::optional<Error>& error)
    {
        const std::string of = text_of(one->filter) + (one->to.empty() ? "" : " to=" + one->to);
        if (one->sum.done + one->sum.in_flight > 0)
            log::warn("delivery", told_as(one->what),
                      {{"deliveries", one->sum.done}, {"in_flight", one->sum.in_flight}, {"of", of},
                       {"who", one->act.who}, {"why", one->act.why}});
        if (error) one->done(*error);
        else one->done(one->sum);
    }
};

DeliveryDesk::DeliveryDesk(Journal& journal, State& state, Hooks hooks)
    : desk_(std::make_shared<Desk>(journal, state, std::move(hooks)))
{
}

DeliveryDesk::~DeliveryDesk() = default;

void DeliveryDesk::list(DeliveryFilter filter, std::string after, std::size_t limit,
                        std::function<void(Result<DeliveryPage>)> done)
{
    auto at = parse(after);
    if (!at) return done(fail(Errc::invalid, "'" + after + "' is not the 'next' of a list of deliveries"));
    auto walk = std::make_shared<Desk::Walk>();
    walk->filter = std::move(filter);
    walk->at = std::move(*at);
    walk->limit = limit;
    walk->done = std::move(done);
    desk_->walk(std::move(walk));
}

void DeliveryDesk::act(DeliveryAct what, DeliveryFilter filter, std::string after, std::size_t limit, Act act,
                       std::function<void(Result<DeliveriesActed>)> done)
{
    desk_->begin(what, std::move(filter), {}, after, limit, std::move(act), std::move(done));
}

void DeliveryDesk::move(DeliveryFilter filter, std::string to, std::string after, std::size_t limit, Act act,
                        std::function<void(Result<DeliveriesActed>)> done)
{
    desk_->begin(DeliveryAct::move, std::move(filter), std::move(to), after, limit, std::move(act), std::move(done));
}

}  // namespace eventyard::router
