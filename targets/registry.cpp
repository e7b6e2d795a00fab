#include "targets/registry.hpp"

#include <array>

#include "targets/file.hpp"
#include "targets/redis.hpp"
#include "targets/webhook.hpp"

namespace eventyard::targets {
namespace {

/// An explicit table: it can be read, and a linker cannot drop a row.
const std::array<Kind, 3>& table() noexcept
{
    static const std::array<Kind, 3> rows{{
        {"webhook", "Sends each event in an HTTP request, signed if you like.", webhook_settings(),
         &read_webhook, &read_untrusted_webhook, false},
        {"file", "Appends each event to a file, one JSON text a line, synced and rotated.",
         file_settings(), &read_file_target, nullptr, true},
        {"redis_stream", "Adds each event to a Redis stream.", redis_settings(), &read_redis_stream,
         nullptr, true},
    }};
    return rows;
}

}  // namespace

std::span<const Kind> kinds() noexcept { return table(); }

const Kind* find_kind(std::string_view name) noexcept
{
    for (const Kind& kind : kinds())
        if (kind.name == name) return &kind;
    return nullptr;
}

std::vector<std::string> kind_names()
{
    std::vector<std::string> names;
    for (const Kind& kind : kinds()) names.emplace_back(kind.name);
    return names;
}

}  // namespace eventyard::targets
