#include "router/admin/dead_letter_paths.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/units.hpp"
#include "router/admin/paths.hpp"
#include "targets/outcome.hpp"

namespace eventyard::router::admin {
namespace {

using nlohmann::json;

const std::string letters_path = "/v1/dead-letters";
const std::string redrives_path = "/v1/redrives";
constexpr std::int64_t limit_max = 1000;
constexpr std::size_t ids_max = 1000;
constexpr double per_second_default = 100, per_second_max = 100'000;

const char* text_of(EventFormat format)
{
    switch (format) {
        case EventFormat::cloudevents: return "cloudevents";
        case EventFormat::erased: return "erased";
        case EventFormat::json: break;
    }
    return "json";
}

json to_json(const AttemptRecord& attempt)
{
    json out{{"at", to_rfc3339(attempt.at)},
             {"status", attempt.status},
             {"cause", attempt.cause},
             {"detail", attempt.detail},
             {"latency_ms", std::chrono::duration_cast<std::chrono::milliseconds>(attempt.latency).count()}};
    put_bytes(out, "response", attempt.response);
    return out;
}

json to_json(const std::vector<AttemptRecord>& trail)
{
    json out = json::array();
    for (const AttemptRecord& attempt : trail) out.push_back(to_json(attempt));
    return out;
}

json to_json(const DeadLetter& letter)
{
    json out{{"id", letter.id},
             {"target", letter.target},
             {"rule", letter.rule},
             {"bus", letter.bus},
             {"sequence", letter.key.sequence},
             {"event", letter.event.text()},
             {"delivery_id", letter.delivery_id},
             {"format", text_of(letter.format)},
             {"reason", letter.reason},
             {"cause", letter.cause},
             {"last_status", letter.last_status},
             {"last_detail", letter.last_detail},
             {"attempts", letter.attempts},
             {"redrives", letter.redrives},
             {"received", to_rfc3339(letter.received)},
             {"dead", to_rfc3339(letter.dead)}};
    put_bytes(out, "last_response", letter.last_response);
    if (letter.group != 0) out["group"] = letter.group;
    else out["redriven"] = true;  // pending again
    if (!letter.forward_to.empty()) out["forward_to"] = letter.forward_to;
    return out;
}

void put_body(json& out, const DeadLetter& letter)
{
    put_bytes(out, "body", letter.body);
    if (!letter.input.empty()) out["input"] = letter.input;
}

json to_json(const DeadLetterGroup& group)
{
    return {{"group", group.id},
            {"target", group.target},
            {"cause", group.cause},
            {"fingerprint", group.fingerprint},
            {"count", group.letters},
            {"bytes", group.bytes},
            {"first", to_rfc3339(group.first)},
            {"last", to_rfc3339(group.last)},
            {"sample", to_json(group.sample)}};
}

json to_json(const RedriveJob& job)
{
    json filter = json::object();
    const DeadLetterFilter& f = job.filter;
    for (const auto& [key, value] : {std::pair{"target", &f.target}, {"rule", &f.rule}, {"reason", &f.reason}, {"cause", &f.cause}})
        if (!value->empty()) filter[key] = *value;
    if (f.group != 0) filter["group"] = f.group;
    if (f.dead_from != WallTime{}) filter["dead_from"] = to_rfc3339(f.dead_from);
    if (f.dead_before != WallTime{}) filter["dead_before"] = to_rfc3339(f.dead_before);
    if (!f.ids.empty()) filter["ids"] = f.ids;
    return {{"id", job.id},
            {"state", text_of(job.state)},
            {"filter", std::move(filter)},
            {"per_second", job.per_second},
            {"total", job.total},
            {"redriven", job.redriven},
            {"skipped", job.skipped},
            {"erased", job.erased},
            {"trial", job.trial.size()},
            {"message", job.message},
            {"who", job.who},
            {"why", job.why},
            {"created", to_rfc3339(job.created)},
            {"changed", to_rfc3339(job.changed)}};
}

/// A word that nothing is kept under finds nothing, which would look like good news.
std::string unknown_word(const char* key, const std::string& word, const std::vector<std::string>& known)
{
    if (word.empty() || std::find(known.begin(), known.end(), word) != known.end()) return {};
    std::string text;
    for (const std::string& one : known) text += (text.empty() ? "" : ", ") + one;
    return std::string("no dead letter has the ") + key + " '" + word + "'; there are " + text;
}

const std::vector<std::string>& causes()
{
    static const std::vector<std::string> all = [] {
        std::vector<std::string> words;
        for (int cause = 0; cause <= static_cast<int>(targets::Cause::internal); ++cause)
            words.emplace_back(targets::text_of(static_cast<targets::Cause>(cause)));
        return words;
    }();
    return all;
}

/// Reads the filter's parameters; the sentence to refuse them with, or nothing.
std::string read_filter(const Request& request, WallTime now, DeadLetterFilter& filter)
{
    if (std::string why = unknown_word("reason", query(request, "reason"),
                                       {"max_attempts", "max_age", "final_status", "too_large", "rejected", "overflow"});
        !why.empty())
        return why;
    if (std::string why = unknown_word("cause", query(request, "cause"), causes()); !why.empty()) return why;
    filter.target = query(request, "target");
    filter.rule = query(request, "rule");
    filter.reason = query(request, "reason");
    filter.cause = query(request, "cause");
    if (const std::string text = query(request, "group"); !text.empty() && (!number(text, filter.group) || filter.group < 1))
        return "group must be the number of a group; /v1/dead-letters/groups lists them";
    for (const char* const key : {"older_than", "newer_than"}) {
        const std::string text = query(request, key);
        if (text.empty()) continue;
        const auto age = parse_duration(text);
        if (!age) return std::string(key) + " must be a duration such as 90m or 7d";
        (key[0] == 'o' ? filter.dead_before : filter.dead_from) = now - *age;
    }
    const std::string ids = query(request, "ids");
    for (std::size_t at = 0; at < ids.size();) {
        const std::size_t end = std::min(ids.find(',', at), ids.size());
        std::int64_t id = 0;
        if (!number(ids.substr(at, end - at), id) || id < 1 || filter.ids.size() >= ids_max)
            return "ids must be up to 1000 ids of dead letters with commas between them";
        filter.ids.push_back(id);
        at = end + 1;
    }
    std::sort(filter.ids.begin(), filter.ids.end());
    return {};
}

bool narrow(const DeadLetterFilter& f)
{
    return !f.target.empty() || !f.rule.empty() || !f.reason.empty() || !f.cause.empty() || f.group != 0 ||
           f.dead_from != WallTime{} || f.dead_before != WallTime{} || !f.ids.empty();
}

void list(Backend& backend, const Request& request, DeadLetterFilter filter, const Respond& respond)
{
    std::int64_t limit = 100;
    if (const std::string text = query(request, "limit"); !text.empty() && !number(text, limit)) limit = 0;
    if (limit < 1 || limit > limit_max) return respond(error_answer(400, "limit must be a number from 1 to 1000"));
    if (const std::string text = query(request, "after"); !text.empty() && !number(text, filter.after_id))
        return respond(error_answer(400, "after must be the id of a dead letter"));
    filter.limit = static_cast<std::size_t>(limit);
    bool whole = false;
    if (const std::string why = read_flag(request, "whole", whole); !why.empty()) return respond(error_answer(400, why));
    filter.bodies = filter.trails = whole;
    backend.dead_letters(std::move(filter), [respond, whole](const Result<DeadLetterPage>& page) {
        if (!page.has_value()) return respond(failure(page.error()));
        json all = json::array();
        for (const DeadLetter& letter : page->letters) {
            all.push_back(to_json(letter));
            if (!whole) continue;
            put_body(all.back(), letter);
            all.back()["trail"] = to_json(letter.trail);
        }
        json next;
        if (page->more) next = page->through;
        respond({200, dump({{"dead_letters", std::move(all)}, {"next", std::move(next)}})});
    });
}

void groups(Backend& backend, DeadLetterFilter filter, const Respond& respond)
{
    backend.dead_letter_groups(std::move(filter), [respond](const Result<std::vector<DeadLetterGroup>>& groups) {
        if (!groups.has_value()) return respond(failure(groups.error()));
        json all = json::array();
        for (const DeadLetterGroup& group : *groups) all.push_back(to_json(group));
        respond({200, dump({{"groups", std::move(all)}})});
    });
}

void show(Backend& backend, const std::string& id_text, const Respond& respond)
{
    std::int64_t id = 0;
    if (!number(id_text, id)) return respond(error_answer(400, "'" + id_text + "' is not the id of a dead letter"));
    backend.dead_letter(id, [respond](const Result<DeadLetter>& letter, const std::vector<AttemptRecord>& trail) {
        if (!letter.has_value()) return respond(failure(letter.error()));
        json out = to_json(*letter);
        put_body(out, *letter);
        out["trail"] = to_json(trail);
        respond({200, dump(out)});
    });
}

Answer answer(const Result<RedriveJob>& job)
{
    return job.has_value() ? Answer{200, dump(to_json(*job))} : failure(job.error());
}

void redrive(Backend& backend, const Request& request, DeadLetterFilter filter, const Respond& respond)
{
    double per_second = per_second_default;
    if (const std::string text = query(request, "per_second"); !text.empty()) {
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), per_second);
        if (ec != std::errc{} || end != text.data() + text.size() || !(per_second >= 0 && per_second <= per_second_max))
            return respond(error_answer(400, "per_second must be a number from 0 (no limit) to 100000"));
    }
    backend.redrive(std::move(filter), per_second, act_of(request),
                    [respond](const Result<RedriveJob>& job) { respond(answer(job)); });
}

