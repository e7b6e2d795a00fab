// A backup under load, restored: what was accepted before it ends as the ledger says, and nothing is lost.
#include <filesystem>
#include <set>

#include "tests/e2e/harness.hpp"

using namespace eventyard;
using namespace eventyard::e2e;

namespace {

constexpr const char* rules = "rules:\n"
                              "  - {name: all, pattern: {source: [kept]}, targets: [up, down]}\n"
                              "  - {name: odd, pattern: {source: [kept], odd: [true]}, targets: [dead]}\n";

std::string configuration(const Sink& up, const Sink& dead, std::uint16_t down)
{
    return "journal: {segment_size: 256KiB, min_free: 1MiB}\n"
           "targets:\n"
           "  up:\n    webhook: {url: '" + up.url() + "'}\n"
           "  down:\n    webhook: {url: 'http://127.0.0.1:" + std::to_string(down) + "/'}\n"
           "    retry: {max_attempts: 100000, backoff: {initial: 50ms, max: 200ms}}\n"
           "  dead:\n    webhook: {url: '" + dead.url() + "'}\n    retry: {max_attempts: 2, backoff: {initial: 1ms, max: 2ms}}\n";
}

std::string body_of(std::uint64_t n)
{
    return R"({"source":"kept","odd":)" + std::string(n % 2 == 1 ? "true" : "false") + R"(,"n":)" + std::to_string(n) +
           R"(,"pad":")" + std::string(n % 4000, 'x') + "\"}";
}

nlohmann::json ledger_row(const nlohmann::json& status, const std::string& target)
{
    for (const auto& row : status.at("ledger"))
        if (row.at("target") == target) return row;
    return nlohmann::json::object();
}

support::Finished command(std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), EVENTYARD_BINARY);
    return support::run(std::move(arguments));
}

std::string store_of(const Daemon& daemon)
{
    const auto checked = command({"journal", "check", "--config", daemon.config(), "--json"});
    return nlohmann::json::parse(checked.out).value("store", "");
}

}  // namespace

