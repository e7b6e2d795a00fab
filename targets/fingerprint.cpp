#include "targets/fingerprint.hpp"

#include "core/bytes.hpp"
#include "core/sha256.hpp"

namespace eventyard::targets {

Fingerprint& Fingerprint::add(std::string_view part)
{
    ByteWriter{parts_}.text(part);
    return *this;
}

std::string Fingerprint::text() const
{
    const auto digest = sha256(parts_);
    return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace eventyard::targets
