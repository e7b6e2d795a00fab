#include "cli/bench_report.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>

#include "cli/table.hpp"

namespace eventyard::cli {
namespace {

constexpr std::array<Column, column_count> all_columns{Column::matching_only, Column::product, Column::dom,
                                                       Column::stage1};

bool is_engine(Column column) noexcept
{
    return column == Column::matching_only || column == Column::product;
}

double seconds_of(Duration d) { return std::chrono::duration<double>(d).count(); }
double ratio(double a, double b) { return b > 0 ? a / b : 0; }
double ratio(std::uint64_t a, std::uint64_t b)
{
    return ratio(static_cast<double>(a), static_cast<double>(b));
}

std::string whole(double value) { return grouped(static_cast<std::uint64_t>(std::llround(value))); }
std::string mebibytes(std::int64_t bytes)
{
    return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024 * 1024));
}

/// As many digits as say something: ns of a fast event have one after the point.
std::string shown(double value) { return value < 100 ? fmt::format("{:.1f}", value) : whole(value); }

const char* build_kind() noexcept
{
#ifdef NDEBUG
    return "optimised";
#else
    return "with assertions: figures mean nothing";
#endif
}

std::string simdjson_kernel() { return simdjson::get_active_implementation()->name(); }

double nanoseconds(const ColumnResult& column) { return ratio(1e9, column.rate()); }

double cpu_nanoseconds(const ColumnResult& column)
{
    return ratio(static_cast<double>(column.cpu.count()), static_cast<double>(column.events));
}

/// Time per match beside the parse: what output-dominated sets are judged by.
double nanoseconds_per_match(const ColumnResult& column)
{
    return ratio(nanoseconds(column), ratio(column.cost.matches, column.events));
}

std::string columns_table(const BenchResult& result)
{
    const bool with_dom = result.of(Column::dom).measured;
    std::vector<std::string> head{"", "EVENTS/S", "NS/EVENT", "CPU NS", "P50 NS", "P99 NS", "MB/S"};
    if (with_dom) head.insert(head.end(), {"X DOM", "X STAGE 1"});
    Table table(head);
    const double bytes = ratio(result.bytes, result.events);
    for (const Column c : all_columns) {
        const ColumnResult& column = result.of(c);
        if (!column.measured) continue;
        std::vector<std::string> row{title_of(c), whole(column.rate()), shown(nanoseconds(column)), shown(cpu_nanoseconds(column))};
        if (is_engine(c)) {
            row.push_back(grouped(column.percentile(0.5)));
            row.push_back(grouped(column.percentile(0.99)));
        } else {
            row.insert(row.end(), 2, "");
        }
        row.push_back(whole(column.rate() * bytes / 1e6));
        if (with_dom) {
            row.push_back(fmt::format("{:.2f}", ratio(column.rate(), result.of(Column::dom).rate())));
            row.push_back(fmt::format("{:.2f}", ratio(column.rate(), result.of(Column::stage1).rate())));
        }
        table.add(std::move(row));
    }
    return table.text();
}

std::string costs_table(const BenchResult& result)
{
    Table table({"PER EVENT", "BYTES", "TOUCHED", "CANDIDATES", "MATCHES", "NS/MATCH"});
    for (const Column c : {Column::matching_only, Column::product}) {
        const ColumnResult& column = result.of(c);
        const auto each = [&](std::uint64_t sum) { return fmt::format("{:.3f}", ratio(sum, column.events)); };
        table.add({title_of(c), fmt::format("{:.1f}", ratio(result.bytes, result.events)),
                   each(column.cost.touched), each(column.cost.candidates), each(column.cost.matches),
                   column.cost.matches == 0 ? "" : shown(nanoseconds_per_match(column))});
    }
    return table.text();
}

nlohmann::ordered_json column_json(Column c, const ColumnResult& column, const BenchResult& result)
{
    nlohmann::ordered_json out{{"name", word_of(c)},
                               {"events_per_second", column.rate()},
                               {"ns_per_event", nanoseconds(column)},
                               {"cpu_ns_per_event", cpu_nanoseconds(column)},
                               {"bytes_per_second", column.rate() * ratio(result.bytes, result.events)},
                               {"complete", column.complete},
                               {"events", column.events},
                               {"refused", column.failed},
                               {"rounds", column.rates}};
    if (!is_engine(c)) return out;
    out["p50_ns"] = column.percentile(0.5);
    out["p99_ns"] = column.percentile(0.99);
    out["touched"] = ratio(column.cost.touched, column.events);
    out["candidates"] = ratio(column.cost.candidates, column.events);
    out["matches"] = ratio(column.cost.matches, column.events);
    if (column.cost.matches > 0) out["ns_per_match"] = nanoseconds_per_match(column);
    return out;
}

