#include "targets/webhook_auth.hpp"

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>

#include "targets/basic_auth.hpp"
#include "targets/url_setting.hpp"

namespace eventyard::targets {
namespace {

using Header = std::pair<std::string, Secret>;

/// A secret that must be there and hold something.
Secret required_secret(Fields& fields, const char* key)
{
    if (!fields.has(key)) {
        fields.report().error(fields.place(), "'" + std::string(key) + "' is missing");
        return {};
    }
    const std::size_t errors = fields.report().errors();
    Secret value = fields.secret(key).value_or(Secret{});
    if (value.empty() && fields.report().errors() == errors)
        fields.error(key, "'" + std::string(key) + "' must not be empty");
    return value;
}

std::optional<Header> read_basic(Fields& auth, std::vector<std::string>& secrets)
{
    auto fields = auth.section("basic");
    if (!fields) return std::nullopt;
    const std::string user = fields->required_text("user");
    if (user.find(':') != std::string::npos) fields->error("user", "'user' must not hold a ':'");
    const Secret password = fields->secret("password").value_or(Secret{});
    secrets.push_back(password.reveal());
    fields->finish("basic");
    return Header{"authorization", basic_auth(user, password.reveal())};
}

std::optional<Header> read_api_key(Fields& auth)
{
    auto fields = auth.section("api_key");
    if (!fields) return std::nullopt;
    Header header{fields->required_text("header"), required_secret(*fields, "key")};
    fields->finish("api_key");
    return header;
}

std::optional<OAuthClient> read_oauth2(Fields& auth, const AddressGuard& guard,
                                       const Untrusted* limits, std::vector<std::string>& secrets)
{
    auto fields = auth.section("oauth2");
    if (!fields) return std::nullopt;
    OAuthClient client;
    client.url = read_url(*fields, "token_url", guard, limits, secrets);
    client.id = fields->required_text("client_id");
    client.secret = required_secret(*fields, "client_secret");
    client.scope = fields->text("scope", "");
    client.audience = fields->text("audience", "");
    client.secret_in_body = fields->choice("client_auth", {"basic", "body"}, "basic") == "body";
    fields->finish("oauth2");
    return client;
}

}  // namespace

WebhookAuth read_auth(Fields& fields, const RequestHead& head, const AddressGuard& guard,
                      const Untrusted* limits, std::vector<std::string>& secrets,
                      Fingerprint& fingerprint)
{
    WebhookAuth result;
    auto auth = fields.section("auth");
    fingerprint.add("auth");
    if (!auth) return result;
    constexpr std::array<const char*, 4> ways{"basic", "bearer", "api_key", "oauth2"};
    const auto given = std::count_if(ways.begin(), ways.end(), [&](const char* way) { return auth->has(way); });
    result.header = read_basic(*auth, secrets);
    if (auth->has("bearer")) {
        const Secret token = required_secret(*auth, "bearer");
        secrets.push_back(token.reveal());
        result.header = Header{"authorization", Secret{"Bearer " + token.reveal()}};
    }
    if (auto header = read_api_key(*auth)) result.header = std::move(header);
    result.oauth = read_oauth2(*auth, guard, limits, secrets);
    auth->finish("auth");
    if (given != 1) fields.error("auth", "'auth' needs exactly one of basic, bearer, api_key, oauth2");

    std::string name = "authorization";
    if (result.header) {
        auto& [header, value] = *result.header;
        name = header;
        if (const std::string problem = header_problem(header, value.reveal());
            !problem.empty() && !header.empty())
            fields.error("auth", (problem == not_a_header_name ? std::string("a name ") : "header '" + header + "' ") + problem);
        secrets.push_back(value.reveal());
        // Receivers that echo often leave the scheme out.
        if (const auto blank = value.reveal().find(' '); blank != std::string::npos)
            secrets.push_back(value.reveal().substr(blank + 1));
        fingerprint.add(header).add(value.reveal());
    }
    if (result.oauth) {
        const OAuthClient& client = *result.oauth;
        secrets.push_back(client.secret.reveal());
        fingerprint.add(client.url.https ? "https" : "http")
            .add(client.url.host_header)
            .add(client.url.target)
            .add(client.id)
            .add(client.secret.reveal())
            .add(client.scope)
            .add(client.audience)
            .add(client.secret_in_body ? "body" : "basic");
    }
    for (const Header& own : head.headers)
        if (boost::beast::iequals(own.first, name))
            fields.error("auth", "'auth' and 'headers' both set '" + own.first + "'");
    return result;
}

}  // namespace eventyard::targets
