// cli/erase.cpp — `eventyard erase`: one event is forgotten, wherever a running daemon keeps it.
#include <iostream>
#include <string>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/dead_letter_options.hpp"
#include "cli/table.hpp"
#include "cli/validators.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

struct Options {
    std::shared_ptr<AdminOptions> admin;
    std::string id, who, why;
};

std::uint64_t count(const json& told, const char* key) { return told.value(key, std::uint64_t{0}); }

void print(const json& told)
{
    std::cout << "erased " << told.value("event", "") << "\n"
              << "  journal             " << (count(told, "journal") > 0 ? counted(count(told, "journal"), "event") : "no") << "\n"
              << "  archive             " << (count(told, "archive_files") > 0 ? counted(count(told, "archive_files"), "file") : "no")
              << "\n"
              << "  dead letters        " << grouped(count(told, "dead_letters")) << "\n"
              << "  pending, discarded  " << grouped(count(told, "discarded")) << "\n";
    if (count(told, "in_flight") > 0)
        std::cout << "  in flight           " << grouped(count(told, "in_flight"))
                  << ": discarded when their attempts end, unless those succeed\n";
    const json left = told.value("left", json::array());
    if (left.empty()) return;
    std::cout << "These are copies, or damaged, and may still hold it; remove them when nobody needs them:\n";
    for (const json& path : left) std::cout << "  " << path.get<std::string>() << "\n";
}

int run(const Options& options)
{
    int exit_code = 0;
    const auto answer = ask_or_complain(*options.admin, "POST",
                                        "/v1/events/" + encode(options.id) + "/erase?who=" + encode(options.who) +
                                            "&why=" + encode(options.why),
                                        exit_code);
    if (!answer) return exit_code;
    if (options.admin->json) std::cout << answer->body;
    else print(answer->json());
    return 0;
}

}  // namespace

std::function<int()> setup_erase(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    options->admin = add_admin_options(app);
    app.add_option("id", options->id, "the event's id, as the answer to its post gave it")->required();
    add_act_options(app, options->who, options->why, "--reason,--why");
    app.get_option("--reason")->required()->check(not_empty());
    app.footer("Its body leaves journal, archive and dead letters, and what is pending of it ends as discarded. Its id, times, routes\n"
               "and endings stay. What targets got, and what they wrote, is theirs.\n"
               "Example: eventyard erase 019ab1f2-6c1e-7d33-9a51-0f9e8c1b2a3d --reason 'GDPR-112'\n"
               "Exit code: 0 erased, now or before; 1 nothing keeps an event of this id, or the daemon refused; 2 usage, or no\n"
               "daemon there.");
    return [options] { return run(*options); };
}

}  // namespace eventyard::cli
