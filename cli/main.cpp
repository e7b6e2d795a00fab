// cli/main.cpp — the binary: finds the command and runs it.
#include <iostream>

#include "cli/command.hpp"

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
    {"targets", "list, pause and resume a running daemon's targets", setup_targets},
    {"dead-letters", "list and show what could not be delivered", setup_dead_letters},
    {"reload", "have a running daemon read its configuration again", setup_reload},
    {"send", "post events of files or stdin to a daemon", setup_send},
    {"sink", "a trial receiver that prints or counts what it gets and fails as told", setup_sink},
    {"check", "read a configuration and report every mistake", setup_check},
    {"test", "run the tests that rules carry", setup_test},
    {"match", "ask whether a pattern matches an event, and why", setup_match},
    {"explain", "what every rule makes of one event, and why", setup_explain},
    {"bench", "measure matching, with your rules and events or made-up ones", setup_bench},
    {"state", "export a copy of a running daemon's state.db", setup_state},
    {"version", "print the version", setup_version},
};

int run(int argc, char** argv)
{
    CLI::App app{"Eventyard: a rule-based event router with a durable journal", "eventyard"};
    app.require_subcommand(1);
    std::function<int()> chosen;
    for (const Command& command : commands) {
        CLI::App* sub = app.add_subcommand(command.name, command.summary);
        auto action = command.setup(*sub);
        sub->callback([&chosen, action] { chosen = action; });
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return chosen ? chosen() : 2;
}

}  // namespace
}  // namespace eventyard::cli

int main(int argc, char** argv) { return eventyard::cli::run(argc, argv); }
