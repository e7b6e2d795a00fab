#include "targets/webhook.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <exception>

#include "core/disk.hpp"
#include "targets/fingerprint.hpp"
#include "targets/http_client.hpp"
#include "targets/standard_webhooks.hpp"
#include "targets/webhook_judge.hpp"
#include "targets/webhook_request.hpp"

namespace eventyard::targets {
namespace {

constexpr std::array<Setting, 13> settings{{
    {"url", "string", "",
     "Where to send: http or https. Its query is not shown; a URL with a `${...}` reference is "
     "shown without its path."},
    {"method", "POST, PUT or PATCH", "POST", "The request method."},
    {"headers", "map of strings", "none",
     "Further headers. Values are never shown. They may replace content-type and user-agent."},
    {"timeout", "duration", "10s",
     "Limit of a whole attempt: resolving, connecting, TLS, sending, and the answer to its last "
     "byte."},
    {"signing.scheme", "standard-webhooks", "standard-webhooks",
     "How requests are signed when `signing` is given."},
    {"signing.secret", "string or list of strings", "",
     "`whsec_` and base64 of 24 to 64 bytes. With a list, each signs, so that a secret can be "
     "changed without a gap."},
    {"retry_on", "list", "408, 409, 425, 429, 5xx, resolve, address, connect, tls, timeout, lost, protocol",
     "What is worth another attempt. Statuses and classes given replace the default statuses, "
     "words replace the default words; the half not mentioned stays."},
    {"tls.verify", "true or false", "true",
     "false accepts every certificate: anybody on the way can read and change what is sent."},
    {"tls.ca_file", "path", "the system's",
     "Certificate authorities to trust instead of the system's, in PEM."},
    {"dns_servers", "list of strings", "the system's",
     "Name servers to ask, as `address` or `address:port`."},
    {"allow_link_local", "true or false", "false",
     "true lets the webhook connect to link-local addresses and to those of cloud metadata services."},
    {"idle_connections", "number", "16",
     "Connections kept open for the next request; 0: none."},
    {"idle_timeout", "duration", "30s", "How long an unused connection is kept."},
}};

struct Options {
    RequestHead head;
    Duration timeout{0};
    std::vector<Secret> keys;
    RetryOn retry_on;
    HttpServer server;
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
    }

    Task<Outcome> deliver(const Delivery& delivery) override
    {
        const SteadyTime started = context_.clock.steady();
        Outcome outcome;
        try {
            outcome = co_await attempt(delivery);
        } catch (const std::exception& error) {
            outcome = Outcome{};
            outcome.verdict = Verdict::retry;
            outcome.cause = Cause::internal;
            outcome.detail = std::string("internal: ") + error.what();
        }
        outcome.latency = context_.clock.steady() - started;
        co_return outcome;
    }

    void close() override { client_.close(); }

    std::vector<StatusItem> status() const override
    {
        const HttpCounters& counters = client_.counters();
        std::vector<StatusItem> items{
            {"connections_idle", std::to_string(client_.idle())},
            {"connections_opened", std::to_string(counters.opened)},
            {"requests_on_kept_connections", std::to_string(counters.reused)},
        };
        if (!options_->verify)
            items.push_back({"tls.verify", "false: certificates are not checked"});
        return items;
    }

private:
    Task<Outcome> attempt(const Delivery& delivery)
    {
        const std::string_view body = delivery.event.body;
        const WallTime now = context_.clock.wall();
        const std::int64_t timestamp =
            std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
        std::string signature;
        if (!options_->keys.empty())
            signature = sign_webhook(options_->keys, delivery.id, timestamp, body);
        const std::string head = request_head(options_->head, delivery, timestamp, signature);
        HttpResult result = co_await client_.exchange(head, body, options_->timeout);

        Outcome outcome;
        if (auto* failure = std::get_if<HttpFailure>(&result)) {
            outcome.cause = failure->cause;
            outcome.detail = std::move(failure->detail);
            const bool again =
                failure->cause == Cause::internal || options_->retry_on.failure(failure->cause);
            outcome.verdict = again ? Verdict::retry : Verdict::reject;
            co_return outcome;
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
        outcome.response = without_secrets(std::move(answer.body));
        co_return outcome;
    }

    /// Some servers echo what they were sent.
    std::string without_secrets(std::string text) const
    {
        for (const std::string& secret : options_->secrets)
            for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at))
                text.replace(at, secret.size(), "***");
        return text;
    }

