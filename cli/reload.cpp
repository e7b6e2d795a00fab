// cli/reload.cpp — `eventyard reload`: has the running daemon read its configuration again.
#include <iostream>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"

namespace eventyard::cli {

std::function<int()> setup_reload(CLI::App& app)
{
    auto options = add_admin_options(app);
    return [options] {
        const auto answer = ask_admin(options->admin, "POST", "/v1/reload");
        if (!answer.has_value()) {
            std::cerr << "eventyard: " << answer.error().what << "\n";
            return 2;
        }
        if (!answer->of_admin()) {
            std::cerr << "eventyard: " << not_admin(*options, *answer) << "\n";
            return 2;
        }
        if (options->json) {
            std::cout << answer->body;
            return answer->status == 200 ? 0 : 1;
        }
        const auto json = answer->json();
        if (answer->status == 200) {
            std::cout << json.value("report", "") << "reloaded: configuration "
                      << json.value("generation", 0) << " is in effect\n";
            return 0;
        }
        std::cerr << json.value("report", json.value("error", "") + "\n")
                  << "eventyard: reload failed, the old configuration stays\n";
        return 1;
    };
}

}  // namespace eventyard::cli
