// core/result.hpp — a value or the reason there is none.
//
// For bad input and failed system calls. A failed delivery attempt is not an error but an
// Outcome (targets/outcome.hpp); mistakes in configuration go to a Report (core/report.hpp); a
// broken invariant terminates (EVENTYARD_ASSERT below).
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <string>
#include <utility>

namespace eventyard {

enum class Errc : std::uint8_t {
    invalid,      // the input breaks a rule; `what` names the rule and the place
    io,           // a system call failed; `what` holds the call, the path and strerror
    corrupt,      // stored bytes fail their checksum or contradict each other
    no_space,     // the disk, or a budget of ours, is full
    too_large,    // a limit was exceeded; `what` names the limit and its config key
    not_found,    // no such thing
    conflict,     // another process or an older state stands in the way
    unavailable,  // not now; the caller may try later
    cancelled,    // we are shutting down
    unsupported,  // a newer format than this binary reads, or a feature not built in
};

/// Why something failed: a class for the program, a sentence for the person.
struct Error {
    Errc code = Errc::invalid;
    std::string what;
};

[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location&);

template <class T>
struct [[nodiscard]] Result : boost::system::result<T, Error> {
    using boost::system::result<T, Error>::result;
};

[[nodiscard]] inline Error fail(Errc code, std::string what)
{
    return Error{code, std::move(what)};
}

/// An Errc::io error (no_space for ENOSPC and EDQUOT) with the text of errno value `error`.
[[nodiscard]] Error fail_errno(const std::string& call, const std::string& path, int error);

/// Ends the process with the broken invariant and its place; used by EVENTYARD_ASSERT.
[[noreturn]] void invariant_broken(const char* condition, const char* why, const char* file,
                                   int line) noexcept;

}  // namespace eventyard

#define EVENTYARD_CONCAT_(a, b) a##b
#define EVENTYARD_CONCAT(a, b) EVENTYARD_CONCAT_(a, b)

/// Declares `name` as the value of `expr`, or returns its error from this function.
#define EVENTYARD_TRY(name, expr)                                    \
    auto EVENTYARD_CONCAT(try_, __LINE__) = (expr);                  \
    if (!EVENTYARD_CONCAT(try_, __LINE__).has_value())               \
        return std::move(EVENTYARD_CONCAT(try_, __LINE__)).error();  \
    auto name = std::move(*EVENTYARD_CONCAT(try_, __LINE__))

/// As EVENTYARD_TRY, for a Result<void>.
#define EVENTYARD_CHECK(expr)                         \
    do {                                              \
        if (auto checked_ = (expr); !checked_.has_value()) \
            return std::move(checked_).error();       \
    } while (false)

/// Checked in every build: what we store depends on it.
#define EVENTYARD_ASSERT(condition, why) \
    ((condition) ? void() : ::eventyard::invariant_broken(#condition, why, __FILE__, __LINE__))
