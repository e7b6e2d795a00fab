#include "targets/oauth2.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <set>

#include "core/json.hpp"
#include "targets/basic_auth.hpp"
#include "targets/retry_after.hpp"

// GCC 12 inlines one half of Asio's pair of frame allocation functions and then misses the other.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace eventyard::targets {
namespace asio = boost::asio;
namespace {

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;
constexpr auto use_task = asio::as_tuple(asio::use_awaitable_t<Executor>{});

constexpr std::int64_t lifetime_unsaid = 300;      // seconds
constexpr std::int64_t lifetime_max = 24L * 3600;  // asked again at least daily
constexpr std::int64_t margin_max = 30;            // not used for so long before its end
constexpr std::size_t token_max = 16U << 10;       // bytes

bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/// application/x-www-form-urlencoded.
std::string encoded(std::string_view text)
{
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        if (is_unreserved(c)) {
            out.push_back(c);
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out.push_back('%');
        out.push_back(digits[byte >> 4]);
        out.push_back(digits[byte & 15]);
    }
    return out;
}

bool parse(json::Document& document, std::string_view body)
{
    json::SyntaxError error;
    return document.parse(body, {.depth = 20}, error) &&
           document.root().kind == json::Kind::object;
}

std::string_view text_of(const json::Document& document, const char* key)
{
    const json::Value* value = document.member(0, key);
    return value != nullptr && value->kind == json::Kind::string ? value->text : std::string_view{};
}

/// Some servers write the number as a string.
std::int64_t lifetime_of(const json::Document& document)
{
    const json::Value* value = document.member(0, "expires_in");
    if (value == nullptr || (value->kind != json::Kind::number && value->kind != json::Kind::string))
        return lifetime_unsaid;
    double seconds = 0;
    const char* end = value->text.data() + value->text.size();
    const auto [stop, ec] = std::from_chars(value->text.data(), end, seconds);
    if (ec != std::errc{} || stop != end) return lifetime_unsaid;
    return static_cast<std::int64_t>(std::clamp(seconds, 0.0, double{lifetime_max}));
}

}  // namespace

TokenRequest token_request(const OAuthClient& client)
{
    TokenRequest request;
    request.body = "grant_type=client_credentials";
    const auto add = [&](const char* name, std::string_view value) {
        if (!value.empty()) request.body.append("&").append(name).append("=").append(encoded(value));
    };
    add("scope", client.scope);
    add("audience", client.audience);
    if (client.secret_in_body) {
        add("client_id", client.id);
        add("client_secret", client.secret.reveal());
    }
    request.head = "POST " + client.url.target + " HTTP/1.1\r\nhost: " + client.url.host_header +
                   "\r\nuser-agent: eventyard/" EVENTYARD_VERSION
                   "\r\naccept: application/json\r\ncontent-type: application/x-www-form-urlencoded"
                   "\r\ncontent-length: " +
                   std::to_string(request.body.size()) + "\r\n";
    // The standard has both parts form-encoded before they are joined (RFC 6749, 2.3.1).
    if (!client.secret_in_body)
        request.head += "authorization: " +
                        basic_auth(encoded(client.id), encoded(client.secret.reveal())).reveal() + "\r\n";
    request.head += "\r\n";
    return request;
}

Result<Token> parse_token(std::string_view body)
{
    json::Document document;
    if (!parse(document, body)) return fail(Errc::invalid, "the answer is not a JSON object");
    const std::string_view token = text_of(document, "access_token");
    if (token.empty()) return fail(Errc::invalid, "no 'access_token' in the answer");
    if (token.size() > token_max || std::any_of(token.begin(), token.end(), [](char c) {
            return c <= ' ' || c > '~';
        }))
        return fail(Errc::invalid, "an 'access_token' that cannot stand in a header");
    std::string type{text_of(document, "token_type")};
    for (char& c : type)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    if (!type.empty() && type != "bearer")
        return fail(Errc::unsupported, "a 'token_type' other than Bearer");
    const std::int64_t lifetime = lifetime_of(document);
    const std::int64_t margin = std::min(margin_max, (lifetime + 9) / 10);
    return Token{Secret{std::string{token}}, std::chrono::seconds{lifetime - margin}};
}

std::string parse_token_error(std::string_view body)
{
    json::Document document;
    if (!parse(document, body)) return {};
    std::string text{text_of(document, "error").substr(0, 64)};
    for (char& c : text)
        if (c < ' ' || c > '~') c = '?';
    return text;
}

