#include "cli/response_script.hpp"

#include <charconv>
#include <optional>

namespace eventyard::cli {
namespace {

std::optional<std::uint64_t> number(std::string_view text)
{
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

Result<ResponseScript> ResponseScript::parse(std::string_view text)
{
    ResponseScript script;
    script.steps_.clear();
    for (std::string_view rest = text;;) {
        const std::size_t comma = rest.find(',');
        const std::string_view step = rest.substr(0, comma);
        const std::size_t times = step.find('x');
        const auto status = number(step.substr(0, times));
        const auto count = times == std::string_view::npos ? 1 : number(step.substr(times + 1));
        if (!status || *status < 200 || *status > 599 || !count || *count == 0)
            return fail(Errc::invalid, "'" + std::string(step) +
                                           "' is not a status or STATUSxCOUNT, such as 200 or 500x3");
        script.steps_.push_back({static_cast<unsigned>(*status), *count});
        if (comma == std::string_view::npos) return script;
        rest.remove_prefix(comma + 1);
    }
}

unsigned ResponseScript::at(std::uint64_t number) const noexcept
{
    for (const Step& step : steps_) {
        if (number < step.count) return step.status;
        number -= step.count;
    }
    return steps_.back().status;
}

Result<ResetScript> ResetScript::parse(std::string_view text)
{
    constexpr std::string_view every = "every:";
    ResetScript script;
    const bool periodic = text.substr(0, every.size()) == every;
    const auto count = number(periodic ? text.substr(every.size()) : text);
    if (!count || (periodic && *count == 0))
        return fail(Errc::invalid, "'" + std::string(text) + "' is not a number or every:N, such as 3 or every:10");
    (periodic ? script.every_ : script.first_) = *count;
    return script;
}

}  // namespace eventyard::cli