TEST_CASE("a backup under load, restored, delivers or dead-letters every event that was accepted before it")
{
    TempDir directory;
    Sink up, dead{{"--respond", "400"}};
    const std::uint16_t down_port = support::free_port();
    Daemon daemon{directory};
    daemon.configure(configuration(up, dead, down_port), rules);
    daemon.start();
    std::atomic<std::uint64_t> next{0};
    std::vector<Accepted> before;
    {
        Load load{daemon.http(), 4, body_of, next};
        // Segments that only `up` and `dead` needed are rewritten meanwhile, and released.
        REQUIRE(eventually([&] { return next > 3000; }));
        load.stop();
        before = load.accepted();
    }
    Load during{daemon.http(), 4, body_of, next};
    const std::string one = directory.file("one"), two = directory.file("two");
    const auto made = command({"backup", one, "--admin", daemon.admin_address()});
    INFO(made.out << made.err);
    REQUIRE(made.exit.code == 0);
    CHECK(made.out.find("backup of store ") == 0);
    CHECK(command({"backup", one, "--admin", daemon.admin_address()}).exit.code == 2);  // not empty
    const auto again = command({"backup", two, "--admin", daemon.admin_address(), "--json"});
    REQUIRE(again.exit.code == 0);
    const auto last = nlohmann::json::parse(again.out).at("last_sequence").get<std::uint64_t>();
    CHECK(last >= before.size());
    CHECK(std::filesystem::is_empty(directory.file("data/backups")));
    during.stop();
    CHECK(daemon.status().at("balanced") == true);
    const auto refused = command({"restore", one, "--to", directory.file("data")});
    CHECK(refused.exit.code == 2);
    CHECK(refused.err.find("is not empty") != std::string::npos);
    daemon.kill();
    const std::string former = store_of(daemon);

    // The first is restored and goes on; what came after it is gone, as it must be.
    std::filesystem::rename(directory.file("data"), directory.file("lost"));
    const auto restored = command({"restore", one, "--to", directory.file("data"), "--json"});
    INFO(restored.out << restored.err);
    REQUIRE(restored.exit.code == 0);
    const auto told = nlohmann::json::parse(restored.out);
    CHECK(told.at("good") == true);
    CHECK(told.at("of_store") == former);
    CHECK(told.at("store") != former);
    CHECK(store_of(daemon) == told.at("store"));
    const auto fit = command({"doctor", "--data-dir", directory.file("data"), "--json"});
    INFO(fit.out);
    CHECK(fit.out.find("journal and state belong together") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(directory.file("data/restore.part")));

    Sink down{{}, down_port};
    daemon.start();
    CHECK(daemon.process().err().find("set aside") == std::string::npos);
    const auto answer = support::http_post(daemon.http(), "/v1/events", body_of(1));
    REQUIRE(answer.status == 202);
    CHECK(nlohmann::json::parse(answer.body).at("sequence").get<std::uint64_t>() > told.at("last_sequence").get<std::uint64_t>());
    const auto status = daemon.settle();
    CHECK(status.at("balanced") == true);

    const auto at_up = up.ids(), at_down = down.ids();
    std::uint64_t missing = 0, odd = 0;
    for (const Accepted& event : before) {
        missing += at_up.count(delivery_of(event.id, "all", "up")) == 0 ? 1 : 0;
        missing += at_down.count(delivery_of(event.id, "all", "down")) == 0 ? 1 : 0;
        odd += event.n % 2;
    }
    CHECK(missing == 0);
    const auto up_row = ledger_row(status, "up"), down_row = ledger_row(status, "down"), dead_row = ledger_row(status, "dead");
    CHECK(up_row.at("delivered") == up_row.at("routed"));
    CHECK(down_row.at("delivered") == down_row.at("routed"));
    CHECK(down_row.at("delivered").get<std::size_t>() == at_down.size());
    CHECK(down_row.at("routed").get<std::size_t>() >= before.size() + 1);
    CHECK(dead_row.at("dead_lettered") == dead_row.at("routed"));
    CHECK(dead_row.at("dead_lettered").get<std::uint64_t>() >= odd + 1);
    const auto audited = command({"audit", "--admin", daemon.admin_address()});
    INFO(audited.out << audited.err);
    CHECK(audited.exit.code == 0);
    CHECK(daemon.terminate().code == 0);
    CHECK(command({"audit", "--data-dir", directory.file("data")}).exit.code == 0);

    // The second as well, beside it, and with another id.
    const auto beside = command({"restore", two, "--to", directory.file("beside"), "--json"});
    REQUIRE(beside.exit.code == 0);
    CHECK(nlohmann::json::parse(beside.out).at("store") != told.at("store"));
    CHECK(command({"audit", "--data-dir", directory.file("beside")}).exit.code == 0);
    WARN(before.size() << " events accepted before the backup, " << down_row.at("routed").get<std::uint64_t>() << " in it");
}

