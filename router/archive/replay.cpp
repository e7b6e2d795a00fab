#include "router/archive/replay.hpp"

#include <nlohmann/json.hpp>

namespace eventyard::router {
namespace {

using nlohmann::json;

constexpr int replay_format = 1;
constexpr ReplayState states[] = {ReplayState::running, ReplayState::done, ReplayState::cancelled, ReplayState::failed};

std::int64_t count_of(WallTime time) { return time.time_since_epoch().count(); }
WallTime time_of(const json& in, const char* key) { return WallTime{Duration{in.at(key).get<std::int64_t>()}}; }

}  // namespace

const char* text_of(ReplayState state) noexcept
{
    switch (state) {
        case ReplayState::running: return "running";
        case ReplayState::done: return "done";
        case ReplayState::cancelled: return "cancelled";
        case ReplayState::failed: break;
    }
    return "failed";
}

std::string encode_replay(const ReplayJob& job)
{
    const ReplayRequest& r = job.request;
    json routes = json::array();
    for (const auto& [route, n] : job.routes) routes.push_back({route.first, route.second, n});
    return json{{"format", replay_format},
                {"id", job.id},
                {"tag", job.tag},
                {"bus", r.bus},
                {"first", r.first},
                {"last", r.last},
                {"from", count_of(r.from)},
                {"before", count_of(r.before)},
                {"rule", r.rule},
                {"target", r.target},
                {"per_second", r.per_second},
                {"same_ids", r.same_ids},
                {"state", text_of(job.state)},
                {"begin", job.begin},
                {"through", job.through},
                {"cursor", job.cursor},
                {"next", job.next},
                {"mark", job.mark},
                {"next_read", job.next_read},
                {"next_unreadable", job.next_unreadable},
                {"read", job.read},
                {"events", job.events},
                {"deliveries", job.deliveries},
                {"unreadable", job.unreadable},
                {"earliest", count_of(job.earliest)},
                {"latest", count_of(job.latest)},
                {"routes", std::move(routes)},
                {"message", job.message},
                {"who", job.who},
                {"why", job.why},
                {"created", count_of(job.created)},
                {"changed", count_of(job.changed)}}
               .dump(2, ' ', false, json::error_handler_t::replace) +
           "\n";
}

Result<ReplayJob> decode_replay(const std::string& text)
{
    try {
        const json in = json::parse(text);
        if (in.at("format").get<int>() > replay_format) return fail(Errc::unsupported, "a replay of a newer version");
        ReplayJob job;
        ReplayRequest& r = job.request;
        in.at("id").get_to(job.id);
        in.at("tag").get_to(job.tag);
        in.at("bus").get_to(r.bus);
        in.at("first").get_to(r.first);
        in.at("last").get_to(r.last);
        r.from = time_of(in, "from");
        r.before = time_of(in, "before");
        in.at("rule").get_to(r.rule);
        in.at("target").get_to(r.target);
        in.at("per_second").get_to(r.per_second);
        in.at("same_ids").get_to(r.same_ids);
        job.state = ReplayState::failed;
        for (const ReplayState state : states)
            if (in.at("state").get<std::string>() == text_of(state)) job.state = state;
        in.at("begin").get_to(job.begin);
        in.at("through").get_to(job.through);
        in.at("cursor").get_to(job.cursor);
        in.at("next").get_to(job.next);
        in.at("mark").get_to(job.mark);
        in.at("next_read").get_to(job.next_read);
        job.next_unreadable = in.value("next_unreadable", std::uint64_t{0});  // younger than the format
        in.at("read").get_to(job.read);
        in.at("events").get_to(job.events);
        in.at("deliveries").get_to(job.deliveries);
        in.at("unreadable").get_to(job.unreadable);
        job.earliest = time_of(in, "earliest");
        job.latest = time_of(in, "latest");
        for (const json& route : in.at("routes"))
            job.routes[{route.at(0).get<std::string>(), route.at(1).get<std::string>()}] = route.at(2).get<std::uint64_t>();
        in.at("message").get_to(job.message);
        in.at("who").get_to(job.who);
        in.at("why").get_to(job.why);
        job.created = time_of(in, "created");
        job.changed = time_of(in, "changed");
        return job;
    } catch (const json::exception& error) {
        return fail(Errc::corrupt, std::string("not a replay: ") + error.what());
    }
}

}  // namespace eventyard::router
