#include "core/result.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace eventyard {

void throw_exception_from_error(const Error& error, const boost::source_location&)
{
    throw std::runtime_error(error.what);
}

Error fail_errno(const std::string& call, const std::string& path, int error)
{
    const Errc code = error == ENOSPC || error == EDQUOT ? Errc::no_space : Errc::io;
    return fail(code, call + " '" + path + "': " + std::strerror(error));
}

void invariant_broken(const char* condition, const char* why, const char* file, int line) noexcept
{
    std::fprintf(stderr, "eventyard: broken invariant: %s (%s) at %s:%d\n", why, condition, file,
                 line);
    std::abort();
}

}  // namespace eventyard