void discard(Backend& backend, const Request& request, DeadLetterFilter filter, const Respond& respond)
{
    bool dry_run = false;
    if (const std::string why = read_flag(request, "dry_run", dry_run); !why.empty()) return respond(error_answer(400, why));
    backend.discard(std::move(filter), dry_run, act_of(request), [respond, dry_run](const Result<std::uint64_t>& letters) {
        respond(letters.has_value() ? Answer{200, dump({{dry_run ? "would_discard" : "discarded", *letters}})}
                                    : failure(letters.error()));
    });
}

void get_redrives(Backend& backend, const std::string& id_text, const Respond& respond)
{
    json all = json::array();
    std::int64_t id = 0;
    if (!id_text.empty() && !number(id_text, id))
        return respond(error_answer(400, "'" + id_text + "' is not the id of a redrive"));
    for (const RedriveJob& job : backend.redrives()) {
        if (job.id == id) return respond({200, dump(to_json(job))});
        all.push_back(to_json(job));
    }
    respond(id_text.empty() ? Answer{200, dump({{"redrives", std::move(all)}})}
                            : error_answer(404, "no redrive has id " + id_text));
}

/// The parameters that a filter has, and those of what is done with it; the sentence to refuse others with, or nothing.
std::string refused(const Request& request, std::vector<std::string_view> more, bool act)
{
    more.insert(more.begin(), {"ids", "target", "rule", "reason", "cause", "group", "older_than", "newer_than", "all"});
    return act ? refused_parameters_of_act(request, std::move(more)) : refused_parameters(request, more);
}

