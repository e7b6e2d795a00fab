#include "router/ingest/intake.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace eventyard::router {
namespace {

class Collector final : public ItemSink {
public:
    Collector(const RouteTable& table, const Bus& bus, std::string& body, WallTime now, Random& random,
              std::vector<std::uint32_t>& rules, MatchMeter& meter, Intake& intake)
        : table_(table), bus_(bus), body_(body), now_(now), random_(random), rules_(rules), meter_(meter),
          intake_(intake), version_(intake.batch ? counted_apart(table.version) : table.version)
    {
        meter_.enter(table, bus);
    }

    void take(const Candidate& item) override
    {
        rules_.clear();
        meter_.match(item.document, rules_);
        std::vector<std::uint32_t> routes;
        for (const std::uint32_t rule : rules_) {
            const auto of_rule = bus_.routes[rule];
            routes.insert(routes.end(), of_rule.begin(), of_rule.end());
        }
        std::sort(routes.begin(), routes.end());
        routes.erase(std::unique(routes.begin(), routes.end()), routes.end());

        if (routes.size() > table_.limits.matches) {
            Refusal refusal;
            refusal.status = 422;
            refusal.code = "too_many_matches";
            refusal.message = fmt::format("the event would make {} deliveries, more than {}",
                                          routes.size(), table_.limits.matches);
            refusal.config = "limits.matches";
            refusal.limit = table_.limits.matches;
            refusal.line = item.line;
            return refuse(std::move(refusal));
        }
        if (routes.empty() && bus_.unmatched == Unmatched::refuse) {
            Refusal refusal;
            refusal.status = 422;
            refusal.code = "unmatched";
            refusal.message = fmt::format("no rule of the bus '{}' matches the event, and the bus "
                                          "refuses such events", bus_.name);
            refusal.config = "unmatched";
            refusal.line = item.line;
            return refuse(std::move(refusal));
        }
        if (const Gate* gate = table_.closed_gate(routes)) {
            Refusal refusal;
            refusal.status = 503;
            refusal.code = "over_budget";
            refusal.message = fmt::format("more than its budget waits for the target '{}', which refuses what is new until it has drained", gate->target);
            refusal.config = "budget.bytes";
            refusal.limit = gate->bytes;
            refusal.retry_after = 10;
            refusal.line = item.line;
            return refuse(std::move(refusal));
        }
        ItemOutcome& outcome = intake_.items.emplace_back();
        outcome.id = new_event_id(now_, random_);
        outcome.deliveries = static_cast<std::uint32_t>(routes.size());
        outcome.line = item.line;
        if (routes.empty() && bus_.unmatched == Unmatched::drop && !archived(item)) return;

        auto stored = std::make_shared<StoredEvent>();
        if (bus_.dedup) stored->once = uniqueness_of(*bus_.dedup, bus_.name, item.document, now_);
        stored->event.id = outcome.id;
        stored->event.received = now_;
        stored->event.format = item.format;
        stored->event.bus = bus_.name;
        if (item.whole_body) stored->event.body = std::move(body_);  // item.text is of no more use
        else stored->event.body = item.text;
        stored->version = version_;
        stored->routes = std::move(routes);
        stored->bus = bus_.number;
        outcome.place = static_cast<std::int64_t>(intake_.events.size());
        intake_.events.push_back(std::move(stored));
    }

    void refuse(Refusal refusal) override
    {
        ItemOutcome& outcome = intake_.items.emplace_back();
        outcome.line = refusal.line;
        outcome.refusal = std::move(refusal);
    }

private:
    /// An archive keeps what matches nothing, too.
    [[nodiscard]] bool archived(const Candidate& item) const
    {
        return bus_.archive && (!bus_.archive->pattern || rules::matches(*bus_.archive->pattern, item.document));
    }