TEST_CASE("a backup that is incomplete, foreign or damaged is told")
{
    TempDir directory;
    Sink up, dead{{"--respond", "400"}};
    Daemon daemon{directory};
    daemon.configure(configuration(up, dead, support::free_port()), rules);
    daemon.start();
    for (std::uint64_t n = 0; n < 20; ++n) REQUIRE(support::http_post(daemon.http(), "/v1/events", body_of(n)).status == 202);
    const std::string backup = directory.file("backup"), to = directory.file("to");
    REQUIRE(command({"backup", backup, "--admin", daemon.admin_address()}).exit.code == 0);
    CHECK(daemon.terminate().code == 0);

    CHECK(command({"restore", directory.file("nothing"), "--to", to}).err.find("is no backup") != std::string::npos);
    const std::string manifest = support::read_text(backup + "/backup.json");
    directory.write("backup/backup.json", "{\"backup\": 9}");
    CHECK(command({"restore", backup, "--to", to}).err.find("newer form") != std::string::npos);
    directory.write("backup/backup.json", manifest);
    CHECK_FALSE(std::filesystem::exists(to));

    const std::string name = nlohmann::json::parse(manifest).at("segments").at(0);
    const std::string path = backup + "/journal/" + name;
    const std::string bytes = support::read_text(path);
    std::filesystem::remove(path);
    CHECK(command({"restore", backup, "--to", to}).err.find("lacks 'journal/" + name + "'") != std::string::npos);

    // A damaged event does not stand in the way of the others.
    std::string broken = bytes;
    const auto at = broken.find("\"n\":3,");
    REQUIRE(at != std::string::npos);
    broken[at + 4] = '4';
    directory.write("backup/journal/" + name, broken);
    const auto damaged = command({"restore", backup, "--to", to});
    INFO(damaged.out << damaged.err);
    CHECK(damaged.exit.code == 1);
    CHECK(damaged.err.find("the backup is damaged") != std::string::npos);
    CHECK(std::filesystem::exists(to + "/state.db"));

    // A damaged state is refused: the journal alone would be delivered again as a whole.
    directory.write("backup/journal/" + name, bytes);
    std::string state = support::read_text(backup + "/state.db");
    for (std::size_t page = 1; page * 16384 < state.size(); ++page) state[page * 16384 + 100] ^= 0x55;
    directory.write("backup/state.db", state);
    const auto refused = command({"restore", backup, "--to", directory.file("other")});
    CHECK(refused.exit.code == 2);
    CHECK_FALSE(std::filesystem::exists(directory.file("other/journal")));
}

TEST_CASE("a daemon with a relative data_dir is backed up from any directory")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure("targets:\n  out: {file: {path: " + directory.file("out.jsonl") + "}}\n",
                     "rules:\n  - {name: all, pattern: {source: [kept]}, targets: [out]}\n");
    std::string text = support::read_text(daemon.config());
    const std::string data = directory.file("data");
    text.replace(text.find(data), data.size(), "data");
    directory.write("eventyard.yaml", text);
    daemon.run_by({"/bin/sh", "-c", "cd '" + directory.path() + "' && exec " EVENTYARD_BINARY " serve --config eventyard.yaml"});
    daemon.start();
    REQUIRE(support::http_post(daemon.http(), "/v1/events", R"({"source":"kept"})").status == 202);
    const auto exported = command({"state", "export", "--admin", daemon.admin_address()});
    CHECK(exported.out.rfind(data + "/exports/", 0) == 0);
    const auto made = command({"backup", directory.file("copy"), "--admin", daemon.admin_address()});
    INFO(made.err);
    CHECK(made.exit.code == 0);
    CHECK(command({"restore", directory.file("copy"), "--to", directory.file("restored")}).exit.code == 0);
    CHECK(daemon.terminate().code == 0);
}

TEST_CASE("a data_dir behind a link and .. is where the system finds it")
{
    TempDir directory;
    Daemon daemon{directory};
    daemon.configure("targets: {}\n", "rules: []\n");
    std::string text = support::read_text(daemon.config());
    const std::string data = directory.file("data");
    text.replace(text.find(data), data.size(), "../common/data");
    directory.write("releases/5/eventyard.yaml", text);
    directory.write("releases/5/rules.yaml", "rules: []\n");
    std::filesystem::create_directories(directory.file("site"));
    std::filesystem::create_directories(directory.file("releases/common"));
    std::filesystem::create_symlink(directory.file("releases/5"), directory.file("site/current"));
    daemon.run_by({"/bin/sh", "-c", "cd '" + directory.path() + "' && exec " EVENTYARD_BINARY " serve --config site/current/eventyard.yaml"});
    daemon.start();
    CHECK(std::filesystem::exists(directory.file("releases/common/data/state.db")));
    CHECK_FALSE(std::filesystem::exists(directory.file("site/common")));
    CHECK(daemon.terminate().code == 0);
}
