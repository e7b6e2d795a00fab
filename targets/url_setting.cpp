#include "targets/url_setting.hpp"

#include <boost/asio/ip/address.hpp>

namespace eventyard::targets {

WebhookUrl read_url(Fields& fields, const char* key, const AddressGuard& guard,
                    const Untrusted* limits, std::vector<std::string>& secrets)
{
    const std::string text = fields.required_text(key);
    if (text.empty()) return {};
    const std::string quoted = "'" + std::string(key) + "'";
    auto url = parse_webhook_url(text);
    if (!url.has_value()) {
        fields.error(key, quoted + " " + url.error().what);
        return {};
    }
    const Node* written = fields.node(key);
    if (written != nullptr && written->text.find("${") != std::string::npos) {
        url->shown = std::string(url->https ? "https://" : "http://") + url->host_header + "/***";
        secrets.push_back(url->target);
    }
    // Shown nowhere; the whole of it, since a part may be any word.
    if (const auto query = url->target.find('?'); query != std::string::npos) secrets.push_back(url->target.substr(query + 1));
    if (limits != nullptr && !url->https && !limits->allow_http)
        fields.error(key, quoted + " must begin with https:// in a file included with 'untrusted: "
                                   "true'; 'allow_http: true' of that include allows http");
    boost::system::error_code not_literal;
    const auto address = boost::asio::ip::make_address(url->host, not_literal);
    if (not_literal) return std::move(*url);
    if (const std::string why = guard.refusal(address); !why.empty())
        fields.error(key, quoted + ": " + why);
    return std::move(*url);
}

}  // namespace eventyard::targets
