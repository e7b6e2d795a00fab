// A configuration of two files, parted by a zero byte: the main file and rules/fuzz.yaml beside it.
// Mistakes are told at their places, nothing crashes or leaks, and no secret is shown.
#include <filesystem>
#include <fstream>

#include "config/load.hpp"
#include "tests/fuzz/expect.hpp"

using namespace eventyard;
using fuzz::expect;

namespace {

constexpr const char* secret = "never-to-be-shown";

/// A folder of its own, so that relative paths meet nothing else; removed at the end.
class Folder {
public:
    Folder()
    {
        std::string name = (std::filesystem::temp_directory_path() / "eventyard-fuzz-XXXXXX").string();
        expect(mkdtemp(name.data()) != nullptr, "a folder can be made");
        path_ = name;
        std::filesystem::create_directories(path_ / "rules");
        write("secret", secret);
        setenv("SECRET", secret, 1);
    }
    ~Folder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::string file(const char* name) const { return (path_ / name).string(); }
    void write(const char* name, std::string_view text) const
    {
        std::ofstream(path_ / name, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
    }

private:
    std::filesystem::path path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const Folder folder;
    std::string_view rest = fuzz::text_of(data, size);
    folder.write("eventyard.yaml", fuzz::take_until(rest, '\0'));
    folder.write("rules/fuzz.yaml", rest);
    Report report;
    const auto table = config::load(folder.file("eventyard.yaml"), report);
    expect((table == nullptr) == report.has_errors(), "a table, or mistakes");
    for (const Diagnostic& one : report.diagnostics())
        expect(!one.message.empty() && one.message.find('\n') == std::string::npos && one.place.file,
               "a mistake has a file and one line of reason", one.message);
    // Comparisons that fail teach the fuzzer the secret; a file that spells it out may be quoted.
    const bool spelled = fuzz::text_of(data, size).find(secret) != std::string_view::npos;
    for (const std::string& told : {report.text(), report.json()})
        expect(spelled || told.find(secret) == std::string::npos, "no secret is shown", told);
    return 0;
}
