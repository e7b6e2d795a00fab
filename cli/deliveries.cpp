// cli/deliveries.cpp — `eventyard deliveries`: what is pending, one by one, and what to do about it.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <utility>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/dead_letter_options.hpp"
#include "cli/pieces.hpp"
#include "cli/table.hpp"
#include "cli/validators.hpp"
#include "core/units.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

struct Options {
    std::shared_ptr<AdminOptions> admin;
    std::string target, rule, id, older_than;
    bool all = false, yes = false, dry_run = false;
    std::string who, why;
    std::size_t limit = 100;
    std::string after;
    int (*run)(const Options&) = nullptr;
};

constexpr std::size_t page_max = 10'000;  // of one request

std::string query_of(const Options& options, const std::string& more)
{
    std::string text = "?" + more;
    for (const auto& [key, value] : {std::pair{"target", options.target}, {"rule", options.rule}, {"id", options.id}, {"older_than", options.older_than}})
        if (!value.empty()) text += std::string("&") + key + "=" + encode(value);
    if (options.all) text += "&all=true";
    return text;
}

bool narrow(const Options& options)
{
    return options.all || !options.target.empty() || !options.rule.empty() || !options.id.empty() || !options.older_than.empty();
}

/// Pages of the list, each to `visit`, until it says no more or all is listed; the `next` then, null: that was all.
/// Nothing when the daemon refused.
template <class Visit>
std::optional<json> walk(const Options& options, std::size_t at_most, Visit visit, int& exit_code)
{
    json next = options.after;
    std::size_t met = 0;
    while (!next.is_null() && met < at_most) {
        const auto answer = ask_or_complain(
            *options.admin, "GET",
            "/v1/deliveries" + query_of(options, fmt::format("limit={}&after={}", std::min(page_max, at_most - met),
                                                             encode(next.get<std::string>()))),
            exit_code);
        if (!answer) return std::nullopt;
        const json page = answer->json();
        for (const json& one : page.value("deliveries", json::array())) {
            ++met;
            visit(one);
        }
        next = page.value("next", json());
    }
    return next;
}

int list(const Options& options)
{
    json all = json::array();
    std::set<std::string> seen;  // what moves meanwhile may come twice
    const auto take = [&](const json& one) {
        if (seen.insert(one.value("id", "")).second) all.push_back(one);
    };
    int exit_code = 0;
    const auto next = walk(options, options.limit, take, exit_code);
    if (!next) return exit_code;
    if (options.admin->json) {
        std::cout << json{{"deliveries", all}, {"next", *next}}.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
        return 0;
    }
    Table table({"SEQUENCE", "RULE", "TARGET", "STATE", "ATTEMPTS", "DUE", "AGE", "EVENT", "ID"});
    for (const json& one : all) {
        const json due = one.value("due", json());
        table.add({std::to_string(one.value("sequence", std::uint64_t{0})), one.value("rule", ""), one.value("target", ""),
                   one.value("state", "") == "in_flight" ? "in flight" : one.value("state", ""),
                   std::to_string(one.value("attempts", 0)),
                   due.is_string() ? due.get<std::string>().substr(0, 19) + "Z" : "-",
                   format_duration(std::chrono::seconds{one.value("age_seconds", std::int64_t{0})}), one.value("event", ""),
                   one.value("id", "")});
    }
    std::cout << (table.empty() ? "no pending deliveries\n" : table.text());
    if (!next->is_null()) std::cout << "more: --after '" << next->get<std::string>() << "'\n";
    return 0;
}

std::optional<json> act(const Options& options, const char* verb, int& exit_code)
{
    const std::string by = fmt::format("who={}&why={}", encode(options.who), encode(options.why));
    return act_in_pieces(*options.admin, std::string("/v1/deliveries/") + verb + query_of(options, by), exit_code);
}

int which(const char* verb)
{
    std::cerr << "eventyard deliveries " << verb << ": which? give --target, --rule, --id or --older-than, or --all for every one\n";
    return 2;
}