nlohmann::ordered_json answers_json(const Answers& answers, bool rule_counts)
{
    std::uint64_t counts = 0;
    for (std::size_t rule = 0; rule < answers.of_rule.size(); ++rule)
        if (answers.of_rule[rule] > 0) counts += pair_mix(answers.of_rule[rule], rule);
    nlohmann::ordered_json out{{"events", answers.events},
                               {"complete", answers.complete},
                               {"matches", answers.matches},
                               {"digest", fmt::format("{:016x}", answers.digest)},
                               {"rule_counts_digest", fmt::format("{:016x}", counts)},
                               {"differing_events", answers.differing}};
    if (answers.differing > 0) out["first_differing_event"] = answers.first_differing;
    if (!rule_counts) return out;
    auto list = nlohmann::ordered_json::array();
    for (std::size_t rule = 0; rule < answers.of_rule.size(); ++rule)
        if (answers.of_rule[rule] > 0) list.push_back({rule, answers.of_rule[rule]});
    out["rule_counts"] = std::move(list);
    return out;
}

}  // namespace

std::string bench_text(const BenchSubject& subject, const CompiledRules& rules, const BenchResult& result)
{
    const std::size_t count = rules.set.size();
    const double seconds = seconds_of(rules.compile);
    std::string out = fmt::format(
        "rules    {} of {}; compiled in {:.3f} s, {} rules/s{}; resident memory +{}, {} bytes a rule\n",
        grouped(count), subject.rules, seconds, whole(ratio(static_cast<double>(count), seconds)),
        rules.from_texts ? "" : " with reading the file", mebibytes(rules.resident_growth),
        whole(std::max(0.0, ratio(static_cast<double>(rules.resident_growth), static_cast<double>(count)))));
    std::string figures;
    for (const auto& [name, value] : figures_of(rules.set))
        figures += (figures.empty() ? "" : ", ") + name + " " + grouped(value);
    out += "set      " + figures + "\n";
    out += fmt::format("events   {} of {}, {:.1f} bytes each; {} rounds of each column, medians; {}\n",
                       grouped(result.events), subject.events, ratio(result.bytes, result.events), result.rounds,
                       subject.threads == 1 ? "1 thread" : std::to_string(subject.threads) + " threads");
    out += fmt::format("build    {}, no -march=native; simdjson kernel {}\n\n", build_kind(), simdjson_kernel());
    out += columns_table(result) + "\n" + costs_table(result);
    for (const Column c : all_columns) {
        const ColumnResult& column = result.of(c);
        if (column.measured && !column.complete)
            out += fmt::format("\nnote: {} went over the first {} events of a round only, for want of time",
                               title_of(c), grouped(column.events / std::max<std::size_t>(result.rounds, 1)));
        if (column.failed > 0)
            out += fmt::format("\nnote: {} refused {} of {} events", title_of(c), grouped(column.failed),
                               grouped(column.events));
    }
    const Answers& answers = result.answers;
    if (!answers.of_rule.empty() && !answers.complete)
        out += fmt::format("\nnote: answers were compared on the first {} events only, for want of time",
                           grouped(answers.events));
    if (answers.differing > 0)
        out += fmt::format("\nnote: the two columns answer {} of {} events differently (the first is number {}); "
                           "events with duplicate keys may, others must not",
                           grouped(answers.differing), grouped(answers.events), grouped(answers.first_differing + 1));
    if (out.back() != '\n') out += "\n";
    return out;
}

nlohmann::ordered_json bench_json(const BenchSubject& subject, const CompiledRules& rules,
                                  const BenchResult& result)
{
    const double seconds = seconds_of(rules.compile);
    nlohmann::ordered_json set{{"source", subject.rules},
                               {"compile_seconds", seconds},
                               {"rules_per_second", ratio(static_cast<double>(rules.set.size()), seconds)},
                               {"from_texts", rules.from_texts},
                               {"resident_growth_bytes", rules.resident_growth}};
    for (const auto& [name, value] : figures_of(rules.set)) set[name] = value;
    auto columns = nlohmann::ordered_json::array();
    nlohmann::ordered_json ratios = nlohmann::ordered_json::object();
    for (const Column c : all_columns) {
        if (!result.of(c).measured) continue;
        columns.push_back(column_json(c, result.of(c), result));
        if (!is_engine(c) || !result.of(Column::dom).measured) continue;
        for (const Column limit : {Column::dom, Column::stage1})
            ratios[fmt::format("{}/{}", word_of(c), word_of(limit))] =
                ratio(result.of(c).rate(), result.of(limit).rate());
    }
    nlohmann::ordered_json out{
        {"rules", std::move(set)},
        {"events", {{"source", subject.events}, {"count", result.events}, {"bytes", result.bytes}}},
        {"threads", subject.threads},
        {"rounds", result.rounds},
        {"build", build_kind()},
        {"simdjson_kernel", simdjson_kernel()},
        {"columns", std::move(columns)},
        {"ratios", std::move(ratios)},
        {"peak_resident_bytes", resident().peak}};
    if (!result.answers.of_rule.empty()) out["answers"] = answers_json(result.answers, subject.rule_counts);
    return out;
}

}  // namespace eventyard::cli
