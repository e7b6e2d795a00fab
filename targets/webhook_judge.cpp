#include "targets/webhook_judge.hpp"

#include <array>
#include <utility>

#include "core/report.hpp"
#include "targets/retry_after.hpp"

namespace eventyard::targets {
namespace {

constexpr std::array<std::pair<std::string_view, Cause>, 7> words{{{"resolve", Cause::resolve},
                                                                   {"address", Cause::address},
                                                                   {"connect", Cause::connect},
                                                                   {"tls", Cause::tls},
                                                                   {"timeout", Cause::timeout},
                                                                   {"lost", Cause::lost},
                                                                   {"protocol", Cause::protocol}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

RetryOn::RetryOn()
{
    for (const unsigned status : {408U, 409U, 425U, 429U}) statuses_.set(status);
    for (unsigned status = 500; status < 600; ++status) statuses_.set(status);
    for (const auto& [word, cause] : words) causes_.set(static_cast<std::size_t>(cause));
}

RetryOn RetryOn::parse(const std::vector<std::string>& items, std::string& problem)
{
    RetryOn result;
    std::bitset<600> statuses;
    std::bitset<16> causes;
    for (const std::string& item : items) {
        const bool three = item.size() == 3 && item[0] >= '3' && item[0] <= '5';
        if (three && (item.substr(1) == "xx" || item.substr(1) == "XX")) {
            const auto first = static_cast<std::size_t>(item[0] - '0') * 100;
            for (std::size_t status = first; status < first + 100; ++status) statuses.set(status);
            continue;
        }
        if (three && is_digit(item[1]) && is_digit(item[2])) {
            statuses.set(static_cast<std::size_t>(std::stoi(item)));
            continue;
        }
        bool known = false;
        std::vector<std::string> names;
        for (const auto& [word, cause] : words) {
            names.emplace_back(word);
            if (item != word) continue;
            causes.set(static_cast<std::size_t>(cause));
            known = true;
        }
        if (!known && problem.empty())
            problem = "'" + item +
                      "' is neither a status (300 to 599), a class (3xx, 4xx, 5xx) nor one of "
                      "resolve, address, connect, tls, timeout, lost, protocol" +
                      did_you_mean(item, names);
    }
    if (statuses.any()) result.statuses_ = statuses;
    if (causes.any()) result.causes_ = causes;
    return result;
}

bool RetryOn::status(unsigned status) const noexcept
{
    return status < statuses_.size() && statuses_[status];
}

bool RetryOn::failure(Cause cause) const noexcept
{
    return causes_[static_cast<std::size_t>(cause)];
}

Judgement judge(const Answer& answer, const RetryOn& retry_on, WallTime now)
{
    if (answer.status >= 200 && answer.status < 300) return {Verdict::delivered, {}};
    if (answer.status == 489 && answer.non_retryable) return {Verdict::reject, {}};
    if (!retry_on.status(answer.status))
        return {answer.status == 410 ? Verdict::pause : Verdict::reject, {}};
    const auto after = parse_retry_after(answer.retry_after, now);
    if (!after) return {Verdict::retry, {}};
    if (after->stop) return {Verdict::reject, {}};
    return {Verdict::retry, after->wait};
}

}  // namespace eventyard::targets
