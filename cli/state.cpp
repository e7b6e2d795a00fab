// cli/state.cpp — `eventyard state export`: a consistent copy of state.db to look into.
//
// People never open the live file: a second writer or checkpointer is what the daemon is built not
// to have beside it (docs/adr/0004-state-in-sqlite.md).
#include <iostream>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"

namespace eventyard::cli {

std::function<int()> setup_state(CLI::App& app)
{
    auto options = add_admin_options(app);
    auto verb = std::make_shared<std::string>();
    app.add_option("verb", *verb, "export: write a copy below the data directory and print its path")
        ->required()
        ->check(CLI::IsMember({"export"}));
    return [options, verb] {
        int exit_code = 0;
        const auto answer = ask_or_complain(*options, "POST", "/v1/state/export", exit_code);
        if (!answer) return exit_code;
        std::cout << (options->json ? answer->body : answer->json().value("path", "") + "\n");
        return 0;
    };
}

}  // namespace eventyard::cli
