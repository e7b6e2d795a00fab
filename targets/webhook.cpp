#include "targets/webhook.hpp"

#include <algorithm>
#include <array>
#include <exception>

#include "core/disk.hpp"
#include "core/json.hpp"
#include "core/secret.hpp"
#include "targets/fingerprint.hpp"
#include "targets/http_client.hpp"
#include "targets/standard_webhooks.hpp"
#include "targets/url_setting.hpp"
#include "targets/webhook_auth.hpp"
#include "targets/webhook_batch.hpp"
#include "targets/webhook_judge.hpp"
#include "targets/webhook_request.hpp"

namespace eventyard::targets {
namespace {

constexpr std::array<Setting, 27> settings{{
    {"url", "string", "",
     "Where to send: http or https. Its query is not shown; a URL with a `${...}` reference is "
     "shown without its path."},
    {"method", "POST, PUT or PATCH", "POST", "The request method."},
    {"headers", "map of strings", "none",
     "Further headers. Values are never shown. They may replace content-type and user-agent."},
    {"batch_format", "ndjson, json or cloudevents", "ndjson",
     "How the target's `batch` is sent: lines or a JSON array of `{\"delivery\",\"id\",\"rule\",\"bus\",\"received\",\"event\"}`, "
     "or a batch of CloudEvents."},
    {"timeout", "duration", "10s",
     "Limit of a whole attempt: resolving, connecting, TLS, sending, and the answer to its last "
     "byte."},
    {"signing.scheme", "standard-webhooks", "standard-webhooks",
     "How requests are signed when `signing` is given."},
    {"signing.secret", "string or list of strings", "",
     "`whsec_` and base64 of 24 to 64 bytes. With a list, each signs, so that a secret can be "
     "changed without a gap."},
    {"auth.basic.user", "string", "",
     "Name for HTTP Basic. `auth` holds one of basic, bearer, api_key, oauth2."},
    {"auth.basic.password", "string", "none", "Its password."},
    {"auth.bearer", "string", "none", "A token, sent as `Authorization: Bearer`."},
    {"auth.api_key.header", "string", "", "The header that carries the key, e.g. `X-API-Key`."},
    {"auth.api_key.key", "string", "", "The key, its value."},
    {"auth.oauth2.token_url", "string", "",
     "Where tokens are fetched by OAuth 2.0 client credentials: http or https."},
    {"auth.oauth2.client_id", "string", "", "The name this daemon asks by."},
    {"auth.oauth2.client_secret", "string", "", "The secret that goes with it."},
    {"auth.oauth2.scope", "string", "none", "What the token is to allow."},
    {"auth.oauth2.audience", "string", "none", "Whom the token is for."},
    {"auth.oauth2.client_auth", "basic or body", "basic",
     "How id and secret are sent to the token server: by HTTP Basic, or in the form."},
    {"retry_on", "list", "408, 409, 425, 429, 5xx, resolve, address, connect, tls, timeout, lost, protocol",
     "What is worth another attempt. Statuses and classes given replace the default statuses, "
     "words replace the default words; the half not mentioned stays."},
    {"tls.verify", "true or false", "true",
     "false accepts every certificate: anybody on the way can read and change what is sent."},
    {"tls.ca_file", "path", "the system's",
     "Certificate authorities to trust instead of the system's, in PEM."},
    {"tls.certificate", "path", "none",
     "Certificate to show to a server that asks for one, in PEM, with those that lead to its authority. `tls` holds for the token server of `auth.oauth2` too."},
    {"tls.key", "path", "none", "The certificate's private key, in PEM, not encrypted."},
    {"dns_servers", "list of strings", "the system's",
     "Name servers to ask, as `address` or `address:port`."},
    {"allow_link_local", "true or false", "false",
     "true lets the webhook connect to link-local addresses and to those of cloud metadata services."},
    {"idle_connections", "number", "256",
     "Connections kept open for the next request; 0: none."},
    {"idle_timeout", "duration", "30s", "How long an unused connection is kept."},
}};

std::string without(std::string text, const std::string& secret)
{
    if (secret.size() < secret_min) return text;
    constexpr std::string_view hidden = "***";
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + hidden.size()))
        text.replace(at, secret.size(), hidden);
    return text;
}

struct Options {
    RequestHead head;
    BatchFormat batch_format = BatchFormat::ndjson;
    Duration timeout{0};
    std::vector<Secret> keys;
    RetryOn retry_on;
    HttpServer server;
    TlsContext tls;                    // of the webhook and its token server; null: neither has https
    std::optional<OAuthClient> oauth;
    bool verify = true;
    std::vector<std::string> secrets;  // never to be repeated, whoever says them
    std::string address;
    std::string fingerprint;
};

