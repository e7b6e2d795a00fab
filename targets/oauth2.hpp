// targets/oauth2.hpp — access tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4).
//
// A token is fetched when it is needed, kept until shortly before it ends, and dropped when the
// receiver refuses it. One fetch is made at a time, by the attempt that found no token; all others
// wait for it and share what comes of it. Lives on one I/O thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "core/result.hpp"
#include "core/secret.hpp"
#include "targets/http_client.hpp"
#include "targets/webhook_request.hpp"

namespace eventyard::targets {

struct OAuthClient {
    WebhookUrl url;            // of the token server
    std::string id;
    Secret secret;
    std::string scope;         // empty: not sent
    std::string audience;      // empty: not sent
    bool secret_in_body = false;  // false: HTTP Basic, as the standard prefers
};

/// What is sent for a token. Holds the secret.
struct TokenRequest {
    std::string head;
    std::string body;
};
[[nodiscard]] TokenRequest token_request(const OAuthClient& client);

struct Token {
    Secret value;
    Duration usable{0};        // from the answer on, shortened by the margin
};

/// Reads a token server's 200. Without `expires_in` a token is used for five minutes.
[[nodiscard]] Result<Token> parse_token(std::string_view body);
/// The `error` a token server gave, made harmless; empty when there is none.
[[nodiscard]] std::string parse_token_error(std::string_view body);

struct TokenFailure {
    Cause cause = Cause::auth;
    std::string detail;        // one line, without secrets
    std::optional<Duration> retry_after{};
};
using TokenResult = std::variant<Secret, TokenFailure>;

class TokenSource {
public:
    static constexpr std::size_t answer_max = 32U << 10;  // bytes; tokens of some servers are long

    /// @param server  where `client.url` leads; its pool and kept body are set here
    TokenSource(boost::asio::io_context& io, const Clock& clock, const OAuthClient& client,
                HttpServer server);

    /// A token that is good as far as this side knows, or why there is none by `deadline`.
    Task<TokenResult> token(SteadyTime deadline);
    /// The receiver answered 401 to this token: the next caller gets another.
    void refused(const Secret& token);
    /// Ends all waiting.
    void close();
    [[nodiscard]] std::uint64_t fetched() const noexcept;

private:
    struct Shared;
    Task<TokenResult> fetch(SteadyTime deadline);

    boost::asio::io_context& io_;
    const Clock& clock_;
    std::string shown_;        // the token server's address for people
    TokenRequest request_;
    HttpClient client_;
    std::shared_ptr<Shared> shared_;
};

}  // namespace eventyard::targets