    std::shared_ptr<const Options> options_;
    TargetContext context_;
    HttpClient client_;
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

void read_url(Fields& fields, Options& options)
{
    const std::string text = fields.required_text("url");
    if (text.empty()) return;
    auto url = parse_webhook_url(text);
    if (!url.has_value()) return fields.error("url", "'url' " + url.error().what);
    options.head.url = std::move(*url);
    options.server.host = options.head.url.host;
    options.server.port = options.head.url.port;
    options.address = options.head.url.shown;
    const Node* written = fields.node("url");
    if (written != nullptr && written->text.find("${") != std::string::npos) {
        options.address = std::string(options.head.url.https ? "https://" : "http://") +
                          options.head.url.host_header + "/***";
        options.secrets.push_back(options.head.url.target);
    }
}

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
        if (!options.head.url.https && !options.head.url.host.empty() && !limits->allow_http)
            fields.error("url", "'url' must begin with https:// in a file included with 'untrusted: "
                                "true'; 'allow_http: true' of that include allows http");
    }
    boost::system::error_code not_literal;
    const auto address = boost::asio::ip::make_address(options.server.host, not_literal);
    if (not_literal) return;
    if (const std::string why = guard.refusal(address); !why.empty())
        fields.error("url", "'url': " + why);
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
                                  "header '" + name + "' " + problem);
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
    TlsOptions tls;
    if (auto section = fields.section("tls")) {
        tls.verify = section->flag("verify", true);
        if (options.server.guard.untrusted && section->has("ca_file"))
            section->error("ca_file", "'ca_file' has no place in a file included with 'untrusted: "
                                      "true': it would read files of this machine");
        else
            tls.ca_file = section->text("ca_file", "");
        section->finish("tls");
        if (!options.head.url.https && !options.head.url.host.empty())
            fields.error("tls", "'tls' has no meaning for an http:// URL");
    }
    options.verify = tls.verify;
    fingerprint.add(tls.verify ? "verify" : "no-verify").add(tls.ca_file);
    if (!options.head.url.https) return;
    auto context = make_tls_context(tls);
    if (!context.has_value()) return fields.error("tls", "'ca_file': " + context.error().what);
    options.server.tls = std::move(*context);
    if (!tls.ca_file.empty()) {  // a file with other authorities makes another target
        PosixDisk disk;
        if (auto content = read_file(disk, tls.ca_file, 16U << 20); content.has_value())
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
    read_url(fields, *options);
    read_guard(fields, *options, limits);
    options->head.method = fields.choice("method", {"POST", "PUT", "PATCH"}, "POST");
    read_headers(fields, *options);
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
        static_cast<std::size_t>(fields.integer("idle_connections", 16, {0, 1000}));
    options->server.idle_timeout = fields.duration("idle_timeout", 30s, {.min = 1ms, .max = 1h});
    read_tls(fields, *options, fingerprint);
    fields.finish("a webhook target");
    if (fields.report().errors() != errors) return nullptr;

    fingerprint.add(options->head.method)
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

    // The longest first, so that a secret inside another does not leave a rest behind. One or two
    // letters are no secret, and striking them out would garble every answer.
    auto& secrets = options->secrets;
    std::erase_if(secrets, [](const std::string& secret) { return secret.size() < 4; });
    std::sort(secrets.begin(), secrets.end(),
              [](const auto& a, const auto& b) { return a.size() > b.size(); });
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
