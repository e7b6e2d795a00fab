#include "router/admin/replay_paths.hpp"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/rfc3339.hpp"
#include "router/admin/paths.hpp"
#include "router/replay_desk.hpp"

namespace eventyard::router::admin {
namespace {

using nlohmann::json;

constexpr double per_second_default = 1000;

json to_json(const ReplayJob& job)
{
    const ReplayRequest& request = job.request;
    json routes = json::array();
    for (const auto& [route, n] : job.routes)
        routes.push_back({{"rule", route.first}, {"target", route.second}, {"deliveries", n}});
    json out{{"id", job.id},
             {"state", text_of(job.state)},
             {"bus", request.bus},
             {"first", job.begin},
             {"last", job.through},
             {"at", job.cursor},
             {"rule", request.rule},
             {"target", request.target},
             {"per_second", request.per_second},
             {"dry_run", request.dry_run},
             {"same_ids", request.same_ids},
             {"read", job.read},
             {"events", job.events},
             {"deliveries", job.deliveries},
             {"unreadable", job.unreadable},
             {"routes", std::move(routes)},
             {"message", job.message},
             {"who", job.who},
             {"why", job.why},
             {"created", to_rfc3339(job.created)},
             {"changed", to_rfc3339(job.changed)}};
    if (request.from != WallTime{}) out["from"] = to_rfc3339(request.from);
    if (request.before != WallTime{}) out["before"] = to_rfc3339(request.before);
    if (job.earliest != WallTime{}) {
        out["earliest"] = to_rfc3339(job.earliest);
        out["latest"] = to_rfc3339(job.latest);
    }
    return out;
}

bool sequence(const Request& request, const char* key, Sequence& value)
{
    const std::string text = query(request, key);
    std::int64_t n = 0;
    if (text.empty()) return true;
    if (!number(text, n) || n < 1) return false;
    value = static_cast<Sequence>(n);
    return true;
}

/// The sentence to refuse it with, or nothing.
std::string read_request(const Request& request, ReplayRequest& replay)
{
    if (std::string why = refused_parameters_of_act(request, {"bus", "first", "last", "from", "before", "rule", "target",
                                                              "per_second", "dry_run", "same_ids"});
        !why.empty())
        return why;
    if (const std::string bus = query(request, "bus"); !bus.empty()) replay.bus = bus;
    if (!sequence(request, "first", replay.first) || !sequence(request, "last", replay.last))
        return "first and last must be sequences, from 1";
    if (replay.last != 0 && replay.first > replay.last) return "last is before first: there is no event between them";
    for (const char* const key : {"from", "before"}) {
        const std::string text = query(request, key);
        if (text.empty()) continue;
        const auto time = parse_rfc3339(text);
        if (!time) return std::string(key) + " must be a time such as 2026-11-25T08:00:00Z";
        (key[0] == 'f' ? replay.from : replay.before) = *time;
    }
    if (replay.before != WallTime{} && replay.from >= replay.before)
        return "before is not later than from: there is no event between them";
    replay.rule = query(request, "rule");
    replay.target = query(request, "target");
    if (std::string why = read_flag(request, "dry_run", replay.dry_run); !why.empty()) return why;
    if (std::string why = read_flag(request, "same_ids", replay.same_ids); !why.empty()) return why;
    replay.per_second = per_second_default;
    if (const std::string text = query(request, "per_second"); !text.empty()) {
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), replay.per_second);
        if (ec != std::errc{} || end != text.data() + text.size() ||
            !(replay.per_second >= 0 && replay.per_second <= ReplayDesk::per_second_max))
            return "per_second must be a number from 0 (no limit) to 1000000";
    }
    return {};
}

Answer answer(const Result<ReplayJob>& job)
{
    return job.has_value() ? Answer{200, dump(to_json(*job))} : failure(job.error());
}

bool is_cancel(const std::string& path)
{
    const std::string verb = "/cancel";
    return path.size() > replays_path.size() + 1 + verb.size() && path.rfind(replays_path + "/", 0) == 0 && path.ends_with(verb);
}

}  // namespace

bool acts_on_replays(const std::string& path) { return path == replays_path || is_cancel(path); }

bool get_replays(Backend& backend, const Request& request, const Respond& respond)
{
    const std::string& path = request.path;
    if (path != replays_path && path.rfind(replays_path + "/", 0) != 0) return false;
    if (const std::string why = refused_parameters(request, {}); !why.empty()) {
        respond(error_answer(400, why));
        return true;
    }
    std::int64_t id = 0;
    const bool one = path != replays_path;
    const std::string text = one ? path.substr(replays_path.size() + 1) : "";
    if (one && !number(text, id)) {
        respond(error_answer(400, "'" + text + "' is not the id of a replay"));
        return true;
    }
    json all = json::array();
    for (const ReplayJob& job : backend.replays()) {
        if (one && job.id == id) {
            respond({200, dump(to_json(job))});
            return true;
        }
        all.push_back(to_json(job));
    }
    respond(one ? error_answer(404, "no replay has id " + text) : Answer{200, dump({{"replays", std::move(all)}})});
    return true;
}

bool act_on_replays(Backend& backend, const Request& request, const Respond& respond)
{
    if (!acts_on_replays(request.path)) return false;
    if (is_cancel(request.path)) {
        std::int64_t id = 0;
        const std::size_t from = replays_path.size() + 1;
        const std::string text = request.path.substr(from, request.path.rfind('/') - from);
        if (const std::string why = refused_parameters_of_act(request); !why.empty())
            respond(error_answer(400, why));
        else
            respond(number(text, id) ? answer(backend.cancel_replay(id, act_of(request)))
                                     : error_answer(400, "'" + text + "' is not the id of a replay"));
        return true;
    }
    ReplayRequest replay;
    const std::string why = read_request(request, replay);
    respond(why.empty() ? answer(backend.replay(std::move(replay), act_of(request))) : error_answer(400, why));
    return true;
}

}  // namespace eventyard::router::admin