    const RouteTable& table_;
    const Bus& bus_;
    std::string& body_;
    WallTime now_;
    Random& random_;
    std::vector<std::uint32_t>& rules_;
    MatchMeter& meter_;
    Intake& intake_;
    RoutingVersionPtr version_;
};

void append_number(std::string& out, std::string_view key, std::uint64_t value)
{
    const fmt::format_int digits{value};
    out += ",\"";
    out += key;
    out += "\":";
    out.append(digits.data(), digits.size());
}

void append_error(std::string& out, const Refusal& refusal)
{
    out += "\"error\":{\"code\":\"";
    out += refusal.code;
    out += "\",\"message\":";
    json::append_quoted(out, refusal.message);
    if (refusal.offset) append_number(out, "offset", *refusal.offset);
    if (refusal.line != 0) append_number(out, "line", refusal.line);
    if (refusal.config != nullptr) {
        out += ",\"config\":\"";
        out += refusal.config;
        out += '"';
        if (refusal.limit != 0) append_number(out, "limit", refusal.limit);
    }
    out += '}';
}

/// Where an item stands once it is committed.
struct Standing {
    std::uint64_t sequence = 0;
    const Repeated* repeated = nullptr;  // it came before, and stands there
};

Standing standing_of(const ItemOutcome& item, const CommitResult& commit)
{
    const auto place = static_cast<std::uint32_t>(item.place);
    const auto& repeated = commit.repeated;
    const auto at = std::lower_bound(repeated.begin(), repeated.end(), place,
                                     [](const Repeated& one, std::uint32_t wanted) { return one.place < wanted; });
    if (at != repeated.end() && at->place == place) return {at->sequence, &*at};
    return {commit.first + place - static_cast<std::uint64_t>(at - repeated.begin()), nullptr};
}

/// The members of an accepted item. One that came before is told of as that one.
void append_accepted(std::string& out, const ItemOutcome& item, const CommitResult* commit)
{
    const bool stored = item.place >= 0 && commit != nullptr;
    const Standing standing = stored ? standing_of(item, *commit) : Standing{};
    out += "\"id\":\"";
    out += standing.repeated != nullptr ? standing.repeated->event.text() : item.id.text();
    out += '"';
    if (stored) {
        append_number(out, "sequence", standing.sequence);
        out += ",\"stored\":true";
        if (standing.repeated != nullptr) {
            out += ",\"duplicate\":true";
            return;
        }
    } else {
        out += ",\"stored\":false";
    }
    append_number(out, "deliveries", item.deliveries);
}

void append_durability(std::string& out, const CommitResult* commit)
{
    if (commit == nullptr || commit->durability == Durability::fsync) return;
    out += commit->durability == Durability::os ? ",\"durability\":\"os\"" : ",\"durability\":\"memory\"";
}

/// The status of a request none of whose items was accepted.
unsigned refused_status(const Intake& intake)
{
    unsigned status = 0;
    for (const ItemOutcome& item : intake.items) {
        if (!item.refusal || item.refusal->status == 424) continue;
        if (status != 0 && status != item.refusal->status) return 400;
        status = item.refusal->status;
    }
    return status;
}

Answer batch_answer(const Intake& intake, const CommitResult* commit)
{
    Answer out;
    std::size_t refused = 0;
    out.body.reserve(64 + intake.items.size() * 128);
    out.body = "{\"items\":[";
    for (const ItemOutcome& item : intake.items) {
        if (&item != intake.items.data()) out.body += ',';
        const fmt::format_int status{item.refusal ? item.refusal->status : 202U};
        out.body += "{\"status\":";
        out.body.append(status.data(), status.size());
        out.body += ',';
        if (item.refusal) {
            ++refused;
            append_error(out.body, *item.refusal);
        } else {
            append_accepted(out.body, item, commit);
        }
        out.body += '}';
    }
    const std::size_t accepted = intake.items.size() - refused;
    out.body += ']';
    const std::size_t duplicate = commit == nullptr ? 0 : commit->repeated.size();
    append_number(out.body, "accepted", accepted - duplicate);
    if (duplicate > 0) append_number(out.body, "duplicate", duplicate);
    append_number(out.body, "refused", refused);
    append_durability(out.body, commit);
    out.body += '}';
    if (refused > 0) out.status = accepted > 0 ? 207 : refused_status(intake);
    if (out.status == 503)
        for (const ItemOutcome& item : intake.items) out.retry_after = std::max(out.retry_after, item.refusal->retry_after);
    return out;
}

}  // namespace

