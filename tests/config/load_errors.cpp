// tests/config/load_errors.cpp — every mistake at once, as people read it.
//
// Each folder of tests/cases/config/errors is a configuration with mistakes and the text that is
// said of it (expected.txt, rewritten by EVENTYARD_UPDATE=1).
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "config/load.hpp"
#include "tests/support/temp_dir.hpp"

namespace fs = std::filesystem;
using namespace eventyard;

namespace {

const fs::path cases = fs::path(EVENTYARD_SOURCE_DIR) / "tests/cases/config/errors";

std::vector<fs::path> folders()
{
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(cases)) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
}

/// The working directory while this lives: reports then name files as a person beside them would.
class InFolder {
public:
    explicit InFolder(const fs::path& path) : before_(fs::current_path()) { fs::current_path(path); }
    InFolder(const InFolder&) = delete;
    InFolder& operator=(const InFolder&) = delete;
    ~InFolder()
    {
        std::error_code ignored;
        fs::current_path(before_, ignored);
    }

private:
    fs::path before_;
};

}  // namespace

TEST_CASE("every mistake in a configuration is reported at once, with its place")
{
    ::unsetenv("EVENTYARD_TEST_UNSET");
    ::setenv("EVENTYARD_TEST_USER", "alice-the-first", 1);
    REQUIRE(folders().size() >= 10);
    for (const fs::path& folder : folders()) DYNAMIC_SECTION(folder.filename().string()) {
        const InFolder there(folder);
        Report report;
        CHECK(config::load("eventyard.yaml", report) == nullptr);
        CHECK(report.has_errors());
        const std::string said = report.text();
        if (std::getenv("EVENTYARD_UPDATE") != nullptr)
            std::ofstream("expected.txt", std::ios::binary) << said;
        CHECK(said == support::read_text("expected.txt"));
        CHECK(said.find("hunter2") == std::string::npos);
        CHECK(said.find("alice-the-first") == std::string::npos);
        const auto list = nlohmann::json::parse(report.json());
        CHECK(list.size() == report.diagnostics().size());
        CHECK(report.json().find("hunter2") == std::string::npos);
    }
}

TEST_CASE("a main file that cannot be read is one error")
{
    for (const char* path : {"/nonexistent/eventyard.yaml", "/tmp", "/dev/null", "eventyard.toml"}) {
        Report report;
        CHECK(config::load(path, report) == nullptr);
        CHECK(report.errors() == 1);
        CHECK(report.text().find(path) != std::string::npos);
    }
}
