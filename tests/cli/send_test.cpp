// The real `eventyard send` against the real `eventyard sink`, which takes any POST, and against
// nobody.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/http.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace eventyard::support;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

class Server {
public:
    explicit Server(std::vector<std::string> options = {}) : process_(arguments(std::move(options)))
    {
        const auto line = process_.wait_for_line("listening on ");
        REQUIRE(line);
        url = line->substr(std::string("listening on ").size());
        port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
    }
    json summary() const { return json::parse(http_get(port, "/_summary").body); }
    /// The requests it printed, once there are so many.
    std::vector<json> requests(std::size_t count)
    {
        REQUIRE(process_.wait_for_line("\"method\"", 10s, count - 1));
        std::vector<json> all;
        for (const std::string& line : lines_of(process_.out()))
            if (line.front() == '{') all.push_back(json::parse(line));
        return all;
    }
    std::string url;
    std::uint16_t port = 0;

private:
    static std::vector<std::string> arguments(std::vector<std::string> options)
    {
        options.insert(options.begin(), {EVENTYARD_BINARY, "sink", "--listen", "127.0.0.1:0", "--json"});
        return options;
    }
    Process process_;
};

Finished send(const std::string& url, std::vector<std::string> options, std::string input = {})
{
    options.insert(options.begin(), {EVENTYARD_BINARY, "send", "--url", url});
    ProcessOptions process;
    process.input = std::move(input);
    return run(std::move(options), std::move(process), 30s);
}

std::string numbered(int count)
{
    std::string lines;
    for (int i = 0; i < count; ++i) lines += "{\"n\":" + std::to_string(i) + "}\n";
    return lines;
}

}  // namespace

TEST_CASE("send posts the lines of files and stdin in batches and sums up")
{
    const TempDir directory;
    const std::string path = directory.write("events.jsonl", numbered(250) + "\n  \n");
    Server server;
    const Finished finished = send(server.url, {"--json", "--batch", "100", path, "-"}, numbered(50));
    INFO(finished.err);
    CHECK(finished.exit.code == 0);
    const json summary = json::parse(finished.out);
    CHECK(summary.at("accepted") == 300);
    CHECK(summary.at("refused") == 0);
    CHECK(summary.at("requests") == 3);
    CHECK(finished.err.empty());
    for (const json& request : server.requests(3)) {
        CHECK(request.at("path") == "/v1/events");
        CHECK(request.at("content_type") == "application/x-ndjson");
    }
}

TEST_CASE("send gives a bus its path and a lone event its type")
{
    const TempDir directory;
    const std::string path = directory.write("one.json", "{\n  \"a\": 1\n}\n");
    Server server;
    CHECK(send(server.url, {"--bus", "a b/c", path}).exit.code == 0);
    const auto request = server.requests(1).front();
    CHECK(request.at("path") == "/v1/buses/a%20b%2Fc/events");
    CHECK(request.at("content_type") == "application/json");
    CHECK(request.at("body") == "{   \"a\": 1 }");
}

TEST_CASE("send repeats files as often as told, over several connections")
{
    const TempDir directory;
    const std::string path = directory.write("events.ndjson", numbered(40));
    Server server{{"--quiet"}};
    const Finished finished =
        send(server.url, {"--json", "--repeat", "25", "--connections", "8", "--batch", "7", path});
    CHECK(finished.exit.code == 0);
    CHECK(json::parse(finished.out).at("accepted") == 1000);
    const auto bytes = json::parse(finished.out).at("bytes").get<std::uint64_t>();
    CHECK(bytes == 25 * (numbered(40).size() - 40));
}

TEST_CASE("send tries again what is refused for now and obeys Retry-After")
{
    Server server{{"--quiet", "--respond", "503,429,202", "--retry-after", "1s"}};
    const auto start = std::chrono::steady_clock::now();
    const Finished finished = send(server.url, {"--json", "-"}, numbered(3));
    CHECK(std::chrono::steady_clock::now() - start >= 2s);
    CHECK(finished.exit.code == 0);
    const json summary = json::parse(finished.out);
    CHECK(summary.at("accepted") == 3);
    CHECK(summary.at("retries") == 2);
}