Intake IntakeDesk::take(const RouteTable& table, const Bus& bus, BodyForm form,
                        const BodyHeaders& headers, std::string& body, bool atomic, WallTime now)
{
    Intake intake;
    intake.batch = is_batch(form);
    intake.durability = bus.durability;
    intake.bus = bus.name;
    Collector collector{table, bus, body, now, random_, rules_, meter_, intake};
    Refusal refusal;
    if (!read_items(form, headers, body, table.limits, scratch_, collector, refusal)) {
        intake.refusal = std::move(refusal);
        return intake;
    }
    const bool any_refused = std::any_of(intake.items.begin(), intake.items.end(),
                                         [](const ItemOutcome& item) { return item.refusal.has_value(); });
    if (atomic && any_refused) {
        intake.events.clear();
        for (ItemOutcome& item : intake.items) {
            if (item.refusal) continue;
            item.refusal.emplace();
            item.refusal->status = 424;
            item.refusal->code = "not_accepted";
            item.refusal->message = "another item of this atomic request was refused";
            item.refusal->line = item.line;
        }
    }
    return intake;
}

Refusal commit_refusal(const Error& error)
{
    Refusal refusal;
    refusal.status = 503;
    refusal.retry_after = 1;
    switch (error.code) {
        case Errc::no_space:
            refusal.code = "no_space";
            refusal.message = "the disk is full, or nearly; nothing was stored";
            refusal.config = "journal.min_free";
            refusal.retry_after = 10;
            break;
        case Errc::unavailable:
            refusal.code = "overloaded";
            refusal.message = "too much waits to be stored; nothing of this request was";
            break;
        case Errc::cancelled:
            refusal.code = "shutting_down";
            refusal.message = "the router is shutting down; nothing was stored";
            break;
        case Errc::io:
            refusal.code = "outcome_unknown";
            refusal.message = "the disk failed; it is not known whether the events were stored";
            break;
        default:
            refusal.code = "not_stored";
            refusal.message = "the events could not be stored";
    }
    return refusal;
}

Answer answer(const Refusal& refusal)
{
    Answer out;
    out.status = refusal.status;
    out.retry_after = refusal.retry_after;
    out.body = "{";
    append_error(out.body, refusal);
    out.body += '}';
    return out;
}

Answer answer(const Intake& intake, const Result<CommitResult>* commit)
{
    if (intake.refusal) return answer(*intake.refusal);
    if (commit != nullptr && !commit->has_value()) return answer(commit_refusal(commit->error()));
    const CommitResult* const done = commit == nullptr ? nullptr : &**commit;
    if (intake.batch) return batch_answer(intake, done);
    const ItemOutcome& item = intake.items.front();
    if (item.refusal) return answer(*item.refusal);
    Answer out;
    out.body = "{";
    append_accepted(out.body, item, done);
    append_durability(out.body, done);
    out.body += '}';
    return out;
}

std::size_t memory_of(const Intake& intake) noexcept
{
    std::size_t bytes = intake.items.capacity() * sizeof(ItemOutcome);
    for (const auto& event : intake.events)
        bytes += sizeof(StoredEvent) + event->routes.capacity() * sizeof(std::uint32_t);
    return bytes;
}

IntakeTally tally(const Intake& intake, const Result<CommitResult>* commit) noexcept
{
    IntakeTally out;
    if (intake.refusal) {
        out.refused = 1;
    } else if (commit != nullptr && !commit->has_value()) {
        out.refused = intake.items.size();
    } else {
        for (const ItemOutcome& item : intake.items) {
            if (item.refusal) ++out.refused;
            else if (commit != nullptr && item.place >= 0 && standing_of(item, **commit).repeated != nullptr) ++out.duplicate;
            else if (item.deliveries > 0) ++out.matched;
            else ++out.unmatched;
        }
        out.accepted = out.matched + out.unmatched;
    }
    return out;
}

}  // namespace eventyard::router
