#include "core/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "core/time.hpp"

namespace eventyard::log {
namespace {

std::atomic<Format> current_format{Format::text};

spdlog::logger& logger()
{
    // Never destroyed: threads may log until the process ends.
    static spdlog::logger* const instance = [] {
        auto* made = new spdlog::logger("eventyard", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("%v");
        made->flush_on(spdlog::level::trace);
        return made;
    }();
    return *instance;
}

spdlog::level::level_enum to_spdlog(Level level)
{
    switch (level) {
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warn: return spdlog::level::warn;
        case Level::off: return spdlog::level::off;
        case Level::error: break;
    }
    return spdlog::level::err;
}

std::string json_text(std::string_view text)
{
    return nlohmann::json(std::string(text))
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool plain(std::string_view value)
{
    if (value.empty()) return false;
    for (const char c : value)
        if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\x7f') return false;
    return true;
}

}  // namespace

void configure(Format format, Level level)
{
    current_format = format;
    logger().set_level(to_spdlog(level));
}

void write(Level level, std::string_view component, std::string_view message, Fields fields)
{
    if (!logger().should_log(to_spdlog(level))) return;
    static constexpr const char* text_names[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    static constexpr const char* json_names[] = {"debug", "info", "warn", "error"};
    const auto index = static_cast<std::size_t>(level);
    std::string line;
    const std::string time = to_rfc3339(SystemClock{}.wall());
    if (current_format.load(std::memory_order_relaxed) == Format::json) {
        line = R"({"time":")" + time + R"(","level":")" + json_names[index] + R"(","component":)" +
               json_text(component) + R"(,"message":)" + json_text(message);
        for (const Field& field : fields)
            line += "," + json_text(field.key) + ":" +
                    (field.quoted ? json_text(field.value) : field.value);
        line += "}";
    } else {
        line = time + " " + text_names[index] + " " + std::string(component);
        if (component.size() < 9) line.append(9 - component.size(), ' ');
        line += " " + std::string(message);
        if (fields.size() > 0) line += " ";
        for (const Field& field : fields)
            line += " " + std::string(field.key) + "=" +
                    (plain(field.value) ? field.value : json_text(field.value));
    }
    logger().log(to_spdlog(level), line);
}

}  // namespace eventyard::log
