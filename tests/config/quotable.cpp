// What of a settings file a report may quote.
#include "config/quotable.hpp"

#include <catch2/catch.hpp>

using eventyard::config::quotable;

TEST_CASE("keys, short words and what is known to be no secret are quoted, everything else is stars")
{
    const std::pair<const char*, const char*> cases[] = {
        {"data_dir: data/here", "data_dir: data/here"},
        {"timeout: 10s  # of hunter2", "timeout: 10s  #***********"},
        {"password: hunter2", "password: *******"},
        {"password: abc", "password: abc"},
        {"- {concurrency: 1000, bearer: hunter2, retry: {max_age: 6h}}", "- {concurrency: 1000, bearer: *******, retry: {max_age: 6h}}"},
        {R"("bearer":"hunter2","timeout":"1000s")", R"("bearer":*********,"timeout":"1000s")"},
        {"bearer: 'it''s hunter2', a: b", "bearer: ***************, a: b"},
        {R"(bearer: "hun\"ter2", a: b)", R"(bearer: ***********, a: b)"},
        {"bearer: ${env:TOKEN}", "bearer: ${*********}"},
        {"bearer: \"${env:TOKEN}\"", "bearer: \"${env:TOKEN}\""},
        {"bearer: \"${hunter2}\"", "bearer: ************"},
        {"url: https://a.example/hooks/1", "url: https://a.example/hooks/1"},
        {"url: https://u:hunter2@a.example/", "url: ****************************"},
        {"url: https://a.example/?k=hunter2", "url: ****************************"},
        {"retry_on: [5xx, timeout, hunter2]", "retry_on: [5xx, timeout, hunter2]"},
        {"timeout: 5s, hunter2", "timeout: 5s, *******"},
        {"  hunter2-part\"}, timeout: 1000s}", "  *************}, timeout: 1000s}"},
        {"key: $.detail.id", "key: $.detail.id"},
        {"Authorization:Bearer hunter2", "****************************"},
        {"\"Bearer hunter2\": x", "****************: x"},
        {"a: 1\nbearer: hunter2\r\nb: 2\n", "a: 1\nbearer: ********\nb: 2\n"},
        {"", ""},
        {"\n\n", "\n\n"},
    };
    for (const auto& [text, shown] : cases) {
        CHECK(quotable(text) == shown);
    }
}
