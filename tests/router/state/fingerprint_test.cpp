#include "router/state/fingerprint.hpp"

#include <catch2/catch.hpp>

namespace eventyard::router {
namespace {

TEST_CASE("what differs from one error to the next is left out of its fingerprint")
{
    const struct {
        const char* detail;
        const char* response;
        const char* print;
    } cases[] = {
        {"HTTP 503", "", "HTTP 503"},
        {"HTTP 503", "busy", "HTTP 503: busy"},
        {"connect to 127.0.0.1:8081: refused", "", "connect to #: refused"},
        {"connect to [fe80::1]:8081: refused", "", "connect to [#]:#: refused"},
        {"timed out after 30.5s", "", "timed out after #"},
        {"HTTP 400", R"({"error":"no order 4711"})", R"(HTTP 400: {"error":"no order #"})"},
        {"HTTP 400", "order 019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d", "HTTP 400: order #"},
        {"at 2026-11-25T19:30:00.123Z", "", "at #"},
        {"id cafebabe", "", "id #"},
        {"key deadbeefdeadbeef gone", "", "key # gone"},
        {"line one\nline\ttwo  end ", "", "line one line two end"},
        {"caf\xc3\xa9", "", "caf?"},
        {"", "", ""},
    };
    for (const auto& one : cases)
        DYNAMIC_SECTION(one.detail << " | " << one.response)
        {
            CHECK(fingerprint(one.detail, one.response) == one.print);
        }
}

TEST_CASE("a fingerprint is short")
{
    CHECK(fingerprint(std::string(1000, 'x'), std::string(1000, 'y')).size() == fingerprint_max);
}

}  // namespace
}  // namespace eventyard::router
