// tests/tidy — the rules of the house that a compiler does not check.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path root = EVENTYARD_SOURCE_DIR;

struct SourceFile {
    std::string path;  // relative to the root, with '/'
    std::vector<std::string> lines;
};

std::vector<SourceFile> sources(const std::vector<std::string>& folders)
{
    std::vector<SourceFile> files;
    for (const std::string& folder : folders) {
        for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
            const std::string extension = entry.path().extension().string();
            if (extension != ".cpp" && extension != ".hpp") continue;
            SourceFile file{fs::relative(entry.path(), root).generic_string(), {}};
            std::ifstream in(entry.path());
            for (std::string line; std::getline(in, line);) file.lines.push_back(line);
            files.push_back(std::move(file));
        }
    }
    return files;
}

const std::vector<std::string> product = {"core", "rules", "targets", "router", "config", "cli"};

std::string top_folder(const std::string& path) { return path.substr(0, path.find('/')); }

}  // namespace

TEST_CASE("includes point one way: core <- rules, targets <- router <- config <- cli")
{
    const std::map<std::string, std::set<std::string>> may_include = {
        {"core", {"core"}},
        {"rules", {"core", "rules"}},
        {"targets", {"core", "targets"}},
        {"router", {"core", "rules", "targets", "router"}},
        {"config", {"core", "rules", "targets", "router", "config"}},
        {"cli", {"core", "rules", "targets", "router", "config", "cli"}},
    };
    const std::regex include{R"(^\s*#include\s+"([^"]+)\")"};
    std::size_t checked = 0;
    for (const SourceFile& file : sources(product)) {
        const auto& allowed = may_include.at(top_folder(file.path));
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            std::smatch found;
            if (!std::regex_search(file.lines[i], found, include)) continue;
            const std::string wanted = found[1];
            INFO(file.path << ":" << i + 1 << " includes " << wanted);
            CHECK(fs::exists(root / wanted));
            CHECK(allowed.count(top_folder(wanted)) == 1);
            ++checked;
        }
    }
    CHECK(checked > 50);
}

TEST_CASE("the pure parts of the router include no I/O")
{
    const std::regex io{R"(#include\s+[<"](boost/(asio|beast)|thread|mutex|sys/socket|sqlite3))"};
    const std::set<std::string> pure = {
        "router/ingest/request.hpp", "router/ingest/request.cpp",   "router/journal/format.hpp",
        "router/journal/format.cpp", "router/delivery/lane.hpp",    "router/delivery/lane.cpp",
        "router/delivery/retry.hpp", "router/delivery/retry.cpp",   "router/delivery/schedule.hpp",
        "router/delivery/schedule.cpp", "router/admin/status.hpp",  "router/admin/status.cpp"};
    std::set<std::string> seen;
    for (const SourceFile& file : sources({"core", "rules", "router"})) {
        const bool is_pure = pure.count(file.path) == 1 || top_folder(file.path) == "rules" ||
                             top_folder(file.path) == "core";
        if (!is_pure) continue;
        seen.insert(file.path);
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            INFO(file.path << ":" << i + 1 << ": " << file.lines[i]);
            CHECK_FALSE(std::regex_search(file.lines[i], io));
        }
    }
    for (const std::string& path : pure) {
        INFO(path << " is named here and must exist");
        CHECK(seen.count(path) == 1);
    }
}

TEST_CASE("only core/time.cpp asks the machine for the time")
{
    const std::regex banned{
        R"(_clock::now\(|\btime\(nullptr\)|\bgettimeofday\(|\bclock_gettime\(|std::random_device|\brand\(\))"};
    for (const SourceFile& file : sources(product)) {
        if (file.path == "core/time.cpp") continue;
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            INFO(file.path << ":" << i + 1 << ": " << file.lines[i]);
            CHECK_FALSE(std::regex_search(file.lines[i], banned));
        }
    }
}

TEST_CASE("every header says in its first line what it is for")
{
    for (const SourceFile& file : sources(product)) {
        if (fs::path(file.path).extension() != ".hpp") continue;
        INFO(file.path);
        REQUIRE_FALSE(file.lines.empty());
        CHECK(file.lines[0].rfind("// " + file.path + " — ", 0) == 0);
    }
}

TEST_CASE("no file is left unfinished or grows two ideas")
{
    const std::regex mark{R"(\b(TODO|FIXME|XXX|HACK)\b)"};
    for (const SourceFile& file : sources(product)) {
        INFO(file.path << " has " << file.lines.size() << " lines");
        CHECK(file.lines.size() <= 700);
        for (const std::string& line : file.lines) CHECK_FALSE(std::regex_search(line, mark));
    }
}

TEST_CASE("test names hold no semicolon, which would cut them in two for ctest")
{
    const std::regex name{R"(TEST_CASE\("[^"]*;)"};
    for (const SourceFile& file : sources({"tests"}))
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            if (file.path == "tests/tidy/tidy_test.cpp") continue;
            INFO(file.path << ":" << i + 1 << ": " << file.lines[i]);
            CHECK_FALSE(std::regex_search(file.lines[i], name));
        }
}

TEST_CASE("links between the documents lead somewhere")
{
    const std::regex link{R"(\]\(([^)#\s]+)(#[^)]*)?\))"};
    std::vector<fs::path> documents;
    for (const auto& entry : fs::directory_iterator(root))
        if (entry.path().extension() == ".md") documents.push_back(entry.path());
    for (const auto& entry : fs::recursive_directory_iterator(root / "docs"))
        if (entry.path().extension() == ".md") documents.push_back(entry.path());
    for (const fs::path& document : documents) {
        std::ifstream in(document);
        std::stringstream text;
        text << in.rdbuf();
        const std::string content = text.str();
        for (std::sregex_iterator at(content.begin(), content.end(), link), end; at != end; ++at) {
            const std::string wanted = (*at)[1];
            if (wanted.find("://") != std::string::npos) continue;
            INFO(document << " links to " << wanted);
            CHECK(fs::exists(document.parent_path() / wanted));
        }
    }
}

TEST_CASE("each command that README names as a proof runs tests that are there")
{
    std::ifstream in(root / "README.md");
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    const std::regex command{R"(`build/release/test_(\w+)(?: -# '\[#(\w+)\]')?`)"};
    std::size_t promises = 0, commands = 0;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("| **")) continue;
        INFO(line.substr(0, 60));
        ++promises;
        const auto begin = std::sregex_iterator{line.begin(), line.end(), command};
        CHECK(begin != std::sregex_iterator{});
        for (auto found = begin; found != std::sregex_iterator{}; ++found) {
            ++commands;
            std::string folder = (*found)[1];  // router_state: tests/router/state
            if (folder.starts_with("router_")) folder[6] = '/';
            CAPTURE(folder, (*found)[2].str());
            CHECK(fs::is_directory(root / "tests" / folder));
            if ((*found)[2].matched) CHECK(fs::is_regular_file(root / "tests" / folder / ((*found)[2].str() + ".cpp")));
        }
    }
    CHECK(promises >= 12);
    CHECK(commands > promises);
}
