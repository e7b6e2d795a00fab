#include "router/admin/api.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

namespace eventyard::router::admin {
namespace {

using nlohmann::json;

std::string dump(const json& value)
{
    return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Answer error_answer(unsigned status, const std::string& why)
{
    return {status, dump({{"error", why}})};
}

Answer failure(const Error& error)
{
    const unsigned status = error.code == Errc::not_found    ? 404
                            : error.code == Errc::invalid    ? 400
                            : error.code == Errc::unavailable ? 503
                                                              : 500;
    return error_answer(status, error.what);
}

std::string query(const Request& request, const char* key)
{
    const auto found = request.query.find(key);
    return found == request.query.end() ? std::string() : found->second;
}

bool number(const std::string& text, std::int64_t& value)
{
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc{} && end == text.data() + text.size();
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
             {"reason", letter.reason},
             {"cause", letter.cause},
             {"last_status", letter.last_status},
             {"last_detail", letter.last_detail},
             {"last_response", letter.last_response},
             {"attempts", letter.attempts},
             {"received", to_rfc3339(letter.received)},
             {"dead", to_rfc3339(letter.dead)}};
    if (!letter.forward_to.empty()) out["forward_to"] = letter.forward_to;
    return out;
}

json to_json(const AttemptRecord& attempt)
{
    return {{"at", to_rfc3339(attempt.at)},
            {"status", attempt.status},
            {"cause", attempt.cause},
            {"detail", attempt.detail},
            {"response", attempt.response},
            {"latency_ms",
             std::chrono::duration_cast<std::chrono::milliseconds>(attempt.latency).count()}};
}

void list_dead_letters(Backend& backend, const Request& request, const Respond& respond)
{
    DeadLetterFilter filter;
    filter.target = query(request, "target");
    filter.rule = query(request, "rule");
    std::int64_t limit = 100;
    if (const std::string text = query(request, "limit"); !text.empty() && !number(text, limit))
        limit = 0;
    if (limit < 1 || limit > 1000)
        return respond(error_answer(400, "limit must be a number from 1 to 1000"));
    if (const std::string text = query(request, "after");
        !text.empty() && !number(text, filter.after_id))
        return respond(error_answer(400, "after must be the id of a dead letter"));
    filter.limit = static_cast<std::size_t>(limit);
    backend.dead_letters(std::move(filter), [respond](Result<std::vector<DeadLetter>> letters) {
        if (!letters.has_value()) return respond(failure(letters.error()));
        json list = json::array();
        for (const DeadLetter& letter : *letters) list.push_back(to_json(letter));
        respond({200, dump({{"dead_letters", std::move(list)}})});
    });
}

void show_dead_letter(Backend& backend, const std::string& id_text, const Respond& respond)
{
    std::int64_t id = 0;
    if (!number(id_text, id)) return respond(error_answer(400, "'" + id_text + "' is not the id of a dead letter"));
    backend.dead_letter(id, [respond](Result<DeadLetter> letter, std::vector<AttemptRecord> trail) {
        if (!letter.has_value()) return respond(failure(letter.error()));
        json out = to_json(*letter);
        out["body"] = letter->body;
        out["trail"] = json::array();
        for (const AttemptRecord& attempt : trail) out["trail"].push_back(to_json(attempt));
        respond({200, dump(out)});
    });
}

void act_on_target(Backend& backend, const Request& request, const std::string& name,
                   const std::string& verb, const Respond& respond)
{
    const auto done = [respond](Result<void> result) {
        respond(result.has_value() ? Answer{200, dump({{"ok", true}})} : failure(result.error()));
    };
    if (verb == "pause") {
        const std::string reason = query(request, "reason");
        return backend.pause(name, reason.empty() ? "paused by an operator" : reason, done);
    }
    if (verb == "resume") return backend.resume(name, done);
    if (verb == "retry-now") return backend.retry_now(name, done);
    respond(error_answer(404, "no such action '" + verb + "'; a target has pause, resume and retry-now"));
}

void reload(Backend& backend, const Respond& respond)
{
    backend.reload([respond](ReloadResult result) {
        respond({result.ok ? 200U : 422U, dump({{"ok", result.ok},
                                                {"generation", result.generation},
                                                {"report", result.report}})});
    });
}

void get(Backend& backend, const Request& request, const Respond& respond)
{
    const std::string& path = request.path;
    if (path == "/healthz") return respond({200, "ok\n", "text/plain"});
    if (path == "/readyz") {
        const auto reasons = backend.not_ready();
        std::string text = reasons.empty() ? "ready\n" : "not ready\n";
        for (const std::string& reason : reasons) text += reason + "\n";
        return respond({reasons.empty() ? 200U : 503U, text, "text/plain"});
    }
    if (path == "/metrics")
        return backend.status([respond](StatusReport report) {
            respond({200, metrics_text(report), "text/plain; version=0.0.4; charset=utf-8"});
        });
    if (path == "/v1/status")
        return backend.status([respond](StatusReport report) { respond({200, status_json(report)}); });
    if (path == "/v1/dead-letters") return list_dead_letters(backend, request, respond);
    const std::string one = "/v1/dead-letters/";
    if (path.rfind(one, 0) == 0) return show_dead_letter(backend, path.substr(one.size()), respond);
    respond(error_answer(404, "no such path '" + path + "'"));
}

void post(Backend& backend, const Request& request, const Respond& respond)
{
    const std::string& path = request.path;
    if (path == "/v1/reload") return reload(backend, respond);
    if (path == "/v1/state/export")
        return backend.export_state([respond](Result<std::string> written) {
            respond(written.has_value() ? Answer{200, dump({{"path", *written}})}
                                        : failure(written.error()));
        });
    const std::string targets = "/v1/targets/";
    const auto slash = path.rfind('/');
    if (path.rfind(targets, 0) == 0 && slash > targets.size())
        return act_on_target(backend, request, path.substr(targets.size(), slash - targets.size()),
                             path.substr(slash + 1), respond);
    respond(error_answer(404, "no such path '" + path + "'"));
}

/// Paths that change something take POST, all others are read.
bool is_act(const std::string& path)
{
    return path == "/v1/reload" || path == "/v1/state/export" || path.rfind("/v1/targets/", 0) == 0;
}

}  // namespace

Handler make_handler(Backend& backend)
{
    return [&backend](Request request, Respond respond) {
        const bool acts = is_act(request.path);
        const bool reads = request.method == "GET" || request.method == "HEAD";
        if (reads && !acts) return get(backend, request, respond);
        if (request.method == "POST" && acts) return post(backend, request, respond);
        Answer refused = error_answer(405, "'" + request.path + "' does not take " + request.method);
        refused.allow = acts ? "POST" : "GET, HEAD";
        respond(std::move(refused));
    };
}

}  // namespace eventyard::router::admin
