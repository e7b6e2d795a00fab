// tests/support/temp_dir.hpp — a directory that lives as long as the test, and small file helpers.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace eventyard::support {

/// Made empty below the system's temporary directory, removed with all it holds at the end.
/// Set EVENTYARD_KEEP_TEMP=1 to keep it and read what a failed test left.
class TempDir {
public:
    TempDir()
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "eventyard-test-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
        path_ = pattern;
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir()
    {
        if (std::getenv("EVENTYARD_KEEP_TEMP") != nullptr) return;
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// path()/name.
    [[nodiscard]] std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
    /// Writes path()/name, making its folders; returns the whole path.
    std::string write(std::string_view name, std::string_view content) const
    {
        const std::string whole = file(name);
        std::filesystem::create_directories(std::filesystem::path(whole).parent_path());
        // At once: a daemon that is reloading must not read half of it.
        const std::string half = whole + ".half";
        std::ofstream out(half, std::ios::binary | std::ios::trunc);
        out << content;
        if (!out.flush()) throw std::runtime_error("cannot write " + half);
        out.close();
        std::filesystem::rename(half, whole);
        return whole;
    }

private:
    std::string path_;
};

/// The whole file; empty when there is none.
inline std::string read_text(const std::string& path)
{
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

/// The lines of a text without their ends; a last line without one counts.
inline std::vector<std::string> lines_of(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

}  // namespace eventyard::support