class Webhook final : public Target {
public:
    Webhook(std::shared_ptr<const Options> options, TargetContext context)
        : options_(std::move(options)),
          context_(std::move(context)),
          client_(context_.io, context_.clock, options_->server)
    {
        if (!options_->oauth) return;
        HttpServer server = options_->server;  // the same name servers and guard
        server.host = options_->oauth->url.host;
        server.port = options_->oauth->url.port;
        server.tls = options_->oauth->url.https ? options_->tls : nullptr;
        tokens_ = std::make_unique<TokenSource>(context_.io, context_.clock, *options_->oauth,
                                                std::move(server));
    }

    Task<Outcome> deliver(const Delivery& delivery) override
    {
        const RequestBody body{delivery.id, content_type(delivery.event.format), delivery.event.body};
        auto task = answered(body, {&delivery, 1}, false);
        Answered answer = co_await std::move(task);
        co_return std::move(answer.outcome);
    }

    Task<std::vector<Outcome>> deliver_batch(std::span<const Delivery> deliveries) override
    {
        const std::string bytes = batch_body(options_->batch_format, deliveries);
        const std::string id = batch_id(deliveries);
        const RequestBody body{id, content_type(options_->batch_format), bytes};
        auto task = answered(body, deliveries, true);
        Answered answer = co_await std::move(task);
        const Outcome& whole = answer.outcome;
        std::vector<Outcome> outcomes{whole};
        if (whole.verdict != Verdict::delivered) co_return outcomes;
        const auto statuses = batch_results(answer.body, deliveries);
        if (statuses.empty()) co_return outcomes;
        outcomes.assign(deliveries.size(), whole);
        for (std::size_t i = 0; i < statuses.size(); ++i)
            if (statuses[i]) outcomes[i] = judged_alone(whole, *statuses[i]);
        co_return outcomes;
    }

    void close() override
    {
        client_.close();
        if (tokens_) tokens_->close();
    }

    std::vector<StatusItem> status() const override
    {
        const HttpCounters& counters = client_.counters();
        std::vector<StatusItem> items{
            {"connections_idle", std::to_string(client_.idle())},
            {"connections_opened", std::to_string(counters.opened)},
            {"tls_sessions_resumed", std::to_string(counters.resumed)},
            {"requests_on_kept_connections", std::to_string(counters.reused)},
        };
        if (tokens_) items.push_back({"tokens_fetched", std::to_string(tokens_->fetched())});
        if (!options_->verify)
            items.push_back({"tls.verify", "false: certificates are not checked"});
        return items;
    }

private:
    struct Answered {
        Outcome outcome;
        std::string body;  // as far as it was read
    };

    Task<Answered> answered(const RequestBody& body, std::span<const Delivery> deliveries, bool batch)
    {
        const SteadyTime started = context_.clock.steady();
        Answered answer;
        try {
            auto task = attempt(body, deliveries, batch);
            answer = co_await std::move(task);
        } catch (const std::exception& error) {
            answer = Answered{};
            answer.outcome.verdict = Verdict::retry;
            answer.outcome.cause = Cause::internal;
            answer.outcome.detail = std::string("internal: ") + error.what();
        }
        answer.outcome.latency = context_.clock.steady() - started;
        co_return answer;
    }

    Task<Answered> attempt(const RequestBody& body, std::span<const Delivery> deliveries, bool batch)
    {
        const SteadyTime deadline = context_.clock.steady() + options_->timeout;
        if (!tokens_) {
            HttpResult result = co_await request(body, deliveries, batch, Secret{}, options_->timeout);
            co_return judged(std::move(result), Secret{});
        }
        for (bool renewed = false;; renewed = true) {
            TokenResult found = co_await tokens_->token(deadline);
            if (auto* failure = std::get_if<TokenFailure>(&found)) co_return Answered{untokened(*failure), {}};
            const Secret token = std::get<Secret>(found);
            const Duration left = std::max<Duration>(
                std::chrono::ceil<std::chrono::milliseconds>(deadline - context_.clock.steady()),
                std::chrono::milliseconds{1});
            HttpResult result = co_await request(body, deliveries, batch, token, left);
            const auto* answer = std::get_if<HttpAnswer>(&result);
            const bool refused = answer != nullptr && answer->status == 401;
            if (!refused || renewed) co_return judged(std::move(result), token);
            tokens_->refused(token);
        }
    }