bool is_cancel(const std::string& path)
{
    const std::string verb = "/cancel";
    return path.rfind(redrives_path + "/", 0) == 0 && path.size() > redrives_path.size() + 1 + verb.size() &&
           path.compare(path.size() - verb.size(), verb.size(), verb) == 0;
}

}  // namespace

bool acts_on_dead_letters(const std::string& path)
{
    return path == letters_path + "/redrive" || path == letters_path + "/discard" || is_cancel(path);
}

bool get_dead_letters(Backend& backend, const Request& request, const Respond& respond)
{
    const std::string& path = request.path;
    if (path == redrives_path || path.rfind(redrives_path + "/", 0) == 0) {
        if (const std::string why = refused_parameters(request, {}); !why.empty()) respond(error_answer(400, why));
        else get_redrives(backend, path == redrives_path ? "" : path.substr(redrives_path.size() + 1), respond);
        return true;
    }
    if (path != letters_path && path.rfind(letters_path + "/", 0) != 0) return false;
    DeadLetterFilter filter;
    const bool by_filter = path == letters_path || path == letters_path + "/groups";
    std::string why = path == letters_path ? refused(request, {"limit", "after", "whole"}, false)
                      : by_filter          ? refused(request, {}, false)
                                           : refused_parameters(request, {});
    if (why.empty() && by_filter) why = read_filter(request, backend.now(), filter);
    if (!why.empty())
        respond(error_answer(400, why));
    else if (path == letters_path)
        list(backend, request, std::move(filter), respond);
    else if (by_filter)
        groups(backend, std::move(filter), respond);
    else
        show(backend, path.substr(letters_path.size() + 1), respond);
    return true;
}

bool act_on_dead_letters(Backend& backend, const Request& request, const Respond& respond)
{
    const std::string& path = request.path;
    if (is_cancel(path)) {
        std::int64_t id = 0;
        const std::size_t from = redrives_path.size() + 1;
        const std::string text = path.substr(from, path.rfind('/') - from);
        if (const std::string why = refused_parameters_of_act(request); !why.empty())
            respond(error_answer(400, why));
        else if (number(text, id))
            backend.cancel_redrive(id, act_of(request), [respond](const Result<RedriveJob>& job) { respond(answer(job)); });
        else
            respond(error_answer(400, "'" + text + "' is not the id of a redrive"));
        return true;
    }
    if (!acts_on_dead_letters(path)) return false;
    DeadLetterFilter filter;
    bool all = false;
    const bool redrives = path == letters_path + "/redrive";
    std::string why = refused(request, {redrives ? "per_second" : "dry_run"}, true);
    if (why.empty()) why = read_filter(request, backend.now(), filter);
    if (why.empty()) why = read_flag(request, "all", all);
    if (!why.empty())
        respond(error_answer(400, why));
    else if (!narrow(filter) && !all)
        respond(error_answer(400, "which dead letters? give a filter, or all=true"));
    else if (redrives)
        redrive(backend, request, std::move(filter), respond);
    else
        discard(backend, request, std::move(filter), respond);
    return true;
}

}  // namespace eventyard::router::admin
