#include "router/admin/event_paths.hpp"

#include <nlohmann/json.hpp>

#include "router/admin/paths.hpp"

namespace eventyard::router::admin {
namespace {

const std::string events_path = "/v1/events/", erase_verb = "/erase";

}  // namespace

bool acts_on_events(const std::string& path)
{
    return path.size() > events_path.size() + erase_verb.size() && path.rfind(events_path, 0) == 0 && path.ends_with(erase_verb);
}

bool act_on_events(Backend& backend, const Request& request, const Respond& respond)
{
    if (!acts_on_events(request.path)) return false;
    const std::string text =
        request.path.substr(events_path.size(), request.path.size() - events_path.size() - erase_verb.size());
    const auto event = parse_id(text);
    const Act act = act_of(request);
    if (const std::string why = refused_parameters_of_act(request); !why.empty()) {
        respond(error_answer(400, why));
    } else if (text.rfind("dlv_", 0) == 0) {
        respond(error_answer(400, "'" + text + "' is the id of a delivery; lists of deliveries and dead letters tell its event's"));
    } else if (!event || event->is_nil()) {
        respond(error_answer(400, "'" + text + "' is not the id of an event"));
    } else if (act.why.empty()) {
        respond(error_answer(400, "why is it erased? give why=..., for the log"));
    } else {
        backend.erase(*event, act, [respond, id = event->text()](const Result<Erased>& erased) {
            if (!erased.has_value()) return respond(failure(erased.error()));
            respond({200, dump({{"event", id},
                                {"journal", erased->journal},
                                {"archive_files", erased->archive_files},
                                {"dead_letters", erased->dead_letters},
                                {"discarded", erased->discarded},
                                {"in_flight", erased->in_flight},
                                {"left", erased->left}})});
        });
    }
    return true;
}

}  // namespace eventyard::router::admin
