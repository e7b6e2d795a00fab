#include "core/ids.hpp"

#include "core/bytes.hpp"
#include "core/sha256.hpp"

namespace eventyard {

std::string Id::text() const
{
    static constexpr char digits[] = "0123456789abcdef";
    std::string out(36, '-');
    char* at = out.data();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return out;
}

std::optional<Id> parse_id(std::string_view text)
{
    if (text.size() != 36) return std::nullopt;
    std::string hex;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (text[i] == '-')) return std::nullopt;
        if (!dash) hex.push_back(text[i]);
    }
    const auto raw = from_hex(hex);
    if (!raw) return std::nullopt;
    Id id;
    std::memcpy(id.bytes.data(), raw->data(), id.bytes.size());
    return id;
}

Id random_id(Random& random) noexcept
{
    Id id;
    const std::uint64_t high = random.next();
    const std::uint64_t low = random.next();
    std::memcpy(id.bytes.data(), &high, 8);
    std::memcpy(id.bytes.data() + 8, &low, 8);
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

Id new_event_id(WallTime now, Random& random) noexcept
{
    Id id = random_id(random);
    const auto ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
    for (std::size_t i = 0; i < 6; ++i)
        id.bytes[i] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x70);
    return id;
}

WallTime time_of(const Id& event) noexcept
{
    std::int64_t ms = 0;
    for (std::size_t i = 0; i < 6; ++i) ms = ms << 8 | event.bytes[i];
    return WallTime{std::chrono::milliseconds{ms % (INT64_MAX / 1'000'000)}};
}

std::string delivery_id(const Id& event, std::string_view rule, std::string_view target)
{
    std::string input;
    ByteWriter writer{input};
    writer.raw({reinterpret_cast<const char*>(event.bytes.data()), event.bytes.size()});
    writer.text(rule);
    writer.text(target);
    const auto digest = sha256(input);
    static constexpr char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    std::string id;
    id.reserve(30);
    id += "dlv_";
    unsigned held = 0;
    unsigned bits = 0;
    for (std::size_t i = 0; i < 16; ++i) {
        held = (held << 8) | digest[i];
        for (bits += 8; bits >= 5; bits -= 5) id.push_back(alphabet[(held >> (bits - 5)) & 31U]);
        held &= (1U << bits) - 1U;
    }
    if (bits > 0) id.push_back(alphabet[(held << (5 - bits)) & 31U]);
    return id;
}

}  // namespace eventyard
