// cli/audit.cpp — `eventyard audit`: the ledger held against journal and state, of a running daemon or of a
// data directory that none uses.
#include <fmt/format.h>

#include <iostream>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/offline.hpp"
#include "cli/table.hpp"
#include "router/admin/audit_json.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

std::string signed_count(const json& row, const char* key)
{
    const auto n = row.value(key, std::int64_t{0});
    return n < 0 ? "-" + grouped(static_cast<std::uint64_t>(-n)) : grouped(static_cast<std::uint64_t>(n));
}

std::string count(const json& row, const char* key) { return grouped(row.value(key, std::uint64_t{0})); }

void print(const json& report)
{
    Table table({"RULE", "TARGET", "RECOUNTED", "ROUTED", "MOVED IN", "DELIVERED", "DEAD-LETTERED", "OTHER ENDINGS",
                 "PENDING", "DIFFERENCE"});
    std::size_t bad = 0, rows = 0;
    for (const json& row : report.value("rows", json::array())) {
        std::uint64_t others = 0;
        for (const char* key : {"discarded_operator", "discarded_retention", "discarded_overflow", "expired", "damaged", "lost", "moved"})
            others += row.value(key, std::uint64_t{0});
        std::string difference;
        if (row.value("routed_difference", 0) != 0) difference += "routed " + signed_count(row, "routed_difference");
        if (row.value("balance_difference", 0) != 0)
            difference += std::string(difference.empty() ? "" : ", ") + "balance " + signed_count(row, "balance_difference");
        bad += difference.empty() ? 0 : 1;
        ++rows;
        table.add({row.value("rule", ""), row.value("target", ""), count(row, "recounted"), count(row, "routed"),
                   count(row, "moved_in"), count(row, "delivered"), count(row, "dead_lettered"), grouped(others),
                   signed_count(row, "pending"), difference.empty() ? "-" : difference});
    }
    if (!table.empty()) std::cout << table.text() << "\n";
    std::cout << "recounted: sequences to " << count(report, "counted_through")
              << " before their segments went, then what the journal keeps\n";
    for (const json& target : report.value("doubtful", json::array()))
        std::cout << "the position of " << target.get<std::string>() << " was lost: what it has had may be delivered again\n";
    if (bad == 0)
        std::cout << "good: " << counted(rows, "pair") << " of rule and target, no difference\n";
    else
        std::cout << "NOT GOOD: " << bad << " of " << counted(rows, "pair") << " of rule and target differ\n";
}

}  // namespace

std::function<int()> setup_audit(CLI::App& app)
{
    auto options = add_admin_options(app);
    auto data_dir = std::make_shared<std::string>();
    app.add_option("--data-dir", *data_dir, "audit this data directory, which no daemon uses, without changing it");
    app.footer("Routed deliveries are recounted from the journal and from the totals stored when segments went; they must be what\n"
               "the ledger says, and each must have ended or be pending. Exit code: 0 when all agree, 1 when something differs.\n"
               "Examples:\n"
               "  eventyard audit\n"
               "  eventyard audit --data-dir /var/lib/eventyard --json");
    return [options, data_dir] {
        std::string text;
        if (data_dir->empty()) {
            int exit_code = 0;
            const auto answer = ask_or_complain(*options, "GET", "/v1/audit", exit_code);
            if (!answer) return exit_code;
            text = answer->body;
        } else {
            const auto report = audit_offline(*data_dir);
            if (!report.has_value()) {
                std::cerr << "eventyard: " << report.error().what << "\n";
                return 2;
            }
            text = router::admin::audit_json(*report);
        }
        const json report = json::parse(text, nullptr, false);
        if (options->json)
            std::cout << text;
        else
            print(report);
        return report.value("good", false) ? 0 : 1;
    };
}

}  // namespace eventyard::cli
