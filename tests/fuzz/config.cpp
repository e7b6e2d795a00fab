// Any bytes as a configuration file: mistakes are reported, nothing crashes, nothing is read twice.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const std::string path =
        (std::filesystem::temp_directory_path() / ("eventyard-fuzz-" + std::to_string(std::rand()) + ".yaml")).string();
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    eventyard::Report report;
    const auto table = eventyard::config::load(path, report);
    if ((table == nullptr) != report.has_errors()) std::abort();
    (void)report.text();
    (void)report.json();
    return 0;
}