    /// The receiver was not asked: that is worth another attempt whatever it would have said.
    Outcome untokened(const TokenFailure& failure) const
    {
        Outcome outcome;
        outcome.verdict = Verdict::retry;
        outcome.cause = failure.cause;
        outcome.detail = without_secrets(failure.detail);
        outcome.retry_after = failure.retry_after;
        return outcome;
    }

    Task<HttpResult> request(const RequestBody& body, std::span<const Delivery> deliveries, bool batch, Secret token,
                             Duration limit)
    {
        const WallTime now = context_.clock.wall();
        const std::int64_t timestamp =
            std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
        std::string signature;
        if (!options_->keys.empty())
            signature = sign_webhook(options_->keys, body.id, timestamp, body.bytes);
        const std::string head =
            batch ? batch_request_head(options_->head, body, deliveries.size(), timestamp, signature, token.reveal())
                  : request_head(options_->head, deliveries.front(), timestamp, signature, token.reveal());
        HttpResult result = co_await client_.exchange(head, body.bytes, limit);
        co_return result;
    }

    Answered judged(HttpResult result, const Secret& token) const
    {
        Outcome outcome;
        if (auto* failure = std::get_if<HttpFailure>(&result)) {
            outcome.cause = failure->cause;
            outcome.detail = std::move(failure->detail);
            const bool again =
                failure->cause == Cause::internal || options_->retry_on.failure(failure->cause);
            outcome.verdict = again ? Verdict::retry : Verdict::reject;
            return {outcome, {}};
        }
        HttpAnswer& answer = std::get<HttpAnswer>(result);
        outcome.status = static_cast<int>(answer.status);
        outcome.detail = "HTTP " + std::to_string(answer.status);
        const Judgement judgement = judge(
            {answer.status, answer.header("retry-after"),
             answer.header("upstash-nonretryable-error") == "true"},
            options_->retry_on, context_.clock.wall());
        outcome.verdict = judgement.verdict;
        outcome.retry_after = judgement.retry_after;
        outcome.cause = outcome.verdict == Verdict::delivered ? Cause::none : Cause::status;
        // Struck out before it is cut, which could leave a part of one.
        outcome.response = without_secrets(without(answer.body.substr(0, 2 * AnswerReader::body_kept), token.reveal()));
        if (outcome.response.size() > AnswerReader::body_kept) outcome.response.resize(AnswerReader::body_kept);
        return {outcome, std::move(answer.body)};
    }

    /// What the answer to a batch says of one delivery. It cannot pause the target: others were taken.
    Outcome judged_alone(const Outcome& whole, unsigned status) const
    {
        Outcome outcome = whole;
        outcome.status = static_cast<int>(status);
        if (status == unreadable_status) {
            outcome.detail = "protocol: the answer to a batch names this delivery without a status from 200 to 599";
            outcome.verdict = options_->retry_on.failure(Cause::protocol) ? Verdict::retry : Verdict::reject;
            outcome.cause = Cause::protocol;
            return outcome;
        }
        outcome.detail = "status " + std::to_string(status) + " in the answer to a batch";
        outcome.verdict = judge({status, {}, false}, options_->retry_on, context_.clock.wall()).verdict;
        if (outcome.verdict == Verdict::pause) outcome.verdict = Verdict::reject;
        outcome.cause = outcome.verdict == Verdict::delivered ? Cause::none : Cause::status;
        return outcome;
    }

    /// Some servers echo what they were sent.
    std::string without_secrets(std::string text) const
    {
        for (const std::string& secret : options_->secrets) text = without(std::move(text), secret);
        return text;
    }

    std::shared_ptr<const Options> options_;
    TargetContext context_;
    HttpClient client_;
    std::unique_ptr<TokenSource> tokens_;  // null: no oauth2
};

class WebhookBlueprint final : public Blueprint {
public:
    explicit WebhookBlueprint(std::shared_ptr<const Options> options) : options_(std::move(options))
    {
    }
    std::unique_ptr<Target> make(TargetContext context) const override
    {
        return std::make_unique<Webhook>(options_, std::move(context));
    }
    std::string fingerprint() const override { return options_->fingerprint; }
    std::string address() const override { return options_->address; }

private:
    std::shared_ptr<const Options> options_;
};

void read_guard(Fields& fields, Options& options, const Untrusted* limits)
{
    AddressGuard& guard = options.server.guard;
    guard.untrusted = limits != nullptr;
    guard.allow_link_local = fields.flag("allow_link_local", false);
    if (guard.untrusted) {
        for (const char* key : {"allow_link_local", "dns_servers"})
            if (fields.has(key))
                fields.error(key, "'" + std::string(key) + "' is the operator's to set; " +
                                      "it has no place in a file included with 'untrusted: true'");
    }
}

