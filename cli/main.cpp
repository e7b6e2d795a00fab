// cli/main.cpp — the binary: finds the command and runs it.
#include <algorithm>
#include <iostream>

#include "cli/command.hpp"
#include "core/report.hpp"

namespace eventyard::cli {

std::function<int()> setup_version(CLI::App&)
{
    return [] {
        std::cout << "eventyard " EVENTYARD_VERSION "\n";
        return 0;
    };
}

namespace {

constexpr Command commands[] = {
    {"serve", "run the daemon", setup_serve},
    {"status", "what a running daemon holds, and its ledger", setup_status},
    {"targets", "list, pause, drain and resume a running daemon's targets, move what waits for them", setup_targets},
    {"deliveries", "pending deliveries: list, retry now, discard", setup_deliveries},
    {"dead-letters", "list, show, redrive, discard and export what could not be delivered", setup_dead_letters},
    {"replay", "deliver events of the past again, or to a new rule", setup_replay},
    {"erase", "forget one event: its body leaves journal, archive and dead letters", setup_erase},
    {"audit", "recount every delivery and hold the ledger against it", setup_audit},
    {"reload", "have a running daemon read its configuration again", setup_reload},
    {"send", "post events of files or stdin to a daemon", setup_send},
    {"sink", "a trial receiver that prints or counts what it gets and fails as told", setup_sink},
    {"check", "read a configuration and report every mistake", setup_check},
    {"test", "run the tests that rules carry", setup_test},
    {"match", "ask whether a pattern matches an event, and why", setup_match},
    {"explain", "what every rule makes of one event, and why", setup_explain},
    {"bench", "measure matching, with your rules and events or made-up ones", setup_bench},
    {"backup", "copy a running daemon's journal and state, as a pair", setup_backup},
    {"restore", "make a data directory of a backup", setup_restore},
    {"doctor", "examine a data directory and the disk it lies on", setup_doctor},
    {"journal", "check a journal that no daemon uses, and repair it", setup_journal},
    {"state", "export a copy of a running daemon's state.db", setup_state},
    {"version", "print the version", setup_version},
};

/// What was typed and not understood, with the name that was meant.
std::string not_understood(const CLI::App& app, const std::string& word)
{
    std::vector<std::string> names;
    if (word.front() == '-') {
        for (const CLI::Option* option : app.get_options())
            for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
        if (std::find(names.begin(), names.end(), word) != names.end()) return "'" + word + "' stands behind '" + app.get_name() + "'";
        return "unknown option '" + word + "'" + did_you_mean(word, names);
    }
    for (const CLI::App* sub : app.get_subcommands(nullptr)) names.push_back(sub->get_name());
    return names.empty() ? "unexpected argument '" + word + "'"
                         : "unknown command '" + word + "'" + did_you_mean(word, names);
}

int complain(const CLI::App& app, const CLI::ParseError& error)
{
    const CLI::App* deepest = &app;
    std::string name = app.get_name();
    // CLI11 asks for what is missing before it says what is too much; a typo is both. A verb may have left it to its command.
    auto extras = app.remaining();
    while (!deepest->get_subcommands().empty()) {
        deepest = deepest->get_subcommands().front();
        name += " " + deepest->get_name();
        if (auto more = deepest->remaining(); !more.empty()) extras = std::move(more);
    }
    const CLI::App& at = *deepest;
    const bool chosen = deepest != &app;
    if (!chosen && extras.empty()) {
        std::cerr << app.help();
        return 2;
    }
    std::cerr << name << ": " << (extras.empty() ? error.what() : not_understood(at, extras.front()))
              << "\nsee: " << name << " --help\n";
    return 2;
}

int run(int argc, char** argv)
{
    CLI::App app{"Eventyard: a rule-based event router with a durable journal", "eventyard"};
    app.require_subcommand(1);
    app.get_formatter()->label("SUBCOMMAND", "COMMAND");
    for (const char* type : {"INT", "UINT", "FLOAT"}) app.get_formatter()->label(type, "NUMBER");
    std::function<int()> chosen;
    for (const Command& command : commands) {
        CLI::App* sub = app.add_subcommand(command.name, command.summary)->group("Commands");
        auto action = command.setup(*sub);
        sub->callback([&chosen, action] { chosen = action; });
    }
    app.footer("eventyard COMMAND --help shows the options of a command.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        return complain(app, error);
    }
    return chosen ? chosen() : 2;
}

}  // namespace
}  // namespace eventyard::cli

int main(int argc, char** argv) { return eventyard::cli::run(argc, argv); }
