// tests/config/secrets.cpp — references to the environment and to files.
#include "config/secrets.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

#include "tests/support/temp_dir.hpp"

using namespace eventyard;
using config::Secrets;

namespace {

struct Resolved {
    std::string value;
    bool found = false;
    Report report;
};

Resolved resolve(const std::string& text, const std::string& file = "main.yaml")
{
    Resolved r;
    Secrets secrets;
    r.value = secrets.resolve(text, {std::make_shared<const std::string>(file), 3, 7}, r.report, r.found);
    return r;
}

std::string only_error(const Resolved& r)
{
    REQUIRE(r.report.diagnostics().size() == 1);
    CHECK(r.report.diagnostics()[0].place.line == 3);
    return r.report.diagnostics()[0].message;
}

}  // namespace

TEST_CASE("text without references stays as it is")
{
    for (const char* text : {"", "plain", "$", "$$", "a$b", "cost: $5", "{env:X}", "$ {env:X}"}) {
        const Resolved r = resolve(text);
        CHECK(r.value == text);
        CHECK_FALSE(r.found);
        CHECK(r.report.diagnostics().empty());
    }
}

TEST_CASE("a doubled dollar stands for a plain one before a brace")
{
    const Resolved r = resolve("$${env:HOME} and $${x");
    CHECK(r.value == "${env:HOME} and ${x");
    CHECK_FALSE(r.found);
}

TEST_CASE("the environment and files are put in, anywhere in the text")
{
    support::TempDir folder;
    folder.write("token", "first line\nsecond\n");
    folder.write("windows", "value\r\n");
    folder.write("none", "");
    ::setenv("EVENTYARD_TEST_A", "alpha", 1);
    ::setenv("EVENTYARD_TEST_EMPTY", "", 1);
    const std::string main = folder.file("main.yaml");
    CHECK(resolve("<${env:EVENTYARD_TEST_A}|${env:EVENTYARD_TEST_A}>").value == "<alpha|alpha>");
    CHECK(resolve("${env:EVENTYARD_TEST_EMPTY}").value.empty());
    CHECK(resolve("${env:EVENTYARD_TEST_EMPTY}").found);
    CHECK(resolve("Bearer ${file:token}", main).value == "Bearer first line\nsecond");
    CHECK(resolve("${file:windows}", main).value == "value");
    CHECK(resolve("${file:none}", main).value.empty());
    CHECK(resolve("${file:" + folder.file("token") + "}").value == "first line\nsecond");
    CHECK(resolve("${file:token}", main).report.diagnostics().empty());
    // What was put in is not read again for references.
    ::setenv("EVENTYARD_TEST_A", "${env:HOME}", 1);
    CHECK(resolve("${env:EVENTYARD_TEST_A}").value == "${env:HOME}");
}

TEST_CASE("what cannot be put in is an error that shows no content")
{
    support::TempDir folder;
    folder.write("large", std::string(Secrets::file_max + 1, 's'));
    folder.write("fits", std::string(Secrets::file_max, 's'));
    const std::string main = folder.file("main.yaml");
    ::unsetenv("EVENTYARD_TEST_UNSET");
    CHECK(only_error(resolve("${env:EVENTYARD_TEST_UNSET}")) ==
          "environment variable 'EVENTYARD_TEST_UNSET' is not set");
    CHECK(only_error(resolve("${file:absent}", main)).find("No such file") != std::string::npos);
    CHECK(only_error(resolve("${file:.}", main)).find("not a regular file") != std::string::npos);
    CHECK(only_error(resolve("${file:large}", main)).find("larger than 64 KiB") != std::string::npos);
    CHECK(resolve("${file:fits}", main).report.diagnostics().empty());
    CHECK(only_error(resolve("${env:}")) == "'${env:}' names nothing");
    CHECK(only_error(resolve("${file:}")) == "'${file:}' names nothing");
    CHECK(only_error(resolve("${HOME}")).find("unknown reference '${...}'") == 0);
    CHECK(only_error(resolve("${}")).find("unknown reference '${...}'") == 0);
    CHECK(only_error(resolve("a ${env:HOME")).find("never closed") != std::string::npos);
}

TEST_CASE("a value that was put in is hidden in every later report")
{
    ::setenv("EVENTYARD_TEST_A", "s3cret-value", 1);
    Resolved r = resolve("x ${env:EVENTYARD_TEST_A}");
    r.report.error({}, "found 'x s3cret-value'");
    CHECK(r.report.text() == "error: found 'x ***'\n");
    CHECK(r.report.json().find("s3cret") == std::string::npos);
    ::setenv("EVENTYARD_TEST_A", "8", 1);  // a number of threads, say: hiding it would hide all 8s
    Resolved number = resolve("${env:EVENTYARD_TEST_A}");
    number.report.error({}, "found 8");
    CHECK(number.report.text() == "error: found 8\n");
}