TEST_CASE("send survives connections that are reset")
{
    Server server{{"--quiet", "--reset", "2"}};
    const Finished finished = send(server.url, {"--json", "--connections", "1", "-"}, numbered(3));
    CHECK(finished.exit.code == 0);
    CHECK(json::parse(finished.out).at("accepted") == 3);
}

TEST_CASE("send groups refusals by reason and exits 1")
{
    Server server{{"--quiet", "--respond", "400"}};
    const TempDir directory;
    const std::string path = directory.write("events.jsonl", numbered(5));
    const Finished finished = send(server.url, {"--json", "--batch", "2", "--connections", "1", path});
    CHECK(finished.exit.code == 1);
    const json summary = json::parse(finished.out);
    CHECK(summary.at("accepted") == 0);
    CHECK(summary.at("refused") == 5);
    REQUIRE(summary.at("refusals").size() == 1);
    CHECK(summary.at("refusals").at(0).at("count") == 5);
    CHECK(summary.at("refusals").at(0).at("first") == path + ":1");
    const Finished table = send(server.url, {path});
    CHECK(table.out.find("ACCEPTED") != std::string::npos);
    CHECK(table.out.find("400 the trial receiver was asked to answer 400") != std::string::npos);
}

TEST_CASE("send halves a batch that is too large for the other side")
{
    Server server{{"--quiet", "--respond", "413,202"}};
    const Finished finished = send(server.url, {"--json", "--connections", "1", "-"}, numbered(9));
    CHECK(finished.exit.code == 0);
    const json summary = json::parse(finished.out);
    CHECK(summary.at("accepted") == 9);
    CHECK(server.summary().at("requests") == 3);
}

TEST_CASE("send does not wait for more lines when they come slowly")
{
    Server server;
    Process sender{{"/bin/sh", "-c",
                    "{ echo '{\"n\":1}'; sleep 5; } | '" EVENTYARD_BINARY "' send --url " + server.url + " -"}};
    const auto start = std::chrono::steady_clock::now();
    CHECK(server.requests(1).front().at("body") == "{\"n\":1}");
    CHECK(std::chrono::steady_clock::now() - start < 4s);
}

TEST_CASE("send keeps to its rate")
{
    Server server{{"--quiet"}};
    const auto start = std::chrono::steady_clock::now();
    const Finished finished = send(server.url, {"--json", "--rate", "100", "-"}, numbered(100));
    const auto took = std::chrono::steady_clock::now() - start;
    CHECK(finished.exit.code == 0);
    CHECK(took >= 850ms);
}

TEST_CASE("send says when nobody listens, and what it could not read")
{
    const std::string nobody = "http://127.0.0.1:" + std::to_string(free_port());
    const Finished refused = send(nobody, {"--retries", "1", "-"}, numbered(3));
    CHECK(refused.exit.code == 2);
    CHECK(refused.err.find("gave up") != std::string::npos);
    CHECK(refused.err.find("refused") != std::string::npos);

    CHECK(send(nobody, {"/nowhere/events.jsonl"}).err.find("cannot read '/nowhere/events.jsonl'") != std::string::npos);
    CHECK(send("ftp://x", {"-"}).exit.code == 2);
    CHECK(send(nobody + "/path", {"-"}).exit.code == 2);
    CHECK(send(nobody, {}).exit.code == 2);
    CHECK(send(nobody, {"--batch", "0", "-"}).exit.code == 2);
    CHECK(send(nobody, {"--repeat", "2", "-"}).exit.code == 2);

    const TempDir directory;
    const Finished broken = send(nobody, {directory.write("a.json", "{}{}")});
    CHECK(broken.exit.code == 2);
    CHECK(broken.err.find("not one JSON document") != std::string::npos);
}
