// tests/router/state/state_fixture.hpp — an opened state in a directory of the test, called like a
// synchronous thing.
#pragma once

#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/time.hpp"
#include "router/state/state.hpp"
#include "tests/support/temp_dir.hpp"

namespace eventyard::router {

inline const SystemClock system_clock;
inline PosixDisk posix_disk;

inline Id id_of(std::uint8_t n)
{
    Id id;
    id.bytes.fill(n);
    return id;
}

inline WallTime wall(std::int64_t seconds)
{
    return WallTime{std::chrono::seconds{seconds}};
}

inline Retrying retrying(std::string target, DeliveryKey key, std::int64_t due,
                         std::uint32_t attempts = 1)
{
    Retrying change;
    change.row = {std::move(target),       key,    "rule", id_of(7), attempts, wall(due),
                  std::chrono::seconds{5}, wall(1)};
    change.attempt = {wall(due - 5), 503,    "status",
                      "HTTP 503",    "busy", std::chrono::milliseconds{12}};
    return change;
}

inline Ended ended(std::string target, DeliveryKey key, Ending ending = Ending::delivered)
{
    Ended change;
    change.target = std::move(target);
    change.key = key;
    change.rule = "rule";
    change.ending = ending;
    return change;
}

inline Ended dead(std::string target, DeliveryKey key, std::string body = "{\"a\":1}",
                  std::string forward = "")
{
    Ended change = ended(target, key, Ending::dead_lettered);
    DeadLetter letter;
    letter.target = target;
    letter.rule = "rule";
    letter.bus = "default";
    letter.key = key;
    letter.event = id_of(9);
    letter.delivery_id = "dlv_x";
    letter.format = EventFormat::cloudevents;
    letter.body = std::move(body);
    letter.reason = "max_attempts";
    letter.cause = "status";
    letter.last_status = 500;
    letter.last_detail = "HTTP 500";
    letter.last_response = std::string("no\0pe", 5);
    letter.attempts = 4;
    letter.received = wall(10);
    letter.dead = wall(20);
    letter.forward_to = std::move(forward);
    change.dead_letter = std::move(letter);
    change.attempt =
        AttemptRecord{wall(19), 500, "status", "HTTP 500", "no", std::chrono::milliseconds{3}};
    return change;
}

/// Of state.db in there: the next start has to salvage it.
inline void damage_first_page(const support::TempDir& dir)
{
    std::string bytes = support::read_text(dir.file("state.db"));
    bytes[200] ^= 1;
    dir.write("state.db", bytes);
}

inline std::unique_ptr<State> open_state(const std::string& path, StateOptions options = {})
{
    options.path = path;
    auto opened = State::open(posix_disk, system_clock, options);
    if (!opened.has_value()) FAIL(opened.error().what);
    return std::move(*opened);
}

/// Blocks until the changes are durable.
inline Result<void> put(State& state, std::vector<Change> changes)
{
    std::promise<Result<void>> done;
    state.submit(std::move(changes),
                 [&](Result<void> result) { done.set_value(std::move(result)); });
    return done.get_future().get();
}

/// Waits for one answer: `wait<T>([&](auto done) { state.due_retries(..., done); })`.
template <class T, class Call>
Result<T> wait(Call call)
{
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    call([promise](Result<T> result) { promise->set_value(std::move(result)); });
    return future.get();
}

inline std::vector<RetryRow> due(State& state, const std::string& target, std::int64_t before,
                                 std::size_t limit = 1000)
{
    auto rows = wait<std::vector<RetryRow>>(
        [&](auto done) { state.due_retries(target, wall(before), limit, done); });
    if (!rows.has_value()) FAIL(rows.error().what);
    return *rows;
}

inline Needed needed(State& state, std::vector<NeededRange> ranges = {})
{
    auto answer = wait<Needed>([&](auto done) { state.needed(ranges, done); });
    if (!answer.has_value()) FAIL(answer.error().what);
    return *answer;
}

inline std::vector<DeadLetter> letters(State& state, const DeadLetterFilter& filter = {})
{
    auto page = wait<DeadLetterPage>([&](auto done) { state.dead_letters(filter, done); });
    if (!page.has_value()) FAIL(page.error().what);
    return page->letters;
}

inline std::pair<DeadLetter, std::vector<AttemptRecord>> letter(State& state, std::int64_t id)
{
    std::promise<std::pair<DeadLetter, std::vector<AttemptRecord>>> answer;
    state.dead_letter(id, [&](Result<DeadLetter> found, std::vector<AttemptRecord> attempts) {
        answer.set_value({found.has_value() ? *found : DeadLetter{}, std::move(attempts)});
    });
    return answer.get_future().get();
}

inline std::vector<LedgerRow> ledger(State& state)
{
    std::promise<std::vector<LedgerRow>> answer;
    state.ledger([&](Result<std::vector<LedgerRow>> rows, std::vector<EventTotals>) {
        answer.set_value(rows.has_value() ? *rows : std::vector<LedgerRow>{});
    });
    return answer.get_future().get();
}

inline const TargetPosition* position(const StateSnapshot& snapshot, const std::string& name)
{
    for (const TargetPosition& target : snapshot.targets)
        if (target.target == name) return &target;
    return nullptr;
}

inline const LedgerRow* row_of(const std::vector<LedgerRow>& rows, const std::string& rule,
                               const std::string& target)
{
    for (const LedgerRow& row : rows)
        if (row.rule == rule && row.target == target) return &row;
    return nullptr;
}

}  // namespace eventyard::router
