// cli/status.cpp — `eventyard status`: what the running daemon holds, and its balanced ledger.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/table.hpp"
#include "cli/target_text.hpp"
#include "core/time.hpp"
#include "core/units.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

std::string count(const json& object, const char* key)
{
    return grouped(object.value(key, std::uint64_t{0}));
}

void print_targets(const json& status)
{
    const json targets = status.value("targets", json::array());
    // Dead letters that a target took as another's `dead_letter.target`: no deliveries of its own.
    const bool forwards = std::any_of(targets.begin(), targets.end(), [](const json& target) {
        return target.value("forwarded", std::uint64_t{0}) > 0;
    });
    const bool forecasts = std::any_of(targets.begin(), targets.end(), [](const json& target) { return !forecast_text(target).empty(); });
    std::vector<std::string> head{"TARGET",    "KIND",    "STATE",        "PENDING", "IN FLIGHT",
                                  "DELIVERED", "RETRIED", "DEAD-LETTERED"};
    if (forwards) head.push_back("TAKEN FOR OTHERS");
    if (forecasts) head.push_back("FORECAST");
    head.push_back("LAST ERROR");
    Table table(std::move(head));
    for (const json& target : targets) {
        const json pending = target.value("pending", json::object());
        std::vector<std::string> row{target.value("name", ""),     target.value("kind", ""),
                                     state_text(target),           count(pending, "total"),
                                     count(pending, "in_flight"),  count(target, "delivered"),
                                     count(target, "retried"),     count(target, "dead_lettered")};
        if (forwards) row.push_back(count(target, "forwarded"));
        if (forecasts) row.push_back(forecast_text(target));
        row.push_back(last_error_text(target));
        table.add(std::move(row));
    }
    if (!table.empty()) std::cout << "\ntargets; endings and retries since the start:\n" << table.text();
}

void print_ledger(const json& status)
{
    Table table({"RULE", "TARGET", "ROUTED", "REPLAYED", "MOVED IN", "DELIVERED", "DEAD-LETTERED", "OTHER ENDINGS"});
    std::uint64_t routed = 0, replayed = 0, moved_in = 0, delivered = 0, dead = 0, others = 0;
    for (const json& row : status.value("ledger", json::array())) {
        std::uint64_t other = 0;
        for (const char* key : {"discarded_operator", "discarded_retention", "discarded_overflow",
                                "expired", "damaged", "lost", "moved"})
            other += row.value(key, std::uint64_t{0});
        table.add({row.value("rule", ""), row.value("target", ""), count(row, "routed"), count(row, "replayed"), count(row, "moved_in"),
                   count(row, "delivered"), count(row, "dead_lettered"), grouped(other)});
        routed += row.value("routed", std::uint64_t{0});
        replayed += row.value("replayed", std::uint64_t{0});
        moved_in += row.value("moved_in", std::uint64_t{0});
        delivered += row.value("delivered", std::uint64_t{0});
        dead += row.value("dead_lettered", std::uint64_t{0});
        others += other;
    }
    if (table.empty()) return;
    const std::uint64_t pending = status.value("pending", std::uint64_t{0});
    std::cout << "\nthe ledger, of all times:\n" << table.text() << "\nledger: " << grouped(routed) << " routed "
              << (replayed > 0 ? "+ " + grouped(replayed) + " replayed " : "")
              << (moved_in > 0 ? "+ " + grouped(moved_in) + " moved in = " : "= ")
              << grouped(delivered) << " delivered + " << grouped(dead) << " dead-lettered + "
              << grouped(others) << " otherwise ended + " << grouped(pending) << " pending: "
              << (status.value("balanced", false) ? "balanced" : "NOT BALANCED") << "\n";
}

void print_events(const json& status)
{
    Table table({"BUS", "RECEIVED", "ACCEPTED", "MATCHED", "UNMATCHED", "REFUSED"});
    for (const json& row : status.value("events", json::array()))
        table.add({row.value("bus", ""), count(row, "received"), count(row, "accepted"),
                   count(row, "matched"), count(row, "unmatched"), count(row, "refused")});
    if (!table.empty()) std::cout << "\n" << table.text();
}

double number(const json& object, const char* key) { return object.value(key, 0.0); }

/// How many there were for each of `events`.
std::string each(double count, double events)
{
    return events > 0 ? fmt::format("{:.2f}", count / events) : "-";
}

void print_rules(const json& status)
{
    Table table({"BUS", "RULES", "MEMORY", "COMPILED IN", "EVENTS", "CANDIDATES EACH", "MATCHES EACH", "US EACH"});
    Table paths({"BUS", "PATH", "CANDIDATES EACH", "US EACH"});
    for (const json& bus : status.value("buses", json::array())) {
        const std::string name = bus.value("name", "");
        const json set = bus.value("rule_set", json::object());
        const json matching = bus.value("matching", json::object());
        const json sampled = matching.value("sampled", json::object());
        const double events = number(matching, "events"), looked_at = number(sampled, "events");
        table.add({name, count(bus, "rules"), format_size(set.value("bytes", std::uint64_t{0})),
                   fmt::format("{:.3f} s", number(set, "compile_seconds")), count(matching, "events"),
                   each(number(matching, "candidates"), events), each(number(matching, "matches"), events),
                   each(number(sampled, "seconds") * 1e6, looked_at)});
        std::size_t shown = 0;
        for (const json& path : sampled.value("paths", json::array())) {
            if (++shown > 3) break;
            const std::string text = path.value("path", "");
            paths.add({name, text.empty() ? "(no value)" : text, each(number(path, "candidates"), looked_at),
                       each(number(path, "seconds") * 1e6, looked_at)});
        }
    }
    if (!table.empty()) std::cout << "\n" << table.text();
    if (!paths.empty()) std::cout << "\n" << paths.text();
}

void print(const json& status)
{
    std::cout << "eventyard " << status.value("version", "") << ", up "
              << format_duration(std::chrono::seconds(status.value("uptime_seconds", std::int64_t{0})))
              << ", " << (status.value("ready", false) ? "ready" : "NOT READY") << "; configuration "
              << status.value("generation", std::uint64_t{0}) << " with "
              << counted(status.value("rules", std::uint64_t{0}), "rule") << ", loaded "
              << status.value("loaded", "") << "\n";
    for (const json& reason : status.value("reasons", json::array()))
        std::cout << "  " << reason.get<std::string>() << "\n";
    const json reload = status.value("last_reload", json::object());
    if (!reload.is_null() && !reload.value("ok", true))
        std::cout << "last reload at " << reload.value("at", "") << " FAILED, the old configuration stays:\n"
                  << reload.value("report", "");
    const json journal = status.value("journal", json::object());
    std::cout << "journal: " << counted(journal.value("segments", std::uint64_t{0}), "segment") << ", "
              << format_size(journal.value("disk_bytes", std::uint64_t{0})) << ", sequences to "
              << count(journal, "last");
    if (const auto damaged = journal.value("damaged", std::uint64_t{0}); damaged > 0)
        std::cout << ", " << counted(damaged, "event") << " DAMAGED";
    std::cout << "\n";
    print_events(status);
    print_rules(status);
    print_targets(status);
    print_ledger(status);
}

}  // namespace

std::function<int()> setup_status(CLI::App& app)
{
    auto options = add_admin_options(app);
    return [options] {
        int exit_code = 0;
        const auto answer = ask_or_complain(*options, "GET", "/v1/status", exit_code);
        if (!answer) return exit_code;
        if (options->json)
            std::cout << answer->body;
        else
            print(answer->json());
        return 0;
    };
}

}  // namespace eventyard::cli
