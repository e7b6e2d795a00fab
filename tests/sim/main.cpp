// tests/sim/main.cpp — runs the simulator by hand: one seed with its trace, or many.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/log.hpp"
#include "tests/sim/run.hpp"

using namespace eventyard;

namespace {

int usage()
{
    std::fputs("usage: sim [--seed N] [--runs N] [--steps N] [--trace] [--plant NAME] [--log]\n", stderr);
    return 2;
}

}  // namespace

int main(int argc, char** argv)
{
    sim::RunOptions options;
    std::uint64_t runs = 1;
    bool log = false;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const auto value = [&]() -> std::uint64_t { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
        if (argument == "--seed") options.seed = value();
        else if (argument == "--runs") runs = value();
        else if (argument == "--steps") options.steps = value();
        else if (argument == "--trace") options.trace = [](const std::string& line) { std::puts(line.c_str()); };
        else if (argument == "--log") log = true;
        else if (argument == "--plant" && i + 1 < argc) {
            const auto plant = sim::plant_of(argv[++i]);
            if (!plant) return usage();
            options.plant = *plant;
        } else return usage();
    }
    log::configure(log::Format::text, log ? log::Level::debug : log::Level::off);
    sim::Coverage coverage;
    std::uint64_t failed = 0;
    const std::uint64_t first = options.seed;
    for (; options.seed < first + runs; ++options.seed) {
        const sim::RunResult result = sim::run(options);
        coverage.add(result.coverage);
        if (result.fault.empty()) continue;
        ++failed;
        std::printf("seed %llu, step %llu: %s\n", static_cast<unsigned long long>(options.seed),
                    static_cast<unsigned long long>(result.step), result.fault.c_str());
        std::fflush(stdout);
    }
    for (const auto& [what, n] : coverage.counts())
        std::printf("%12llu  %s\n", static_cast<unsigned long long>(n), what.c_str());
    std::printf("%llu runs, %llu failed\n", static_cast<unsigned long long>(runs), static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 1;
}
