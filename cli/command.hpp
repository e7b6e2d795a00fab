// cli/command.hpp — the list of commands. A new one is one file and one row in main.cpp.
//
// Exit codes: 0 good, 1 the answer is no or a check failed, 2 usage or configuration error.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace eventyard::cli {

/// Adds the command's options to `app` and returns what runs it, giving the exit code. The
/// returned function owns what the options write to.
using Setup = std::function<int()> (*)(CLI::App& app);

struct Command {
    const char* name;
    const char* summary;
    Setup setup;
};

std::function<int()> setup_send(CLI::App& app);
std::function<int()> setup_sink(CLI::App& app);
std::function<int()> setup_check(CLI::App& app);
std::function<int()> setup_test(CLI::App& app);
std::function<int()> setup_match(CLI::App& app);
std::function<int()> setup_explain(CLI::App& app);
std::function<int()> setup_bench(CLI::App& app);
std::function<int()> setup_version(CLI::App& app);
std::function<int()> setup_serve(CLI::App& app);
std::function<int()> setup_status(CLI::App& app);
std::function<int()> setup_targets(CLI::App& app);
std::function<int()> setup_deliveries(CLI::App& app);
std::function<int()> setup_dead_letters(CLI::App& app);
std::function<int()> setup_replay(CLI::App& app);
std::function<int()> setup_erase(CLI::App& app);
std::function<int()> setup_audit(CLI::App& app);
std::function<int()> setup_reload(CLI::App& app);
std::function<int()> setup_state(CLI::App& app);
std::function<int()> setup_doctor(CLI::App& app);
std::function<int()> setup_backup(CLI::App& app);
std::function<int()> setup_restore(CLI::App& app);
std::function<int()> setup_journal(CLI::App& app);

}  // namespace eventyard::cli
