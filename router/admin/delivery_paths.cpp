#include "router/admin/delivery_paths.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/units.hpp"
#include "router/admin/paths.hpp"
#include "router/replay_name.hpp"

namespace eventyard::router::admin {
namespace {

using nlohmann::json;

const std::string deliveries_path = "/v1/deliveries";
constexpr std::int64_t list_default = 100, list_max = 10'000;
constexpr std::int64_t act_default = 20'000, act_max = 100'000;

json to_json(const PendingDelivery& delivery, WallTime now)
{
    const std::string& addressee = delivery.routed_to.empty() ? delivery.target : delivery.routed_to;
    json out{{"id", stored_delivery_id(delivery.event, delivery.rule, addressee)},
             {"event", delivery.event.text()},
             {"sequence", delivery.key.sequence},
             {"rule", delivery.rule},
             {"target", delivery.target},
             {"state", text_of(delivery.state)},
             {"attempts", delivery.attempts},
             {"due", nullptr},
             {"age_seconds", std::max<std::int64_t>(
                                 0, std::chrono::duration_cast<std::chrono::seconds>(now - delivery.received).count())}};
    if (delivery.due) out["due"] = to_rfc3339(*delivery.due);
    if (delivery.redriven) out["redriven"] = true;
    if (!delivery.routed_to.empty()) out["routed_to"] = delivery.routed_to;
    return out;
}

json next_of(const std::string& next) { return next.empty() ? json() : json(next); }

/// The sentence to refuse the request with, or nothing.
std::string read_filter(const Request& request, WallTime now, DeliveryFilter& filter,
                        std::vector<std::string_view> more = {"target", "all"})
{
    more.insert(more.end(), {"rule", "id", "older_than", "after", "limit"});
    if (std::string why = refused_parameters_of_act(request, std::move(more)); !why.empty()) return why;
    filter.target = query(request, "target");
    filter.rule = query(request, "rule");
    if (const std::string id = query(request, "id"); id.rfind("dlv_", 0) == 0) {
        filter.delivery = id;
    } else if (!id.empty()) {
        const auto event = parse_id(id);
        if (!event || event->is_nil()) return "id must be the id of an event, or of a delivery (dlv_...)";
        filter.event = *event;
    }
    const std::string older_than = query(request, "older_than");
    if (older_than.empty()) return {};
    const auto age = parse_duration(older_than);
    if (!age || *age <= Duration{0}) return "older_than must be a duration such as 90m or 7d";
    filter.received_before = now - *age;
    return {};
}

bool narrow(const DeliveryFilter& filter)
{
    return !filter.target.empty() || !filter.rule.empty() || !filter.delivery.empty() || !filter.event.is_nil() ||
           filter.received_before != WallTime::max();
}

/// 0: it is no number from 1 to `most`.
std::size_t read_limit(const Request& request, std::int64_t least_said, std::int64_t most)
{
    std::int64_t limit = least_said;
    if (const std::string text = query(request, "limit"); !text.empty() && !number(text, limit)) return 0;
    return limit < 1 || limit > most ? 0 : static_cast<std::size_t>(limit);
}

Answer bad_limit(std::int64_t most) { return error_answer(400, "limit must be a number from 1 to " + std::to_string(most)); }

}  // namespace

bool acts_on_deliveries(const std::string& path)
{
    return path == deliveries_path + "/discard" || path == deliveries_path + "/retry-now";
}

bool get_deliveries(Backend& backend, const Request& request, const Respond& respond)
{
    if (request.path != deliveries_path) return false;
    DeliveryFilter filter;
    const std::string why = read_filter(request, backend.now(), filter);
    const std::size_t limit = read_limit(request, list_default, list_max);
    if (!why.empty()) {
        respond(error_answer(400, why));
    } else if (limit == 0) {
        respond(bad_limit(list_max));
    } else {
        backend.deliveries(std::move(filter), query(request, "after"), limit,
                           [respond, now = backend.now()](const Result<DeliveryPage>& page) {
                               if (!page.has_value()) return respond(failure(page.error()));
                               json all = json::array();
                               for (const PendingDelivery& one : page->deliveries) all.push_back(to_json(one, now));
                               respond({200, dump({{"deliveries", std::move(all)}, {"next", next_of(page->next)}})});
                           });
    }
    return true;
}

bool act_on_deliveries(Backend& backend, const Request& request, const Respond& respond)
{
    if (!acts_on_deliveries(request.path)) return false;
    const DeliveryAct what =
        request.path == deliveries_path + "/discard" ? DeliveryAct::discard : DeliveryAct::retry_now;
    DeliveryFilter filter;
    const Act act = act_of(request);
    const std::size_t limit = read_limit(request, act_default, act_max);
    bool all = false;
    if (const std::string why = read_filter(request, backend.now(), filter); !why.empty()) {
        respond(error_answer(400, why));
    } else if (const std::string bad = read_flag(request, "all", all); !bad.empty()) {
        respond(error_answer(400, bad));
    } else if (!narrow(filter) && !all) {
        respond(error_answer(400, "which deliveries? give target, rule, id or older_than, or all=true"));
    } else if (what == DeliveryAct::discard && act.why.empty()) {
        respond(error_answer(400, "why are they discarded? give why=..., for the log"));
    } else if (limit == 0) {
        respond(bad_limit(act_max));
    } else {
        backend.act_on_deliveries(what, std::move(filter), query(request, "after"), limit, act,
                                  [respond, what](const Result<DeliveriesActed>& acted) {
                                      if (!acted.has_value()) return respond(failure(acted.error()));
                                      json out{{"next", next_of(acted->next)}};
                                      if (what == DeliveryAct::discard) {
                                          out["discarded"] = acted->done;
                                          out["in_flight"] = acted->in_flight;
                                      } else {
                                          out["due_now"] = acted->done;
                                          out["held"] = acted->held;
                                      }
                                      respond({200, dump(out)});
                                  });
    }
    return true;
}

void move_deliveries(Backend& backend, const Request& request, const std::string& from, const Respond& respond)
{
    DeliveryFilter filter;
    const Act act = act_of(request);
    const std::size_t limit = read_limit(request, act_default, act_max);
    const std::string to = query(request, "to");
    bool dry_run = false;
    if (const std::string why = read_filter(request, backend.now(), filter, {"to", "dry_run"}); !why.empty())
        return respond(error_answer(400, why));
    if (to.empty()) return respond(error_answer(400, "where to? give to=TARGET"));
    if (const std::string why = read_flag(request, "dry_run", dry_run); !why.empty()) return respond(error_answer(400, why));
    if (!dry_run && act.why.empty()) return respond(error_answer(400, "why are they moved? give why=..., for the log"));
    if (limit == 0) return respond(bad_limit(act_max));
    filter.target = from;
    backend.move_deliveries(std::move(filter), to, dry_run, query(request, "after"), limit, act,
                            [respond, dry_run](const Result<DeliveriesActed>& moved) {
                                if (!moved.has_value()) return respond(failure(moved.error()));
                                json out{{"next", next_of(moved->next)}};
                                out[dry_run ? "would_move" : "moved"] = moved->done;
                                if (!dry_run) out["in_flight"] = moved->in_flight;
                                respond({200, dump(out)});
                            });
}

}  // namespace eventyard::router::admin
