#include "router/state/rows.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/bytes.hpp"

namespace eventyard::router {

std::string encode_settled(std::vector<DeliveryKey> keys)
{
    std::string bytes;
    if (keys.empty()) return bytes;
    if (!std::is_sorted(keys.begin(), keys.end())) std::sort(keys.begin(), keys.end());
    bytes.reserve(keys.size() * 3);
    ByteWriter writer{bytes};
    Sequence last = 0;
    for (const DeliveryKey& key : keys) {
        writer.varint(key.sequence - last);
        writer.varint(key.route);
        last = key.sequence;
    }
    return bytes;
}

Result<std::vector<DeliveryKey>> decode_settled(std::string_view bytes)
{
    std::vector<DeliveryKey> keys;
    ByteReader reader{bytes};
    Sequence last = 0;
    while (reader.left() > 0) {
        last += reader.varint();
        const std::uint64_t route = reader.varint();
        if (!reader.ok() || route > std::numeric_limits<std::uint32_t>::max())
            return fail(Errc::corrupt, "state: a list of settled deliveries is broken");
        keys.push_back({last, static_cast<std::uint32_t>(route)});
    }
    return keys;
}

Id to_id(std::string_view bytes) noexcept
{
    Id id;
    if (bytes.size() == id.bytes.size()) std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
    return id;
}

std::string_view bytes_of(const Id& id) noexcept
{
    return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

RetryRow read_retry(const Statement& row, std::string target)
{
    RetryRow retry;
    retry.target = std::move(target);
    retry.key = {row.natural(0), static_cast<std::uint32_t>(row.natural(1))};
    retry.due = row.time(2);
    retry.delay = Duration{row.integer(3)};
    retry.attempts = static_cast<std::uint32_t>(row.natural(4));
    retry.received = row.time(5);
    retry.event = to_id(row.view(6));
    retry.rule = row.text(7);
    retry.letter = row.integer(8);
    retry.earlier = static_cast<std::uint32_t>(row.natural(9));
    retry.expires = row.time(10);
    retry.order_key = row.text(11);
    retry.routed_to = row.text(12);
    return retry;
}

DeadLetter read_dead_letter(const Statement& row, bool with_body)
{
    DeadLetter dead;
    dead.id = row.integer(0);
    dead.key = {row.natural(1), static_cast<std::uint32_t>(row.natural(2))};
    dead.rule = row.text(3);
    dead.bus = row.text(4);
    dead.forward_to = row.text(5);
    dead.event = to_id(row.view(6));
    dead.delivery_id = row.text(7);
    dead.format = static_cast<EventFormat>(row.integer(8));
    dead.attempts = static_cast<std::uint32_t>(row.natural(9));
    dead.received = row.time(10);
    dead.dead = row.time(11);
    dead.reason = row.text(12);
    dead.cause = row.text(13);
    dead.last_status = static_cast<int>(row.integer(14));
    dead.last_detail = row.text(15);
    dead.last_response = row.text(16);
    dead.target = row.text(17);
    dead.group = row.integer(18);
    dead.redrives = static_cast<std::uint32_t>(row.natural(19));
    dead.routed_to = row.text(20);
    if (with_body) read_body(row, dead);
    return dead;
}

void read_body(const Statement& row, DeadLetter& letter)
{
    letter.body = row.text(dead_letter_body_column);
    letter.input = row.text(dead_letter_body_column + 1);
}

AttemptRecord read_attempt(const Statement& row)
{
    AttemptRecord attempt;
    attempt.at = row.time(0);
    attempt.status = static_cast<int>(row.integer(1));
    attempt.latency = Duration{row.integer(2)};
    attempt.cause = row.text(3);
    attempt.detail = row.text(4);
    attempt.response = row.text(5);
    return attempt;
}

}  // namespace eventyard::router
