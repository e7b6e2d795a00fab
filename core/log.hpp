// core/log.hpp — one line an occurrence, as text or JSON, on stderr.
//
//     log::warn("delivery", "target is failing", {{"target", name}, {"failures", 12}});
//     2026-11-23T08:30:00.123Z WARN  delivery  target is failing  target=orders failures=12
//
// Callers keep floods out: what can happen an event logs a count at intervals, not a line each.
// Never pass a Secret. Thread-safe.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace eventyard::log {

enum class Level : std::uint8_t { debug, info, warn, error, off };
enum class Format : std::uint8_t { text, json };

struct Field {
    std::string_view key;
    std::string value;
    bool quoted = true;  // false: a number or boolean in JSON
    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const std::string& v) : key(k), value(v) {}
    Field(std::string_view k, const char* v) : key(k), value(v) {}
    Field(std::string_view k, std::integral auto v) : key(k), value(std::to_string(v)), quoted(false) {}
    Field(std::string_view k, std::floating_point auto v)
        : key(k), value(std::to_string(v)), quoted(false) {}
    Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), quoted(false) {}
};

using Fields = std::initializer_list<Field>;

/// Once at start; before that: text, info, stderr.
void configure(Format format, Level level);

void write(Level level, std::string_view component, std::string_view message, Fields fields = {});

inline void debug(std::string_view c, std::string_view m, Fields f = {}) { write(Level::debug, c, m, f); }
inline void info(std::string_view c, std::string_view m, Fields f = {}) { write(Level::info, c, m, f); }
inline void warn(std::string_view c, std::string_view m, Fields f = {}) { write(Level::warn, c, m, f); }
inline void error(std::string_view c, std::string_view m, Fields f = {}) { write(Level::error, c, m, f); }

}  // namespace eventyard::log
