#include "cli/dead_letter_options.hpp"

#include <unistd.h>

#include <array>
#include <cstdlib>

#include "cli/admin_client.hpp"
#include "cli/validators.hpp"

namespace eventyard::cli {

bool DeadLetterOptions::given() const { return all || !query().empty(); }

std::string DeadLetterOptions::query() const
{
    std::string text;
    const auto add = [&](const char* key, const std::string& value) {
        if (!value.empty()) text += (text.empty() ? "" : "&") + std::string(key) + "=" + encode(value);
    };
    std::string list;
    for (const std::int64_t id : ids) list += (list.empty() ? "" : ",") + std::to_string(id);
    add("ids", list);
    add("target", target);
    add("rule", rule);
    add("reason", reason);
    add("cause", cause);
    add("older_than", older_than);
    add("newer_than", newer_than);
    if (group != 0) add("group", std::to_string(group));
    if (all) add("all", "true");
    return text;
}

void add_filter_options(CLI::App& app, DeadLetterOptions& options)
{
    app.add_option("--target", options.target, "only of this target")->check(not_empty());
    app.add_option("--rule", options.rule, "only of this rule")->check(not_empty());
    app.add_option("--group", options.group, "only of this group; 'dead-letters list' numbers them")
        ->check(CLI::PositiveNumber);
    app.add_option("--reason", options.reason,
                   "only given up for this: max_attempts, max_age, final_status, too_large, rejected or overflow")
        ->check(not_empty());
    app.add_option("--cause", options.cause, "only whose last attempt failed like this: status, timeout, connect, ...")
        ->check(not_empty());
    app.add_option("--older-than", options.older_than, "only dead for longer than this, such as 90m or 7d")
        ->type_name("DURATION")
        ->check(a_duration());
    app.add_option("--newer-than", options.newer_than, "only dead for less than this")->type_name("DURATION")->check(a_duration());
}

void add_act_options(CLI::App& app, std::string& who, std::string& why, const char* why_name)
{
    const char* user = std::getenv("USER");
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    who = std::string(user != nullptr ? user : std::to_string(::getuid())) + "@" + host.data();
    app.add_option("--who", who, "who does this, for the log")->capture_default_str();
    app.add_option(why_name, why, "why, for the log");
}

}  // namespace eventyard::cli
