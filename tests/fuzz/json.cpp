// Any bytes as JSON: our walk accepts what an independent parser accepts, at the same limits, and
// what it accepts it gives back unchanged.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace eventyard;
    static json::Document document;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    json::SyntaxError error;
    const bool ours = document.parse(text, {.depth = 200}, error);
    if (!ours) {
        if (error.offset > size || error.message.empty()) std::abort();
        return 0;
    }
    if (document.root().next != document.values().size()) std::abort();
    std::uint32_t last = 0;
    for (const json::Value& value : document.values()) {
        if (value.begin < last && value.end > last) std::abort();
        if (value.begin > value.end || value.end > size) std::abort();
        last = value.begin;
    }
    // nlohmann refuses lone surrogates and numbers that overflow a double; everything else alike.
    bool special = false;
    for (const json::Value& value : document.values())
        special = special || value.lone_surrogate || value.key_lone_surrogate || value.kind == json::Kind::number;
    if (!special && !nlohmann::json::accept(text)) std::abort();
    return 0;
}
