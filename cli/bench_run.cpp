#include "cli/bench_run.hpp"

#include <simdjson.h>
#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "cli/progress.hpp"
#include "core/json.hpp"

namespace eventyard::cli {

const char* word_of(Column column) noexcept
{
    switch (column) {
        case Column::matching_only: return "matching_only";
        case Column::product: return "product";
        case Column::dom: return "simdjson_dom";
        case Column::stage1: break;
    }
    return "simdjson_stage1";
}

const char* title_of(Column column) noexcept
{
    switch (column) {
        case Column::matching_only: return "matching only";
        case Column::product: return "product";
        case Column::dom: return "simdjson DOM parse";
        case Column::stage1: break;
    }
    return "simdjson stage 1";
}

std::uint64_t pair_mix(std::uint64_t event, std::uint64_t rule) noexcept
{
    std::uint64_t z = (event << 32 | rule) + 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

double ColumnResult::rate() const
{
    if (rates.empty()) return 0;
    std::vector<double> sorted = rates;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t half = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

std::uint32_t ColumnResult::percentile(double share) const noexcept
{
    if (nanoseconds.empty()) return 0;
    const auto at = static_cast<std::size_t>(share * static_cast<double>(nanoseconds.size()));
    return nanoseconds[std::min(at, nanoseconds.size() - 1)];
}

namespace {

/// CPU time of the calling thread.
Duration thread_cpu() noexcept
{
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return std::chrono::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           std::chrono::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double seconds_of(Duration d) { return std::chrono::duration<double>(d).count(); }

/// What one thread needs for any column; kept over all rounds, so that its memory is warm.
class Worker {
public:
    explicit Worker(const rules::RuleSet& set) : set_(set) {}

    /// One event; false when it is refused.
    template <Column column>
    bool once(std::string_view event)
    {
        const auto* const bytes = reinterpret_cast<const std::uint8_t*>(event.data());
        if constexpr (column == Column::matching_only) {
            out.clear();
            set_.match_unchecked(event, matching, out);
            return true;
        } else if constexpr (column == Column::product) {
            out.clear();
            if (!document.parse_padded(event, {}, error)) return false;
            set_.match(document, matching, out);
            return true;
        } else if constexpr (column == Column::dom) {
            return parser_.parse(bytes, event.size(), false).error() == simdjson::SUCCESS;
        } else {
            return index(bytes, event.size());
        }
    }

    /// Times single events of [begin, end): from one to the next, one look at the clock included.
    template <Column column>
    void time_each(const EventBlock& block, std::size_t begin, std::size_t end, SteadyTime deadline)
    {
        const SystemClock clock;
        SteadyTime before = clock.steady();
        for (std::size_t i = begin; i < end && before < deadline; ++i) {
            static_cast<void>(once<column>(block[i]));
            const SteadyTime now = clock.steady();
            constexpr Duration longest{0xffffffffU};
            nanoseconds.push_back(static_cast<std::uint32_t>(std::min(now - before, longest).count()));
            before = now;
        }
    }

    /// Goes over [begin, end) until the deadline, at which it looks about every millisecond.
    template <Column column>
    void go(const EventBlock& block, std::size_t begin, std::size_t end, SteadyTime deadline)
    {
        const SystemClock clock;
        events = failed = 0;
        std::size_t step = 1;
        const Duration cpu_before = thread_cpu();
        SteadyTime before = clock.steady();
        for (std::size_t i = begin; i < end;) {
            const std::size_t stop = std::min(end, i + step);
            for (; i < stop; ++i) failed += once<column>(block[i]) ? 0 : 1;
            const SteadyTime now = clock.steady();
            if (now - before < std::chrono::milliseconds(1) && step < 4096) step *= 2;
            before = now;
            events = i - begin;
            if (now >= deadline) break;
        }
        cpu = thread_cpu() - cpu_before;
    }

    rules::Matching matching;
    std::vector<std::uint32_t> out;
    json::Document document;
    json::SyntaxError error;
    std::uint64_t events = 0;
    std::uint64_t failed = 0;
    Duration cpu{};
    std::vector<std::uint32_t> nanoseconds;

private:
    bool index(const std::uint8_t* bytes, std::size_t size)
    {
        const std::size_t wanted = std::max<std::size_t>(size, 4096);
        if (!stage1_) {
            if (simdjson::get_active_implementation()->create_dom_parser_implementation(wanted, 1, stage1_) !=
                simdjson::SUCCESS)
                return false;
        } else if (stage1_->capacity() < wanted && stage1_->set_capacity(wanted) != simdjson::SUCCESS) {
            return false;
        }
        return stage1_->stage1(bytes, size, simdjson::stage1_mode::regular) == simdjson::SUCCESS;
    }

    const rules::RuleSet& set_;
    simdjson::dom::parser parser_;
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage1_;
};

class Bench {
public:
    Bench(const rules::RuleSet& set, EventSource& source, const BenchOptions& options)
        : set_(set), source_(source), options_(options)
    {
        for (unsigned i = 0; i < options_.threads; ++i) workers_.push_back(std::make_unique<Worker>(set));
    }

    Result<BenchResult> run()
    {
        EVENTYARD_CHECK(check());
        for (const Column column : columns()) result_.columns[static_cast<std::size_t>(column)].measured = true;
        EVENTYARD_CHECK(rounds());
        EVENTYARD_CHECK(single_events());
        return std::move(result_);
    }

private:
    std::vector<Column> columns() const
    {
        if (options_.unchecked) return {Column::matching_only, Column::product};
        return {Column::matching_only, Column::product, Column::dom, Column::stage1};
    }
    ColumnResult& of(Column c) { return result_.columns[static_cast<std::size_t>(c)]; }

    /// Calls `use` on every block. One that holds all events is kept from one call to the next.
    template <class Use>
    Result<void> blocks(Use use)
    {
        if (whole_) {
            use(block_);
            return {};
        }
        if (started_) EVENTYARD_CHECK(source_.rewind());
        EVENTYARD_TRY(any, source_.next(block_));
        if (!any) return fail(Errc::invalid, source_.name() + ": holds no events");
        const bool first = !started_;
        started_ = true;
        if (first && !block_.full()) {
            whole_ = true;
            use(block_);
            return {};
        }
        for (bool more = true; more;) {
            use(block_);
            EVENTYARD_TRY(next, source_.next(block_));
            more = next;
        }
        return {};
    }

    /// All events are JSON; both engine columns answer alike.
    Result<void> check()
    {
        Progress progress("checking events", 0);
        Answers& answers = result_.answers;
        answers.of_rule.resize(options_.unchecked ? 0 : set_.size());
        const SystemClock clock;
        const SteadyTime deadline = clock.steady() + std::max<Duration>(std::chrono::seconds(10), 4 * options_.seconds);
        Worker& worker = *workers_.front();
        std::vector<std::uint32_t> product;
        std::string refused;
        answers.complete = !options_.unchecked;
        EVENTYARD_CHECK(blocks([&](const EventBlock& block) {
            for (std::size_t i = 0; i < block.size() && !options_.unchecked && refused.empty(); ++i) {
                const std::uint64_t event = result_.events + i;
                if (!answers.complete || clock.steady() > deadline) answers.complete = false;
                if (!answers.complete) {
                    if (!worker.document.parse_padded(block[i], {}, worker.error))
                        refused = place(block, i, worker.error);
                    continue;
                }
                if (!worker.once<Column::product>(block[i])) {
                    refused = place(block, i, worker.error);
                    continue;
                }
                product.swap(worker.out);
                static_cast<void>(worker.once<Column::matching_only>(block[i]));
                if (product != worker.out && answers.differing++ == 0) answers.first_differing = event;
                add(event, product);
                progress.at(event);
            }
            result_.events += block.size();
            result_.bytes += block.bytes();
        }));
        if (!refused.empty()) return fail(Errc::invalid, refused);
        return {};
    }

    std::string place(const EventBlock& block, std::size_t i, const json::SyntaxError& error) const
    {
        return source_.name() + ":" + std::to_string(block.line(i)) + ":" + std::to_string(error.offset + 1) +
               ": no event: " + error.message;
    }

    void add(std::uint64_t event, const std::vector<std::uint32_t>& matched)
    {
        Answers& answers = result_.answers;
        ++answers.events;
        answers.matches += matched.size();
        for (const std::uint32_t rule : matched) {
            answers.digest += pair_mix(event, rule);
            ++answers.of_rule[rule];
        }
    }

    /// Runs one column over one block with all threads; adds to `events` and returns the time.
    Duration lap(Column column, const EventBlock& block, SteadyTime deadline)
    {
        const SystemClock clock;
        const std::size_t share = (block.size() + workers_.size() - 1) / workers_.size();
        const auto work = [&](std::size_t t) {
            const std::size_t begin = std::min(block.size(), t * share);
            const std::size_t end = std::min(block.size(), begin + share);
            switch (column) {
                case Column::matching_only:
                    return workers_[t]->go<Column::matching_only>(block, begin, end, deadline);
                case Column::product: return workers_[t]->go<Column::product>(block, begin, end, deadline);
                case Column::dom: return workers_[t]->go<Column::dom>(block, begin, end, deadline);
                case Column::stage1: return workers_[t]->go<Column::stage1>(block, begin, end, deadline);
            }
        };
        for (auto& worker : workers_) worker->matching.cost = {};
        const SteadyTime start = clock.steady();
        std::vector<std::thread> threads;
        for (std::size_t t = 1; t < workers_.size(); ++t) threads.emplace_back(work, t);
        work(0);
        for (std::thread& thread : threads) thread.join();
        const Duration took = clock.steady() - start;
        ColumnResult& out = of(column);
        for (const auto& worker : workers_) {
            out.events += worker->events;
            out.failed += worker->failed;
            out.cpu += worker->cpu;
            out.cost.touched += worker->matching.cost.touched;
            out.cost.candidates += worker->matching.cost.candidates;
            out.cost.matches += worker->matching.cost.matches;
        }
        return took;
    }

    Result<void> rounds()
    {
        constexpr std::size_t rounds_min = 3;
        constexpr std::size_t rounds_max = 1000;
        const SystemClock clock;
        Progress progress("measuring: round", 0);
        Duration product{};
        while (result_.rounds < rounds_min ||
               (product < options_.seconds && result_.rounds < rounds_max)) {
            std::array<Duration, column_count> spent{};
            std::array<std::uint64_t, column_count> before{};
            for (const Column c : columns()) before[static_cast<std::size_t>(c)] = of(c).events;
            EVENTYARD_CHECK(blocks([&](const EventBlock& block) {
                for (const Column c : columns()) {
                    Duration& used = spent[static_cast<std::size_t>(c)];
                    if (used >= options_.seconds) continue;
                    used += lap(c, block, clock.steady() + options_.seconds - used);
                }
            }));
            for (const Column c : columns()) {
                const auto at = static_cast<std::size_t>(c);
                const std::uint64_t done = of(c).events - before[at];
                of(c).rates.push_back(static_cast<double>(done) / seconds_of(spent[at]));
                of(c).complete = of(c).complete && done == result_.events;
            }
            product += spent[static_cast<std::size_t>(Column::product)];
            progress.show(++result_.rounds);
        }
        const std::uint64_t failed = of(Column::product).failed;
        if (failed > 0)
            return fail(Errc::invalid, source_.name() + ": events are refused that were not before");
        return {};
    }

    /// Of the first block; one thread, so that threads do not time each other.
    Result<void> single_events()
    {
        if (!whole_) {
            EVENTYARD_CHECK(source_.rewind());
            EVENTYARD_CHECK(source_.next(block_));
        }
        constexpr std::size_t samples_max = 1'000'000;
        Worker& worker = *workers_.front();
        const SystemClock clock;
        const std::size_t end = std::min(block_.size(), samples_max);
        const auto sample = [&](Column column, auto time) {
            worker.nanoseconds.clear();
            worker.nanoseconds.reserve(end);
            time(clock.steady() + options_.seconds);
            std::sort(worker.nanoseconds.begin(), worker.nanoseconds.end());
            of(column).nanoseconds.swap(worker.nanoseconds);
        };
        sample(Column::matching_only, [&](SteadyTime deadline) {
            worker.time_each<Column::matching_only>(block_, 0, end, deadline);
        });
        sample(Column::product, [&](SteadyTime deadline) {
            worker.time_each<Column::product>(block_, 0, end, deadline);
        });
        return {};
    }

    const rules::RuleSet& set_;
    EventSource& source_;
    BenchOptions options_;
    std::vector<std::unique_ptr<Worker>> workers_;
    EventBlock block_;
    bool started_ = false;
    bool whole_ = false;  // block_ holds all events
    BenchResult result_;
};

}  // namespace

Result<BenchResult> run_bench(const rules::RuleSet& set, EventSource& source, const BenchOptions& options)
{
    return Bench(set, source, options).run();
}

}  // namespace eventyard::cli
