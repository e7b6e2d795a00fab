// cli/doctor.cpp — `eventyard doctor`: whether a data directory, and the disk it lies on, are fit for a daemon.
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/checkup.hpp"
#include "cli/command.hpp"
#include "cli/table.hpp"
#include "config/load.hpp"
#include "core/log.hpp"

namespace eventyard::cli {
namespace {

struct Options {
    std::string config, data_dir;
    bool json = false;
};

/// What a configuration lets be open at once.
std::uint64_t files_of(const router::RouteTable& table)
{
    std::uint64_t files = table.limits.connections;
    for (const auto& [name, target] : table.targets) files += target.concurrency;
    return files;
}

void print(const Checkup& checkup)
{
    Table table({"CHECK", "", "FOUND"});
    for (const CheckupItem& item : checkup.items) {
        table.add({item.name, text_of(item.mark), item.found});
        if (!item.advice.empty()) table.add({"", "", "-> " + item.advice});
    }
    std::cout << table.text() << "\n" << (checkup.good() ? "fit" : "NOT FIT, or doubtful: see above") << "\n";
}

void print_json(const Checkup& checkup)
{
    nlohmann::ordered_json items = nlohmann::ordered_json::array();
    for (const CheckupItem& item : checkup.items) {
        std::string mark = text_of(item.mark);
        for (char& c : mark) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        nlohmann::ordered_json one{{"check", item.name}, {"mark", mark}, {"found", item.found}};
        if (!item.advice.empty()) one["advice"] = item.advice;
        items.push_back(std::move(one));
    }
    std::cout << nlohmann::ordered_json{{"good", checkup.good()}, {"checks", std::move(items)}}.dump(
                     2, ' ', false, nlohmann::json::error_handler_t::replace)
              << "\n";
}

int doctor(const Options& options)
{
    if (options.config.empty() == options.data_dir.empty()) {
        std::cerr << "eventyard doctor: give --config or --data-dir, one of them\n";
        return 2;
    }
    log::configure(log::Format::text, log::Level::error);
    CheckupPlace place{options.data_dir, 0, 0};
    if (!options.config.empty()) {
        Report report;
        const auto table = config::load(options.config, report);
        std::cerr << report.text();
        if (!table) return 2;
        place = {table->process.data_dir, table->process.min_free, files_of(*table)};
    }
    PosixDisk disk;
    const SystemClock clock;
    const Checkup checkup = check_up(disk, clock, place);
    if (options.json)
        print_json(checkup);
    else
        print(checkup);
    return checkup.good() ? 0 : 1;
}

}  // namespace

std::function<int()> setup_doctor(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    app.add_option("--config,-c", options->config, "examine this configuration's data_dir")->type_name("FILE");
    app.add_option("--data-dir", options->data_dir, "examine this directory, which need not exist yet");
    app.add_flag("--json", options->json, "one JSON object instead of a table");
    app.footer("Run it as the user, and on the machine, that the daemon will have. A daemon may be running. Exit code: 0 when\n"
               "nothing is wrong or doubtful, 1 otherwise, 2 when there is nothing to examine.");
    return [options] { return doctor(*options); };
}

}  // namespace eventyard::cli
