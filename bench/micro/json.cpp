// Reading an event: ours, and simdjson's DOM parse of the same bytes beside it.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include "bench/micro/city_lot.hpp"

namespace {

using namespace eventyard;

void json_parse_padded(benchmark::State& state)
{
    const micro::PaddedCityLot event;
    json::Document document;
    json::SyntaxError error;
    for (auto _ : state) {
        if (!document.parse_padded(event.text(), {}, error)) state.SkipWithError("refused");
        benchmark::DoNotOptimize(document.values().data());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(event.text().size()));
}
BENCHMARK(json_parse_padded);

void json_parse_copied(benchmark::State& state)
{
    const micro::PaddedCityLot event;
    json::Document document;
    json::SyntaxError error;
    for (auto _ : state) {
        if (!document.parse(event.text(), {}, error)) state.SkipWithError("refused");
        benchmark::DoNotOptimize(document.values().data());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(event.text().size()));
}
BENCHMARK(json_parse_copied);

void simdjson_dom_parse(benchmark::State& state)
{
    const micro::PaddedCityLot event;
    simdjson::dom::parser parser;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(event.text().data());
    for (auto _ : state) {
        if (parser.parse(bytes, event.text().size(), false).error() != simdjson::SUCCESS)
            state.SkipWithError("refused");
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(event.text().size()));
}
BENCHMARK(simdjson_dom_parse);

}  // namespace
