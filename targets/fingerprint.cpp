#include "targets/fingerprint.hpp"

#include <openssl/sha.h>

#include <array>

#include "core/bytes.hpp"

namespace eventyard::targets {

Fingerprint& Fingerprint::add(std::string_view part)
{
    ByteWriter{parts_}.text(part);
    return *this;
}

std::string Fingerprint::text() const
{
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    SHA256(reinterpret_cast<const unsigned char*>(parts_.data()), parts_.size(), digest.data());
    return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace eventyard::targets
