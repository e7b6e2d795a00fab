#include <catch2/catch.hpp>

#include "core/rfc3339.hpp"

using namespace eventyard;

TEST_CASE("a timestamp of RFC 3339 is read as the time it is, and anything else as none")
{
    struct Case {
        const char* text;
        const char* time;  // null: none
    };
    const Case cases[] = {
        {"2026-11-23T08:30:00.123Z", "2026-11-23T08:30:00.123Z"},
        {"2026-11-23t08:30:00z", "2026-11-23T08:30:00.000Z"},
        {"2026-11-23T00:30:00+01:00", "2026-11-22T23:30:00.000Z"},
        {"2026-12-31T23:30:00.25-01:30", "2027-01-01T01:00:00.250Z"},
        {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"},
        {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"},
        {"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"},
        {"2026-11-23T08:30:00.1234567890123Z", "2026-11-23T08:30:00.123Z"},
        {"2023-02-29T00:00:00Z", nullptr},
        {"2026-13-01T00:00:00Z", nullptr},
        {"2026-00-01T00:00:00Z", nullptr},
        {"2026-01-00T00:00:00Z", nullptr},
        {"2026-11-23T24:00:00Z", nullptr},
        {"2026-11-23T08:30:00", nullptr},
        {"2026-11-23T08:30:00.Z", nullptr},
        {"2026-11-23T08:30:00+0100", nullptr},
        {"2026-11-23 08:30:00Z", nullptr},
        {"2026-11-23T08:30:00Zz", nullptr},
        {"2026-11-23", nullptr},
        {"", nullptr},
    };
    for (const Case& one : cases) DYNAMIC_SECTION(one.text)
    {
        const auto time = parse_rfc3339(one.text);
        REQUIRE(time.has_value() == (one.time != nullptr));
        if (time) CHECK(to_rfc3339(*time) == one.time);
    }
    CHECK(to_rfc3339(WallTime::min()) == "1677-09-21T00:12:43.145Z");
    CHECK(to_rfc3339(WallTime::max()) == "2262-04-11T23:47:16.854Z");
    CHECK(parse_rfc3339("9999-12-31T23:59:59Z") == WallTime::max());
    CHECK(parse_rfc3339("0001-01-01T00:00:00Z") == WallTime::min());
}