int discard(const Options& options)
{
    if (!narrow(options)) return which("discard");
    int exit_code = 0;
    if (options.dry_run || !options.yes) {
        std::uint64_t count = 0;
        if (!walk(options, SIZE_MAX, [&](const json&) { ++count; }, exit_code)) return exit_code;
        if (options.dry_run) {
            if (options.admin->json) std::cout << json{{"would_discard", count}}.dump(2) << "\n";
            else std::cout << "would discard " << counted(count, "pending delivery") << "\n";
            return count > 0 ? 0 : 1;
        }
        if (count > 0 && !confirmed("this ends " + counted(count, "pending delivery") + " for good", count)) {
            std::cerr << "nothing was discarded\n";
            return 1;
        }
    }
    const auto sums = act(options, "discard", exit_code);
    if (!sums) return exit_code;
    const std::uint64_t done = sums->value("discarded", std::uint64_t{0}), flying = sums->value("in_flight", std::uint64_t{0});
    if (options.admin->json) {
        std::cout << sums->dump(2) << "\n";
    } else {
        std::cout << "discarded " << counted(done, "pending delivery");
        if (flying > 0) std::cout << "; " << grouped(flying) << " in flight: discarded when their attempts end, unless those succeed";
        std::cout << "\n";
    }
    return done + flying > 0 ? 0 : 1;
}

int retry_now(const Options& options)
{
    if (!narrow(options)) return which("retry-now");
    int exit_code = 0;
    const auto sums = act(options, "retry-now", exit_code);
    if (!sums) return exit_code;
    const std::uint64_t due = sums->value("due_now", std::uint64_t{0}), held = sums->value("held", std::uint64_t{0});
    if (options.admin->json) {
        std::cout << sums->dump(2) << "\n";
    } else {
        std::cout << counted(due, "delivery") << " due now";
        if (held > 0) std::cout << "; " << grouped(held) << " still behind their order keys";
        std::cout << "\n";
    }
    return due > 0 ? 0 : 1;
}

void add_filter(CLI::App& app, Options& options)
{
    app.add_option("--target", options.target, "only to this target")->check(not_empty());
    app.add_option("--rule", options.rule, "only of this rule")->check(not_empty());
    app.add_option("--id", options.id, "only this one (dlv_..., as in webhook-id), or those of this event")->check(not_empty());
    app.add_option("--older-than", options.older_than, "only accepted longer ago than this, such as 90m or 7d")
        ->type_name("DURATION")
        ->check(a_duration());
}

void add_act(CLI::App& app, Options& options)
{
    app.add_flag("--all", options.all, "every pending delivery");
    add_act_options(app, options.who, options.why, "--reason,--why");
}

}  // namespace

std::function<int()> setup_deliveries(CLI::App& app)
{
    auto options = std::make_shared<Options>();
    options->admin = add_admin_options(app);
    Options& o = *options;
    app.footer("Examples:\n"
               "  eventyard deliveries list --target orders\n"
               "  eventyard deliveries retry-now --target orders --rule big-orders\n"
               "  eventyard deliveries discard --target orders --older-than 2d --reason 'INC-7: nobody wants them'\n"
               "eventyard deliveries VERB --help shows the options of a verb.");
    app.require_subcommand(0, 1);
    const auto verb = [&](const char* name, const char* summary, int (*run)(const Options&)) {
        CLI::App* sub = app.add_subcommand(name, summary)->fallthrough();
        sub->callback([&o, run] { o.run = run; });
        add_filter(*sub, o);
        return sub;
    };
    CLI::App* sub = verb("list", "pending deliveries: those not in retry first, then by sequence; what is done when no verb is given", list);
    sub->add_option("--limit", o.limit, "at most this many")->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))->capture_default_str();
    sub->add_option("--after", o.after, "go on where another list ended");
    sub->footer("States: waiting for its first attempt, in flight, retry (between two attempts), delayed by its rule, held behind its order key.");

    sub = verb("retry-now", "retries, and what a rule delays, are due now", retry_now);
    add_act(*sub, o);
    sub->footer("A target that looks down is tried at once. Exit code: 0 when some are due, 1 when none matched.");

    sub = verb("discard", "end them for good; the ledger counts them as discarded_operator", discard);
    add_act(*sub, o);
    sub->get_option("--reason")->required()->check(not_empty());
    sub->add_flag("--yes", o.yes, "do not ask for the number of them first");
    sub->add_flag("--dry-run", o.dry_run, "only count them");
    sub->footer("Without --yes it counts them and wants the number typed. Exit code: 0 when there were some, 1 when none matched or\n"
                "the number was not typed.");
    return [options] { return options->run != nullptr ? options->run(*options) : list(*options); };
}

}  // namespace eventyard::cli
