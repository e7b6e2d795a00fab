#include "tests/power/campaign.hpp"

#include <filesystem>

#include "tests/power/exits.hpp"

namespace eventyard::power {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t no_number = UINT64_MAX;
constexpr const char* rule_names[] = {"one", "other"};  // of the rule all events match, by turns

bool refused_for_good(std::uint64_t n)
{
    return n % 4 == 0;
}

std::string event_of(std::uint64_t n)
{
    return R"({"source":"power.test","detail-type":"Numbered","detail":{"n":)" + std::to_string(n) + R"(,"pad":")" + std::string(n * 37 % 12000, 'x') + "\"}}";
}

/// The number of a whole, unchanged event of ours.
std::uint64_t number_in(const std::string& text)
{
    const json event = json::parse(text, nullptr, false);
    if (!event.is_object() || !event.contains("detail")) return no_number;
    const json& detail = event.at("detail");
    const auto n = detail.value("n", no_number);
    return n != no_number && detail == json::parse(event_of(n)).at("detail") ? n : no_number;
}

}  // namespace

Campaign::Campaign(std::uint64_t seed, std::string omit)
    : random_(seed),
      omit_(std::move(omit)),
      daemon_(directory_),
      hook_([this](const support::HookRequest& request) {
          const std::uint64_t n = number_in(request.body);
          const std::lock_guard lock{mutex_};
          came_[n].insert(request.header("webhook-id"));
          if ((refused_for_good(n) || n % 5 == 0) && refused_once_.insert(n).second)
              return support::answer(500);
          if (refused_for_good(n)) return support::answer(400);
          taken_.insert(n);
          return support::answer(200);
      })
{
    fs::create_directory(directory_.file("disk"));
    write_rules();
    daemon_.configure("journal: {segment_size: 256KiB, min_free: 1MiB}\ntargets:\n"
                      "  hook:\n    webhook: {url: '" + hook_.url() + "'}\n"
                      "    retry: {max_attempts: 3, backoff: {initial: 50ms, max: 100ms}}\n"
                      "  lines:\n    file: {path: " + directory_.file("disk/out/lines.jsonl") + "}\n",
                      support::read_text(directory_.file("rules.yaml")), "disk/data");
}

void Campaign::write_rules()
{
    directory_.write("rules.yaml", std::string("rules:\n  - name: ") + rule_names[other_rules_ ? 1 : 0] +
                                       "\n    pattern: {source: [power.test]}\n    targets: [hook, lines]\n");
    other_rules_ = !other_rules_;
}

void Campaign::rounds(int count)
{
    for (int i = 0; i < count && wrongs_.empty(); ++i) round();
}

void Campaign::round()
{
    // A start makes some dozens of calls; a fourth of the cuts falls there, a fourth after a longer life.
    constexpr std::uint64_t lives[] = {120, 1500, 1500, 5000};
    const std::uint64_t cut = 1 + random_() % lives[random_() % 4];
    daemon_.launch({{"LD_PRELOAD", EVENTYARD_POWER_LIBRARY},
                    {"EVENTYARD_POWER_DIRECTORY", directory_.file("disk")},
                    {"EVENTYARD_POWER_CUT", std::to_string(cut)},
                    {"EVENTYARD_POWER_SEED", std::to_string(random_())},
                    {"EVENTYARD_POWER_OMIT", omit_}});
    if (daemon_.process().running()) {
        e2e::Load load{daemon_.http(), 4, event_of, next_};
        const bool reloads = random_() % 2 == 0;
        const bool ended = e2e::eventually(
            [&] {
                if (!daemon_.process().running()) return true;
                if (reloads) {
                    write_rules();
                    daemon_.process().signal(SIGHUP);
                }
                return false;
            },
            std::chrono::seconds(30), std::chrono::milliseconds(40));
        if (!ended) wrong("call " + std::to_string(cut) + " never came: the daemon stands still");
        daemon_.kill();
        load.stop();
        accepted_.insert(accepted_.end(), load.accepted().begin(), load.accepted().end());
    } else {
        ++cuts_at_start_;
    }
    const support::Exit end = daemon_.process().wait();
    read_log(daemon_.process().err());
    if (end.code == exit_unseen) throw std::runtime_error(daemon_.process().err());
    if (end.code != exit_cut) {
        wrong("ended by itself (" + std::to_string(end.code) + ", signal " + std::to_string(end.signal) +
              "): " + daemon_.process().err());
        return;
    }
    fs::remove_all(directory_.file("disk"));
    fs::rename(directory_.file("disk.platter"), directory_.file("disk"));
}

