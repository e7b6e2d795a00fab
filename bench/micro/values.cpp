// Testing one value: numbers, strings without regard to case, wildcards.
#include <benchmark/benchmark.h>

#include <array>

#include "rules/decimal.hpp"
#include "rules/fold.hpp"
#include "rules/wildcard.hpp"

namespace {

using namespace eventyard::rules;

constexpr std::array<std::string_view, 4> numbers{"-122.46093040106452", "37.78123094401331", "1250", "0.0"};

void decimal_read(benchmark::State& state)
{
    std::size_t i = 0;
    for (auto _ : state) benchmark::DoNotOptimize(Decimal::read(numbers[i++ % numbers.size()]));
}
BENCHMARK(decimal_read);

/// Doubles differ, so they decide.
void decimal_compare_apart(benchmark::State& state)
{
    const auto a = Decimal::read(numbers[0]);
    const auto b = Decimal::read("-122.42916360922355");
    for (auto _ : state) {
        auto order = *a <=> *b;
        benchmark::DoNotOptimize(order);
    }
}
BENCHMARK(decimal_compare_apart);

/// One double, so digits decide.
void decimal_compare_close(benchmark::State& state)
{
    const auto a = Decimal::read("0.1000000000000000055511151231257827");
    const auto b = Decimal::read("0.1");
    for (auto _ : state) {
        auto order = *a <=> *b;
        benchmark::DoNotOptimize(order);
    }
}
BENCHMARK(decimal_compare_close);

void folded_equals(benchmark::State& state, std::string_view pattern, std::string_view text)
{
    const Folded folded(pattern);
    for (auto _ : state) {
        benchmark::DoNotOptimize(text);
        benchmark::DoNotOptimize(folded.equals(text));
    }
}
BENCHMARK_CAPTURE(folded_equals, ascii, "rhode island", "RHODE ISLAND");
BENCHMARK_CAPTURE(folded_equals, other_letters, "\xc3\xa4rger \xc3\xa9" "cole", "\xc3\x84RGER \xc3\x89" "COLE");
BENCHMARK_CAPTURE(folded_equals, first_letter_differs, "rhode island", "CHESTNUT");

void folded_suffix(benchmark::State& state)
{
    const Folded folded("island");
    const std::string_view text = "RHODE ISLAND";
    for (auto _ : state) benchmark::DoNotOptimize(folded.is_suffix_of(text));
}
BENCHMARK(folded_suffix);

void wildcard_matches(benchmark::State& state, std::string_view pattern, std::string_view text)
{
    const auto wildcard = Wildcard::read(pattern);
    for (auto _ : state) {
        benchmark::DoNotOptimize(text);
        benchmark::DoNotOptimize(wildcard->matches(text));
    }
}
BENCHMARK_CAPTURE(wildcard_matches, one_star, "143*", "1430022");
BENCHMARK_CAPTURE(wildcard_matches, three_stars, "2*0*1*7", "2607117");
BENCHMARK_CAPTURE(wildcard_matches, last_piece_missing, "*/job-*/node*.log",
                  "cluster/job-0f3a99c1/part-00017-of-00512/node17.txt");

}  // namespace
