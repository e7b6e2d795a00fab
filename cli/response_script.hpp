// cli/response_script.hpp — what the trial receiver answers, request by request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace eventyard::cli {

/// Statuses with repeat counts, e.g. "500x3,200": three times 500, then 200. The last one repeats
/// for ever, whatever its count.
class ResponseScript {
public:
    /// Always 200.
    ResponseScript() : steps_{{200, 1}} {}
    /// @param text  STATUS or STATUSxCOUNT, separated by commas; statuses 200 to 599
    static Result<ResponseScript> parse(std::string_view text);

    /// The status of the request with that number, counted from 0.
    [[nodiscard]] unsigned at(std::uint64_t number) const noexcept;

private:
    struct Step {
        unsigned status;
        std::uint64_t count;
    };
    std::vector<Step> steps_;
};

/// Which requests the receiver answers by a TCP reset instead.
class ResetScript {
public:
    /// None.
    ResetScript() = default;
    /// @param text  "3": the first three; "every:3": the third, sixth, ...
    static Result<ResetScript> parse(std::string_view text);

    [[nodiscard]] bool at(std::uint64_t number) const noexcept
    {
        return every_ == 0 ? number < first_ : number % every_ == every_ - 1;
    }

private:
    std::uint64_t first_ = 0;
    std::uint64_t every_ = 0;
};

}  // namespace eventyard::cli
