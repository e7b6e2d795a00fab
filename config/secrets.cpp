#include "config/secrets.hpp"

#include <cstdlib>
#include <optional>
#include <string_view>

#include "config/files.hpp"

namespace eventyard::config {
namespace {

std::optional<std::string> from_env(const std::string& name, const Place& place, Report& report)
{
    if (const char* value = std::getenv(name.c_str()); value != nullptr) return std::string(value);
    report.error(place, "environment variable '" + name + "' is not set");
    return std::nullopt;
}

std::optional<std::string> from_file(const std::string& path, const Place& place, Report& report)
{
    const std::string full = resolve_path(place.file ? *place.file : std::string(), path);
    auto content = read_file(full, Secrets::file_max);
    if (!content.has_value()) {
        report.error(place, "secret file " + content.error().what);
        return std::nullopt;
    }
    std::string value = std::move(*content);
    if (!value.empty() && value.back() == '\n') value.pop_back();
    if (!value.empty() && value.back() == '\r') value.pop_back();
    return value;
}

/// What stands between "${" and "}".
std::optional<std::string> look_up(std::string_view reference, const Place& place, Report& report)
{
    const std::size_t colon = reference.find(':');
    const std::string_view kind = reference.substr(0, colon);
    const std::string name(colon == std::string_view::npos ? "" : reference.substr(colon + 1));
    if ((kind == "env" || kind == "file") && name.empty()) {
        report.error(place, "'${" + std::string(reference) + "}' names nothing");
        return std::nullopt;
    }
    if (kind == "env") return from_env(name, place, report);
    if (kind == "file") return from_file(name, place, report);
    // What stands in it may be a part of a password.
    report.error(place, "unknown reference '${...}'; write ${env:NAME} or ${file:PATH}, and $${ for a plain ${");
    return std::nullopt;
}

}  // namespace

std::string Secrets::resolve(const std::string& text, const Place& place, Report& report,
                             bool& found_any)
{
    std::string out;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t dollar = text.find('$', at);
        if (dollar == std::string::npos) break;
        out.append(text, at, dollar - at);
        at = dollar;
        if (text.compare(at, 3, "$${") == 0) {
            out += "${";
            at += 3;
        } else if (text.compare(at, 2, "${") == 0) {
            found_any = true;
            if (references_ == References::refused) {
                report.error(place, "a file included with 'untrusted: true' must not hold references; "
                                    "write $${ for a plain ${");
                return out;
            }
            const std::size_t close = text.find('}', at);
            if (close == std::string::npos) {
                report.error(place, "'${' is never closed by '}'; write $${ for a plain ${");
                return out;
            }
            const std::string_view reference =
                std::string_view(text).substr(at + 2, close - at - 2);
            if (auto value = look_up(reference, place, report)) {
                report.add_secret(*value);
                out += *value;
            }
            at = close + 1;
        } else {
            out += text[at++];
        }
    }
    return out.append(text, at, std::string::npos);
}

}  // namespace eventyard::config