void read_target_url(Fields& fields, Options& options, const Untrusted* limits)
{
    options.head.url = read_url(fields, "url", options.server.guard, limits, options.secrets);
    options.server.host = options.head.url.host;
    options.server.port = options.head.url.port;
    options.address = options.head.url.shown;
}

void read_headers(Fields& fields, Options& options)
{
    const Node* written = fields.node("headers");
    options.head.headers = fields.text_map("headers");
    for (std::size_t i = 0; i < options.head.headers.size(); ++i) {
        const auto& [name, value] = options.head.headers[i];
        if (const std::string problem = header_problem(name, value.reveal()); !problem.empty()) {
            const Node* place = written->find(name);
            fields.report().error(place != nullptr ? place->place : written->place,
                                  (problem == not_a_header_name ? std::string("a name ") : "header '" + name + "' ") + problem);
        }
        options.secrets.push_back(value.reveal());
    }
}

void read_signing(Fields& fields, Options& options)
{
    auto signing = fields.section("signing");
    if (!signing) return;
    signing->choice("scheme", {"standard-webhooks"}, "standard-webhooks");
    const Node* written = signing->node("secret");
    if (written == nullptr) {
        fields.error("signing", "'signing' has no 'secret'");
    } else {
        std::vector<const Node*> items;
        if (written->kind == Node::Kind::list)
            for (const Node& item : written->items) items.push_back(&item);
        else
            items.push_back(written);
        if (items.empty()) fields.report().error(written->place, "'secret' must not be empty");
        for (const Node* item : items) {
            if (item->kind != Node::Kind::string) {
                fields.report().error(item->place, std::string("'secret' must be a string, found ") +
                                                       kind_name(item->kind));
                continue;
            }
            bool found_any = false;
            const std::size_t errors = fields.report().errors();
            Secret text{
                fields.secrets().resolve(item->text, item->place, fields.report(), found_any)};
            if (fields.report().errors() != errors) continue;  // said already
            fields.report().add_secret(text.reveal());
            auto key = decode_webhook_secret(text);
            if (key.has_value())
                options.keys.push_back(std::move(*key));
            else
                fields.report().error(item->place, "'secret' " + key.error().what);
            options.secrets.push_back(text.reveal());
        }
    }
    signing->finish("signing");
}

void read_tls(Fields& fields, Options& options, Fingerprint& fingerprint)
{
    const bool uses_tls =
        options.head.url.https || (options.oauth && options.oauth->url.https);
    TlsOptions tls;
    auto section = fields.section("tls");
    if (section) {
        tls.verify = section->flag("verify", true);
        for (const auto& [key, path] :
             {std::pair{"ca_file", &tls.ca_file}, {"certificate", &tls.certificate}, {"key", &tls.key}}) {
            const bool given = section->has(key);
            *path = section->text(key, "");
            const std::string name = path->substr(path->rfind('/') + 1);
            if (path->find("-----") != std::string::npos || path->find('\n') != std::string::npos || name.size() > 255) {
                path->clear();
                return section->error(key, "'" + std::string(key) + "' must be the path of a PEM file, not what is in it");
            }
            if (!given || !options.server.guard.untrusted) continue;
            path->clear();
            section->error(key, "'" + std::string(key) + "' has no place in a file included with " +
                                    "'untrusted: true': it would read files of this machine");
        }
        section->finish("tls");
        if (!uses_tls && !options.head.url.host.empty())
            fields.error("tls", "'tls' has no meaning for an http:// URL");
        if (tls.certificate.empty() != tls.key.empty()) {
            const char* given = tls.key.empty() ? "certificate" : "key";
            return section->error(given, "'certificate' and 'key' are needed together");
        }
    }
    options.verify = tls.verify;
    fingerprint.add(tls.verify ? "verify" : "no-verify").add(tls.ca_file);
    fingerprint.add(tls.certificate).add(tls.key);
    if (!uses_tls) return;
    TlsProblem problem;
    options.tls = make_tls_context(tls, problem);
    if (!options.tls) return section->error(problem.option, "'" + std::string(problem.option) + "': " + problem.text);
    if (options.head.url.https) options.server.tls = options.tls;
    // Files with other content make another target.
    PosixDisk disk;
    for (const std::string& path : {tls.ca_file, tls.certificate, tls.key}) {
        if (path.empty()) continue;
        if (auto content = read_file(disk, path, 16U << 20); content.has_value())
            fingerprint.add(*content);
    }
}

