#include "core/sha256.hpp"

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>

namespace eventyard {
namespace {

struct Free {
    void operator()(EVP_MD* digest) const noexcept { EVP_MD_free(digest); }
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

const EVP_MD* algorithm()
{
    static const std::unique_ptr<EVP_MD, Free> found{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
    if (!found) throw std::runtime_error("OpenSSL has no SHA-256");
    return found.get();
}

}  // namespace

std::array<std::uint8_t, 32> sha256(std::string_view bytes)
{
    thread_local const std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
    std::array<std::uint8_t, 32> sum{};
    if (!context || EVP_DigestInit_ex2(context.get(), algorithm(), nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), sum.data(), nullptr) != 1)
        throw std::runtime_error("OpenSSL cannot make a SHA-256");
    return sum;
}

}  // namespace eventyard
