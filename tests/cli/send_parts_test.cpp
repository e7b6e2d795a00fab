// The parts of `eventyard send` that need no network.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "cli/event_reader.hpp"
#include "cli/sender.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using namespace eventyard::cli;
using namespace std::chrono_literals;
using Status = LineReader::Status;

namespace {

struct Pipe {
    Pipe() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
    ~Pipe()
    {
        ::close(ends[0]);
        end();
    }
    void write(std::string_view text) const
    {
        REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    void end()
    {
        if (ends[1] >= 0) ::close(ends[1]);
        ends[1] = -1;
    }
    int ends[2];
};

}  // namespace

TEST_CASE("lines come one by one, whole, and the last needs no end")
{
    Pipe pipe;
    LineReader lines{pipe.ends[0], 100};
    std::string line;
    pipe.write("one\r\n\ntw");
    CHECK(lines.next(line, 10ms) == Status::line);
    CHECK(line == "one");
    CHECK(lines.next(line, 10ms) == Status::line);
    CHECK(line.empty());
    CHECK(lines.next(line, 10ms) == Status::idle);
    pipe.write("o\nthree");
    CHECK(lines.next(line, 1s) == Status::line);
    CHECK(line == "two");
    pipe.end();
    CHECK(lines.next(line, 1s) == Status::line);
    CHECK(line == "three");
    CHECK(lines.next(line, 1s) == Status::end);
    CHECK(lines.next(line, 1s) == Status::end);
}

TEST_CASE("a line above the limit is told once and skipped to its end")
{
    const support::TempDir directory;
    const std::string path =
        directory.write("lines", "before\n" + std::string(500'000, 'x') + "\nafter\n");
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    LineReader lines{fd, 1000};
    std::string line;
    CHECK(lines.next(line, 1s) == Status::line);
    CHECK(lines.next(line, 1s) == Status::too_long);
    CHECK(lines.next(line, 1s) == Status::line);
    CHECK(line == "after");
    CHECK(lines.next(line, 1s) == Status::end);
    ::close(fd);
}

TEST_CASE("a JSON document gives its elements, or itself, as they were written")
{
    const auto list = split_document("[ {\"a\": 1.50,\n \"b\":\"x\\ny\"}, [1,2], \"s\" ]\n");
    REQUIRE(list.has_value());
    CHECK(*list == std::vector<std::string>{"{\"a\": 1.50,  \"b\":\"x\\ny\"}", "[1,2]", "\"s\""});
    const auto one = split_document("{\r\n\"a\":[1,\n{}]}");
    REQUIRE(one.has_value());
    CHECK(*one == std::vector<std::string>{"{  \"a\":[1, {}]}"});
    CHECK(split_document("[]")->empty());
    const auto lines = split_document("{}\n{}\n");
    REQUIRE_FALSE(lines.has_value());
    CHECK(lines.error().what.find("ndjson") != std::string::npos);
}

TEST_CASE("the name of a file says its format unless the format is given")
{
    CHECK_FALSE(is_ndjson("events.json", FileFormat::by_name));
    CHECK(is_ndjson("events.jsonl", FileFormat::by_name));
    CHECK(is_ndjson("events.ndjson", FileFormat::by_name));
    CHECK(is_ndjson("-", FileFormat::by_name));
    CHECK_FALSE(is_ndjson("-", FileFormat::json));
    CHECK(is_ndjson("events.json", FileFormat::ndjson));
}

TEST_CASE("an answer says of each event of a batch whether it was taken")
{
    SECTION("202 without a list is about all")
    {
        CHECK(read_answer(202, R"({"id":"x","sequence":1,"stored":true})", 1).accepted == 1);
        CHECK(read_answer(202, "", 7).accepted == 7);
        CHECK(read_answer(202, R"({"id":"x","stored":false})", 1).unmatched == 1);
    }
    SECTION("207 is read item by item")
    {
        const Verdicts verdicts = read_answer(
            207,
            R"({"items":[{"status":202,"id":"a","sequence":4,"stored":true},
                {"status":400,"error":{"code":"bad_json","message":"expected a value"}},
                {"status":503,"error":"later"},
                {"status":202,"id":"b","stored":false}]})",
            4);
        CHECK(verdicts.accepted == 2);
        CHECK(verdicts.unmatched == 1);
        REQUIRE(verdicts.refused.size() == 1);
        CHECK(verdicts.refused[0].first == 1);
        CHECK(verdicts.refused[0].second == "400 expected a value");
        CHECK(verdicts.again == std::vector<std::size_t>{2});
    }
    SECTION("a refusal as a whole is about every event")
    {
        const Verdicts refused = read_answer(413, R"({"error":"body above limits.body"})", 2);
        CHECK(refused.accepted == 0);
        REQUIRE(refused.refused.size() == 2);
        CHECK(refused.refused[1].second == "413 body above limits.body");
        CHECK(read_answer(429, "", 3).again.size() == 3);
        CHECK(read_answer(503, "<html>", 3).again.size() == 3);
        CHECK(read_answer(500, "<html>", 1).refused[0].second == "500 (the answer gives no reason)");
    }
    SECTION("a list of another length is not trusted")
    {
        CHECK(read_answer(202, R"({"items":[{"status":400}]})", 2).accepted == 2);
        CHECK(read_answer(400, R"({"items":[],"error":"no"})", 2).refused.size() == 2);
    }
}
