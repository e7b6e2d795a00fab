#include "router/state/dead_letter.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace eventyard::router {
namespace {

using nlohmann::json;
using State = RedriveJob::State;

constexpr std::pair<State, const char*> states[] = {{State::trial, "trial"},
                                                    {State::running, "running"},
                                                    {State::done, "done"},
                                                    {State::stopped, "stopped"},
                                                    {State::cancelled, "cancelled"}};

std::int64_t ticks(WallTime time) { return time.time_since_epoch().count(); }
WallTime time_of(const json& value) { return WallTime{Duration{value.get<std::int64_t>()}}; }

}  // namespace

bool DeadLetterFilter::takes(const DeadLetter& letter) const noexcept
{
    const auto is = [](const std::string& wanted, const std::string& value) {
        return wanted.empty() || wanted == value;
    };
    return letter.group != 0 && letter.id > after_id && (until_id == 0 || letter.id <= until_id) &&
           (group == 0 || letter.group == group) && (event.is_nil() || letter.event == event) && (dead_from == WallTime{} || letter.dead >= dead_from) &&
           (dead_before == WallTime{} || letter.dead < dead_before) && is(target, letter.target) &&
           is(rule, letter.rule) && is(reason, letter.reason) && is(cause, letter.cause) &&
           (ids.empty() || std::binary_search(ids.begin(), ids.end(), letter.id));
}

const char* text_of(RedriveJob::State state) noexcept
{
    for (const auto& [value, text] : states)
        if (value == state) return text;
    return "unknown";
}

std::string encode(const RedriveJob& job)
{
    const DeadLetterFilter& f = job.filter;
    json trial = json::array();
    for (const TrialKey& one : job.trial)
        trial.push_back({one.target, one.key.sequence, one.key.route});
    const json out{{"redrive", job.id},
                   {"state", text_of(job.state)},
                   {"target", f.target},
                   {"rule", f.rule},
                   {"reason", f.reason},
                   {"cause", f.cause},
                   {"group", f.group},
                   {"from", ticks(f.dead_from)},
                   {"before", ticks(f.dead_before)},
                   {"ids", f.ids},
                   {"after", f.after_id},
                   {"until", f.until_id},
                   {"per_second", job.per_second},
                   {"total", job.total},
                   {"redriven", job.redriven},
                   {"skipped", job.skipped},
                   {"erased", job.erased},
                   {"trial", std::move(trial)},
                   {"who", job.who},
                   {"why", job.why},
                   {"message", job.message},
                   {"created", ticks(job.created)},
                   {"changed", ticks(job.changed)}};
    return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<RedriveJob> decode_redrive(std::string_view text)
{
    try {
        const json in = json::parse(text);
        RedriveJob job;
        job.id = in.at("redrive");
        const std::string state = in.at("state");
        const auto found = std::find_if(std::begin(states), std::end(states),
                                        [&](const auto& one) { return state == one.second; });
        if (found == std::end(states)) return fail(Errc::unsupported, "state: a redrive is in no known state");
        job.state = found->first;
        DeadLetterFilter& f = job.filter;
        f.target = in.at("target");
        f.rule = in.at("rule");
        f.reason = in.at("reason");
        f.cause = in.at("cause");
        f.group = in.at("group");
        f.dead_from = time_of(in.at("from"));
        f.dead_before = time_of(in.at("before"));
        f.ids = in.at("ids").get<std::vector<std::int64_t>>();
        f.after_id = in.at("after");
        f.until_id = in.at("until");
        job.per_second = in.at("per_second");
        job.total = in.at("total");
        job.redriven = in.at("redriven");
        job.skipped = in.at("skipped");
        job.erased = in.value("erased", std::uint64_t{0});  // not known to former binaries
        for (const json& one : in.at("trial"))
            job.trial.push_back({one.at(0), {one.at(1), one.at(2)}});
        job.who = in.at("who");
        job.why = in.at("why");
        job.message = in.at("message");
        job.created = time_of(in.at("created"));
        job.changed = time_of(in.at("changed"));
        return job;
    } catch (const json::exception& error) {
        return fail(Errc::unsupported, std::string("state: a redrive cannot be read: ") + error.what());
    }
}

}  // namespace eventyard::router