std::shared_ptr<const Blueprint> read(Fields& fields, const Untrusted* limits)
{
    using namespace std::chrono_literals;
    auto options = std::make_shared<Options>();
    Fingerprint fingerprint;
    fingerprint.add("webhook");
    const std::size_t errors = fields.report().errors();
    read_guard(fields, *options, limits);
    read_target_url(fields, *options, limits);
    options->head.method = fields.choice("method", {"POST", "PUT", "PATCH"}, "POST");
    read_headers(fields, *options);
    WebhookAuth auth = read_auth(fields, options->head, options->server.guard, limits,
                                 options->secrets, fingerprint);
    if (auth.header) options->head.headers.push_back(std::move(*auth.header));
    options->oauth = std::move(auth.oauth);
    const std::string format = fields.choice("batch_format", {"ndjson", "json", "cloudevents"}, "ndjson");
    options->batch_format = format == "json"          ? BatchFormat::json
                            : format == "cloudevents" ? BatchFormat::cloudevents
                                                      : BatchFormat::ndjson;
    options->timeout = fields.duration("timeout", 10s, {.min = 1ms, .max = 1h});
    read_signing(fields, *options);
    const std::vector<std::string> retry_on = fields.texts("retry_on");
    std::string problem;
    options->retry_on = RetryOn::parse(retry_on, problem);
    if (!problem.empty()) fields.error("retry_on", "'retry_on': " + problem);
    options->server.dns_servers = fields.texts("dns_servers");
    for (const std::string& server : options->server.dns_servers)
        if (!is_server_address(server))
            fields.error("dns_servers",
                         "'dns_servers' must hold addresses such as 10.0.0.2 or 10.0.0.2:53, found '" +
                             server + "'");
    options->server.idle_max =
        static_cast<std::size_t>(fields.integer("idle_connections", 256, {0, 1000}));
    options->server.idle_timeout = fields.duration("idle_timeout", 30s, {.min = 1ms, .max = 1h});
    read_tls(fields, *options, fingerprint);
    fields.finish("a webhook target");
    if (fields.report().errors() != errors) return nullptr;

    options->server.body_kept = AnswerReader::body_max;  // the answer to a batch names many
    fingerprint.add(options->head.method)
        .add(format)
        .add(options->head.url.https ? "https" : "http")
        .add(options->head.url.host_header)
        .add(options->head.url.target)
        .add(options->timeout.count())
        .add(static_cast<long long>(options->server.idle_max))
        .add(options->server.idle_timeout.count())
        .add(options->server.guard.untrusted ? "untrusted" : "operator")
        .add(options->server.guard.allow_link_local ? "link-local" : "");
    for (const auto& [name, value] : options->head.headers) fingerprint.add(name).add(value.reveal());
    fingerprint.add("keys");
    for (const Secret& key : options->keys) fingerprint.add(key.reveal());
    fingerprint.add("retry_on");
    for (const std::string& item : retry_on) fingerprint.add(item);
    fingerprint.add("dns");
    for (const std::string& server : options->server.dns_servers) fingerprint.add(server);
    options->fingerprint = fingerprint.text();

    // The longest first, so that a secret inside another does not leave a rest behind.
    auto& secrets = options->secrets;
    for (std::size_t i = 0, n = secrets.size(); i < n; ++i) {  // an answer in JSON spells some otherwise
        std::string quoted;
        json::append_quoted(quoted, secrets[i]);
        secrets.push_back(quoted.substr(1, quoted.size() - 2));
        std::string slashed;
        for (const char c : secrets.back()) slashed += c == '/' ? "\\/" : std::string(1, c);
        secrets.push_back(std::move(slashed));
    }
    std::erase_if(secrets, [](const std::string& secret) { return secret.size() < secret_min; });
    std::sort(secrets.begin(), secrets.end(),
              [](const auto& a, const auto& b) { return a.size() != b.size() ? a.size() > b.size() : a < b; });
    secrets.erase(std::unique(secrets.begin(), secrets.end()), secrets.end());
    return std::make_shared<WebhookBlueprint>(std::move(options));
}

}  // namespace

std::span<const Setting> webhook_settings() noexcept { return settings; }

std::shared_ptr<const Blueprint> read_webhook(Fields& fields) { return read(fields, nullptr); }

std::shared_ptr<const Blueprint> read_untrusted_webhook(Fields& fields, const Untrusted& limits)
{
    return read(fields, &limits);
}

}  // namespace eventyard::targets
