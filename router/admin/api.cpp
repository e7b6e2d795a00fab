#include "router/admin/api.hpp"

#include <nlohmann/json.hpp>

#include "router/admin/audit_json.hpp"
#include "router/admin/dead_letter_paths.hpp"
#include "router/admin/delivery_paths.hpp"
#include "router/admin/event_paths.hpp"
#include "router/admin/paths.hpp"
#include "router/admin/replay_paths.hpp"

namespace eventyard::router::admin {
namespace {

using nlohmann::json;

/// Lets a request of a path without parameters pass.
bool plain(const Request& request, const Respond& respond, bool act)
{
    const std::string why = act ? refused_parameters_of_act(request) : refused_parameters(request, {});
    if (!why.empty()) respond(error_answer(400, why));
    return why.empty();
}

void act_on_target(Backend& backend, const Request& request, const std::string& name,
                   const std::string& verb, const Respond& respond)
{
    const auto done = [respond](Result<void> result) {
        respond(result.has_value() ? Answer{200, dump({{"ok", true}})} : failure(result.error()));
    };
    if (verb == "move") return move_deliveries(backend, request, name, respond);
    if (verb != "pause" && verb != "drain" && verb != "resume" && verb != "retry-now" && verb != "release")
        return respond(error_answer(404, "no such action '" + verb + "'; a target has pause, drain, resume, retry-now, release and move"));
    std::vector<std::string_view> known{"reason"};
    if (verb == "release") known.insert(known.begin(), "key");
    if (const std::string why = refused_parameters_of_act(request, known); !why.empty()) return respond(error_answer(400, why));
    Act act = act_of(request);
    if (act.why.empty()) act.why = query(request, "reason");
    if (verb == "pause") {
        if (act.why.empty()) act.why = "paused by an operator";
        return backend.pause(name, std::move(act), done);
    }
    if (verb == "drain") {
        if (act.why.empty()) act.why = "by an operator";
        return backend.drain(name, std::move(act), [respond](const Result<std::uint64_t>& left) {
            respond(left.has_value() ? Answer{200, dump({{"ok", true}, {"left", *left}})} : failure(left.error()));
        });
    }
    if (verb == "resume") return backend.resume(name, std::move(act), done);
    if (verb == "retry-now") return backend.retry_now(name, std::move(act), done);
    backend.release_keys(name, query(request, "key"), std::move(act), [respond](const Result<std::size_t>& released) {
        respond(released.has_value() ? Answer{200, dump({{"ok", true}, {"released", *released}})} : failure(released.error()));
    });
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
    if ((path == "/v1/status" || path == "/v1/audit") && !plain(request, respond, false)) return;
    if (path == "/v1/status")
        return backend.status([respond](StatusReport report) { respond({200, status_json(report)}); });
    if (path == "/v1/audit")
        return backend.audit([respond](const Result<AuditReport>& report) {
            respond(report.has_value() ? Answer{200, audit_json(*report)} : failure(report.error()));
        });
    if (get_deliveries(backend, request, respond) || get_dead_letters(backend, request, respond) ||
        get_replays(backend, request, respond))
        return;
    respond(error_answer(404, "no such path '" + path + "'"));
}

void post(Backend& backend, const Request& request, const Respond& respond)
{
    const std::string& path = request.path;
    if ((path == "/v1/reload" || path == "/v1/state/export" || path == "/v1/backup") && !plain(request, respond, true)) return;
    if (path == "/v1/reload") return reload(backend, respond);
    if (path == "/v1/state/export")
        return backend.export_state([respond](Result<std::string> written) {
            respond(written.has_value() ? Answer{200, dump({{"path", *written}})}
                                        : failure(written.error()));
        });
    if (path == "/v1/backup")
        return backend.backup([respond](const Result<BackupMade>& made) {
            if (!made.has_value()) return respond(failure(made.error()));
            const BackupManifest& manifest = made->manifest;
            respond({200, dump({{"path", made->path}, {"store", manifest.store.text()}, {"segments", manifest.segments.size()},
                                {"journal_bytes", manifest.bytes}, {"last_sequence", manifest.last}})});
        });
    if (act_on_deliveries(backend, request, respond) || act_on_dead_letters(backend, request, respond) ||
        act_on_replays(backend, request, respond) || act_on_events(backend, request, respond))
        return;
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
    return path == "/v1/reload" || path == "/v1/state/export" || path == "/v1/backup" || path.rfind("/v1/targets/", 0) == 0 ||
           acts_on_deliveries(path) || acts_on_dead_letters(path) || acts_on_replays(path) ||
           acts_on_events(path);
}

}  // namespace

Handler make_handler(Backend& backend)
{
    return [&backend](Request request, Respond respond) {
        const bool acts = is_act(request.path);
        const bool reads = request.method == "GET" || request.method == "HEAD";
        const bool both = request.path == replays_path;  // lists them, or begins one
        if (reads && (!acts || both)) return get(backend, request, respond);
        if (request.method == "POST" && acts) return post(backend, request, respond);
        Answer refused = error_answer(405, "'" + request.path + "' does not take " + request.method);
        refused.allow = both ? "GET, HEAD, POST" : acts ? "POST" : "GET, HEAD";
        respond(std::move(refused));
    };
}

}  // namespace eventyard::router::admin
