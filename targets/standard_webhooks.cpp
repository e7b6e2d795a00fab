#include "targets/standard_webhooks.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "targets/base64.hpp"

namespace eventyard::targets {
Result<Secret> decode_webhook_secret(const Secret& text)
{
    std::string encoded = text.reveal();
    if (encoded.rfind("whsk_", 0) == 0 || encoded.rfind("whpk_", 0) == 0)
        return fail(Errc::unsupported,
                    "is an asymmetric key; only shared secrets (whsec_...) can sign here");
    if (encoded.rfind("whsec_", 0) == 0) encoded.erase(0, 6);
    while (encoded.size() % 4 != 0) encoded += '=';  // some tools drop the padding
    std::size_t padding = 0;
    while (padding < 2 && encoded.size() > padding && encoded[encoded.size() - 1 - padding] == '=')
        ++padding;
    std::string key(encoded.size() / 4 * 3, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(key.data()),
                                     reinterpret_cast<const unsigned char*>(encoded.data()),
                                     static_cast<int>(encoded.size()));
    if (size < 0) return fail(Errc::invalid, "must be 'whsec_' and base64");
    key.resize(static_cast<std::size_t>(size) - padding);
    if (key.size() < 24 || key.size() > 64)
        return fail(Errc::invalid, "must hold 24 to 64 bytes in base64, found " +
                                       std::to_string(key.size()));
    return Secret{std::move(key)};
}

std::string sign_webhook(const std::vector<Secret>& keys, std::string_view id,
                         std::int64_t timestamp, std::string_view body)
{
    std::string signed_text;
    signed_text.reserve(id.size() + body.size() + 24);
    signed_text.append(id).append(".").append(std::to_string(timestamp)).append(".").append(body);
    std::string value;
    for (const Secret& key : keys) {
        std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
        unsigned size = 0;
        HMAC(EVP_sha256(), key.reveal().data(), static_cast<int>(key.reveal().size()),
             reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(),
             mac.data(), &size);
        if (!value.empty()) value += ' ';
        value += "v1," + base64({reinterpret_cast<const char*>(mac.data()), size});
    }
    return value;
}

}  // namespace eventyard::targets