/// Outlives the source for as long as an attempt's frame does.
struct TokenSource::Shared {
    Secret token;
    SteadyTime until{};
    bool fetching = false;
    bool closed = false;
    std::uint64_t fetched = 0;
    std::uint64_t failures = 0;
    TokenFailure last_failure;
    std::set<Timer*> waiters;

    void wake()
    {
        for (Timer* waiter : waiters) waiter->cancel();
    }
};

TokenSource::TokenSource(asio::io_context& io, const Clock& clock, const OAuthClient& client,
                         HttpServer server)
    : io_(io),
      clock_(clock),
      shown_(client.url.shown),
      request_(token_request(client)),
      client_(io, clock, [&server] {
          server.idle_max = 0;  // asked too rarely to keep a connection
          server.body_kept = answer_max;
          return std::move(server);
      }()),
      shared_(std::make_shared<Shared>())
{
}

void TokenSource::close()
{
    shared_->closed = true;
    client_.close();
    shared_->wake();
}

void TokenSource::refused(const Secret& token)
{
    if (shared_->token == token) shared_->token = Secret{};  // not one fetched since
}

std::uint64_t TokenSource::fetched() const noexcept { return shared_->fetched; }

Task<TokenResult> TokenSource::token(SteadyTime deadline)
{
    const auto shared = shared_;
    while (true) {
        if (shared->closed) co_return TokenFailure{Cause::internal, "the target was closed"};
        const SteadyTime now = clock_.steady();
        if (!shared->token.empty() && now < shared->until) co_return shared->token;
        if (now >= deadline)
            co_return TokenFailure{Cause::auth, "oauth2: timeout waiting for a token from " + shown_};
        if (!shared->fetching) {
            TokenResult result = co_await fetch(deadline);
            co_return result;
        }
        const std::uint64_t failures = shared->failures;
        {
            Timer timer{io_.get_executor()};
            timer.expires_after(deadline - now);
            struct Waiting {
                std::shared_ptr<Shared> shared;
                Timer* timer;
                Waiting(std::shared_ptr<Shared> s, Timer* t) : shared(std::move(s)), timer(t)
                {
                    shared->waiters.insert(timer);
                }
                Waiting(const Waiting&) = delete;
                Waiting& operator=(const Waiting&) = delete;
                ~Waiting() { shared->waiters.erase(timer); }
            } const waiting{shared, &timer};
            co_await timer.async_wait(use_task);
        }
        if (shared->failures != failures && !shared->closed) co_return shared->last_failure;
    }
}

Task<TokenResult> TokenSource::fetch(SteadyTime deadline)
{
    struct Fetching {
        std::shared_ptr<Shared> shared;
        explicit Fetching(std::shared_ptr<Shared> s) : shared(std::move(s)) { shared->fetching = true; }
        Fetching(const Fetching&) = delete;
        Fetching& operator=(const Fetching&) = delete;
        ~Fetching()
        {
            shared->fetching = false;
            shared->wake();
        }
    } const fetching{shared_};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_.steady());
    HttpResult result = co_await client_.exchange(request_.head, request_.body, left);

    TokenFailure failure;
    if (auto* unanswered = std::get_if<HttpFailure>(&result)) {
        failure.detail = "oauth2: " + unanswered->detail + ", asking " + shown_;
        if (unanswered->cause == Cause::internal) {
            failure.cause = Cause::internal;
            co_return failure;
        }
        // This attempt's time is over, not that of the others: one of them asks again.
        if (unanswered->cause == Cause::timeout && clock_.steady() >= deadline) co_return failure;
    } else {
        HttpAnswer& answer = std::get<HttpAnswer>(result);
        if (answer.status == 200) {
            auto token = parse_token(answer.body);
            if (token.has_value()) {
                ++shared_->fetched;
                shared_->token = token->value;
                shared_->until = clock_.steady() + token->usable;
                co_return token->value;
            }
            failure.detail = "oauth2: " + token.error().what + " of " + shown_;
        } else {
            const std::string error = parse_token_error(answer.body);
            failure.detail = "oauth2: HTTP " + std::to_string(answer.status) + " from " + shown_ +
                             (error.empty() ? "" : ": " + error);
            const auto after = parse_retry_after(answer.header("retry-after"), clock_.wall());
            if (after && !after->stop) failure.retry_after = after->wait;
        }
    }
    shared_->last_failure = failure;
    ++shared_->failures;
    co_return failure;
}

}  // namespace eventyard::targets
