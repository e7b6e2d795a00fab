// router/ingest/refusal.hpp — why a request, or one item of it, was not accepted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace eventyard::router {

struct Refusal {
    unsigned status = 400;
    const char* code = "";                // a stable word for programs, e.g. "invalid_json"
    std::string message;                  // one sentence for a person
    std::optional<std::uint64_t> offset;  // of the fault, in bytes from the start of the body
    std::uint64_t line = 0;               // NDJSON: line of the item, from 1; 0: not NDJSON
    const char* config = nullptr;         // key of the limit that was exceeded
    std::uint64_t limit = 0;              // its value: bytes, items or milliseconds
    unsigned retry_after = 0;             // seconds; 0: no Retry-After
};

}  // namespace eventyard::router
