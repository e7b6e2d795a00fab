// tests/cli/usage_test.cpp — what a person sees who mistypes a command, an option or its value.
#include <catch2/catch.hpp>

#include "cli/table.hpp"
#include "tests/support/process.hpp"

using namespace eventyard::support;
using eventyard::cli::Table;

namespace {

Finished command(std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), EVENTYARD_BINARY);
    return run(std::move(arguments));
}

}  // namespace

TEST_CASE("a mistake on the command line is named, with what was meant")
{
    struct Case {
        std::vector<std::string> arguments;
        const char* said;
    };
    const Case cases[] = {
        {{"serv"}, "eventyard: unknown command 'serv'; did you mean 'serve'?\n"
                   "see: eventyard --help\n"},
        {{"frobnicate"}, "eventyard: unknown command 'frobnicate'\nsee: eventyard --help\n"},
        {{"--verbose"}, "eventyard: unknown option '--verbose'\nsee: eventyard --help\n"},
        {{"check", "--confg", "x.yaml"}, "eventyard check: unknown option '--confg'; did you mean '--config'?\n"
                                         "see: eventyard check --help\n"},
        {{"check"}, "eventyard check: --config is required\nsee: eventyard check --help\n"},
        {{"check", "--config", "x.yaml", "y.yaml"}, "eventyard check: unexpected argument 'y.yaml'\n"
                                                    "see: eventyard check --help\n"},
        {{"dead-letters", "shw"}, "eventyard dead-letters: unknown command 'shw'; did you mean 'show'?\n"
                                  "see: eventyard dead-letters --help\n"},
        {{"dead-letters", "show"}, "eventyard dead-letters show: id is required\n"
                                   "see: eventyard dead-letters show --help\n"},
        {{"dead-letters", "discard"}, "eventyard dead-letters discard: which? give ids or a filter, or --all "
                                      "for every one\n"},
        {{"targets", "pause", "x", "--dry-run"}, "eventyard targets pause: unknown option '--dry-run'\n"
                                                 "see: eventyard targets pause --help\n"},
        {{"targets", "list", "x"}, "eventyard targets list: unexpected argument 'x'\nsee: eventyard targets list --help\n"},
        {{"targets", "--reason", "x", "pause", "t"}, "eventyard targets pause: '--reason' stands behind 'pause'\n"
                                                     "see: eventyard targets pause --help\n"},
        {{"dead-letters", "discard", "--target", "", "--older-than", "1s"},
         "eventyard dead-letters discard: --target: must not be empty\nsee: eventyard dead-letters discard --help\n"},
        {{"deliveries", "discard", "--rule", "", "--target", "x", "--reason", "x"},
         "eventyard deliveries discard: --rule: must not be empty\nsee: eventyard deliveries discard --help\n"},
        {{"replay", "--target", ""}, "eventyard replay: --target: must not be empty\nsee: eventyard replay --help\n"},
        {{"deliveries", "list", "--older-than", "5"}, "eventyard deliveries list: --older-than: must be a duration such as 90m or 7d\n"
                                                      "see: eventyard deliveries list --help\n"},
        {{"replay", "--from", "yesterday"}, "eventyard replay: --from: must be a time such as 2026-11-25T08:00:00Z\n"
                                            "see: eventyard replay --help\n"},
        {{"replay", "--sequence", "5..2"}, "eventyard: --sequence is a range, the lower one first, such as 100..200, 100.. or ..200\n"},
        {{"erase", "x", "--reason", ""}, "eventyard erase: --reason: must not be empty\nsee: eventyard erase --help\n"},
        {{"match"}, "eventyard match: give --pattern, --pattern-file or --cases\n"},
    };
    for (const Case& c : cases) {
        const Finished finished = command(c.arguments);
        CHECK(finished.err == c.said);
        CHECK(finished.out.empty());
        CHECK(finished.exit.code == 2);
    }
}

TEST_CASE("without a command the commands are shown")
{
    const Finished none = command({});
    CHECK(none.exit.code == 2);
    CHECK(none.out.empty());
    CHECK(none.err.find("Usage: eventyard [OPTIONS] COMMAND\n") != std::string::npos);
    CHECK(none.err.find("  dead-letters ") != std::string::npos);
    const Finished help = command({"--help"});
    CHECK(help.exit.code == 0);
    CHECK(help.out == none.err);
    CHECK(command({"check", "--help"}).out.find("--config FILE") != std::string::npos);
}

TEST_CASE("a daemon that is not there is told with the option that names another")
{
    const Finished finished = command({"status", "--admin", "127.0.0.1:1"});
    CHECK(finished.exit.code == 2);
    CHECK(finished.err == "eventyard: cannot connect to 127.0.0.1:1: Connection refused\n"
                          "is the daemon running? --admin or EVENTYARD_ADMIN must be its listen.admin\n");
}

TEST_CASE("figures are aligned to the right, words and missing values to the left")
{
    Table table({"NAME", "COUNT", "STATUS", "ALSO TO"});
    table.add({"a", "7", "-", "-"});
    table.add({"long-name", "1,234", "503", "-"});
    CHECK(table.text() == "NAME       COUNT  STATUS  ALSO TO\n"
                          "a              7       -  -\n"
                          "long-name  1,234     503  -\n");
}