void Campaign::read_log(const std::string& log)
{
    for (const std::string& line : support::lines_of(log))
        if (line.find(" ERROR ") != std::string::npos || line.find("set aside") != std::string::npos ||
            line.find("belongs to another journal") != std::string::npos)
            wrong("logged: " + line);
}

std::vector<std::string> Campaign::verdict()
{
    if (!wrongs_.empty()) return wrongs_;
    daemon_.launch();
    if (!daemon_.process().running()) {
        wrong("does not start: " + daemon_.process().err());
        return wrongs_;
    }
    json status;
    const bool settled = e2e::eventually(
        [&] {
            status = daemon_.status();
            return status.is_object() && status.value("pending", std::uint64_t{1}) == 0;
        },
        std::chrono::seconds(60), std::chrono::milliseconds(20));
    if (!settled) wrong("does not settle: " + status.dump());
    check_ledger(status);
    check_hook();
    check_dead_letters();
    if (daemon_.terminate().code != 0) wrong("does not stop cleanly");
    read_log(daemon_.process().err());
    check_file();
    return wrongs_;
}

void Campaign::check_ledger(const json& status)
{
    if (!status.value("balanced", false)) wrong("the ledger does not balance: " + status.value("ledger", json{}).dump());
    for (const json& row : status.value("ledger", json::array()))
        for (const char* ending : {"damaged", "lost"})
            if (row.value(ending, 0) != 0) wrong("the ledger: " + row.dump());
    const auto audit = support::run({EVENTYARD_BINARY, "audit", "--admin", daemon_.admin_address()});
    if (audit.exit.code != 0) wrong("the audit: " + audit.out + audit.err);
}

void Campaign::check_hook()
{
    const std::lock_guard lock{mutex_};
    std::map<std::uint64_t, std::set<std::string>> promised;
    for (const e2e::Accepted& event : accepted_) {
        for (const char* rule : rule_names) promised[event.n].insert(e2e::delivery_of(event.id, rule, "hook"));
        if (!refused_for_good(event.n) && taken_.count(event.n) == 0)
            wrong("the webhook never took " + std::to_string(event.n));
    }
    for (const auto& [n, ids] : came_) {
        if (n >= next_) wrong("came to the webhook and was never sent: " + std::to_string(n));
        if (ids.size() != 1) wrong("came to the webhook as several deliveries: " + std::to_string(n));
        const auto known = promised.find(n);
        if (known != promised.end() && known->second.count(*ids.begin()) == 0)
            wrong("came to the webhook under a strange id: " + std::to_string(n));
    }
}

void Campaign::check_file()
{
    std::set<std::uint64_t> lines;
    for (const std::string& line : support::lines_of(support::read_text(directory_.file("disk/out/lines.jsonl")))) {
        const std::uint64_t n = number_in(line);
        if (n >= next_) wrong("stands in the file and was never sent: " + line.substr(0, 200));
        lines.insert(n);
    }
    for (const e2e::Accepted& event : accepted_)
        if (lines.count(event.n) == 0) wrong("not in the file: " + std::to_string(event.n));
}

void Campaign::check_dead_letters()
{
    std::set<std::uint64_t> dead;
    for (std::string after = "0"; !after.empty();) {
        const json page = json::parse(
            support::http_get(daemon_.admin(), "/v1/dead-letters?all=true&whole=true&limit=100&after=" + after).body);
        for (const json& letter : page.at("dead_letters")) {
            const std::uint64_t n = number_in(letter.value("body", ""));
            if (n >= next_ || !refused_for_good(n) || letter.value("target", "") != "hook")
                wrong("a dead letter of something else: " + letter.dump());
            if (!dead.insert(n).second) wrong("two dead letters of " + std::to_string(n));
        }
        after = page.at("next").is_null() ? "" : page.at("next").dump();
    }
    for (const e2e::Accepted& event : accepted_)
        if (refused_for_good(event.n) && dead.count(event.n) == 0)
            wrong("no dead letter of " + std::to_string(event.n));
}

}  // namespace eventyard::power
