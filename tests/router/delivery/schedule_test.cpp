// The schedule of retries against a plain map of rows.
#include <catch2/catch.hpp>

#include "router/delivery/schedule.hpp"
#include "tests/support/fake_state.hpp"

using namespace eventyard;
using namespace eventyard::router;
using namespace eventyard::router::testing;
using namespace std::chrono_literals;

namespace {

RetryRow row(Sequence sequence, WallTime due, Duration delay)
{
    RetryRow made;
    made.target.assign(1, 't');  // GCC 12 warns of an assigned literal here
    made.key = {sequence, 0};
    made.due = due;
    made.delay = delay;
    made.attempts = 1;
    return made;
}

const SteadyTime s0{100h};
const WallTime w0{400'000h};

}  // namespace

TEST_CASE("retries come due in order of time, not of arrival")
{
    Schedule schedule{16, 0};
    schedule.add(row(1, w0 + 30s, 30s), s0 + 30s);
    schedule.add(row(2, w0 + 10s, 10s), s0 + 10s);
    schedule.add(row(3, w0 + 20s, 20s), s0 + 20s);
    CHECK(schedule.next_due() == s0 + 10s);
    CHECK(!schedule.take(s0 + 9s));
    CHECK(schedule.take(s0 + 60s)->key.sequence == 2);
    CHECK(schedule.take(s0 + 60s)->key.sequence == 3);
    CHECK(schedule.waiting() == 1);
    CHECK(!schedule.want_read());
}

TEST_CASE("what does not fit stays in the state and is read when few are left")
{
    StateModel state;
    Schedule schedule{4, 0};
    for (Sequence i = 1; i <= 12; ++i) {
        const RetryRow one = row(i, w0 + std::chrono::seconds{13 - i}, 60s);  // the latest added is due first
        state.apply(Retrying{one, {}});
        schedule.add(one, s0 + std::chrono::seconds{13 - i});
        CHECK(schedule.held() <= 4);
    }
    CHECK(schedule.waiting() == 12);
    std::vector<Sequence> order;
    for (SteadyTime now = s0; order.size() < 12; now += 1s) {
        while (const auto due = schedule.take(now)) {
            order.push_back(due->key.sequence);
            state.apply(Ended{"t", due->key, "", Ending::delivered, std::nullopt, std::nullopt});
            schedule.ended(due->key);
        }
        if (const auto read = schedule.want_read())
            schedule.took(state.next("t", read->after_due, read->after_key, read->limit), now, w0 + (now - s0));
        REQUIRE(now < s0 + 100s);
    }
    for (std::size_t i = 0; i < order.size(); ++i) CHECK(order[i] == 12 - i);
}

TEST_CASE("a retry that ends while the state is read does not come back with the answer")
{
    StateModel state;
    Schedule schedule{4, 0};
    const auto add = [&](Sequence sequence, std::chrono::seconds due) {
        const RetryRow one = row(sequence, w0 + due, 60s);
        state.apply(Retrying{one, {}});
        schedule.add(one, s0 + due);
    };
    for (Sequence i = 1; i <= 4; ++i) add(i, 10s * i);
    const auto flying = schedule.take(s0 + 10s);
    REQUIRE(flying->key.sequence == 1);
    for (Sequence i = 5; i <= 8; ++i) add(i, std::chrono::seconds{i});  // due earlier: 2, 3 and 4 are left to the state
    for (const Sequence expected : {5U, 6U}) {
        const auto due = schedule.take(s0 + 10s);
        REQUIRE(due->key.sequence == expected);
        state.apply(Ended{"t", due->key, "", Ending::delivered, std::nullopt, std::nullopt});
        schedule.ended(due->key);
    }
    const auto read = schedule.want_read();
    REQUIRE(read);
    const auto rows = state.next("t", read->after_due, read->after_key, read->limit);
    REQUIRE(rows.front().key.sequence == 1);  // it lies beyond what is held here
    schedule.ended(flying->key);
    schedule.took(rows, s0 + 10s, w0 + 10s);
    std::set<Sequence> left;
    while (const auto due = schedule.take(s0 + 1000s)) left.insert(due->key.sequence);
    CHECK(left == std::set<Sequence>{2, 7, 8});
    CHECK(schedule.waiting() == 2);
}

TEST_CASE("what is expected and does not come leaves alone what is there already")
{
    Schedule schedule{4, 10};
    const auto first = schedule.want_read();
    REQUIRE(first);
    schedule.expect({3, 0});  // a row that waits in the state since an earlier move
    schedule.expect({99, 0});
    CHECK(!schedule.want_read());
    std::vector<RetryRow> page;
    for (Sequence n = 1; n <= 4; ++n) page.push_back(row(n, w0 + 1s, 1s));
    schedule.took(page, s0, w0);  // of before: it might hold what comes, or not
    CHECK(schedule.held() == 0);
    CHECK(!schedule.want_read());
    schedule.unexpect({3, 0});
    schedule.add(row(99, w0, 0s), s0);
    const auto again = schedule.want_read();
    REQUIRE(again);
    CHECK(again->after_due == first->after_due);
    page.insert(page.begin(), row(99, w0, 0s));
    page.resize(again->limit);
    schedule.took(page, s0, w0);
    CHECK(schedule.waiting() == 11);
    std::set<Sequence> due;
    while (const auto one = schedule.take(s0 + 1min)) due.insert(one->key.sequence);
    CHECK(due.contains(3));
}

TEST_CASE("a start reads the rows of the state and clamps their waits")
{
    Schedule schedule{4, 3};
    CHECK(schedule.waiting() == 3);
    const auto read = schedule.want_read();
    REQUIRE(read);
    CHECK(read->after_due == WallTime::min());  // a wrong clock may date rows before 1970
    CHECK(!schedule.want_read());
    schedule.took({row(7, w0 - 5h, 10s), row(8, w0 + 2s, 10s), row(9, w0 + 5h, 10s)}, s0, w0);
    CHECK(schedule.waiting() == 3);
    CHECK(schedule.take(s0)->key.sequence == 7);
    CHECK(!schedule.take(s0 + 1s));
    CHECK(schedule.take(s0 + 2s)->key.sequence == 8);
    CHECK(!schedule.take(s0 + 9s));
    CHECK(schedule.take(s0 + 10s)->key.sequence == 9);
}

TEST_CASE("a failed read is asked again and forgets nothing")
{
    Schedule schedule{4, 2};
    REQUIRE(schedule.want_read());
    schedule.add(row(9, w0 + 1h, 1h), s0 + 1h);
    schedule.read_failed();
    CHECK(schedule.waiting() == 3);
    const auto read = schedule.want_read();
    REQUIRE(read);
    schedule.took({row(1, w0, 1s), row(2, w0, 1s), row(9, w0 + 1h, 1h)}, s0, w0);
    CHECK(schedule.waiting() == 3);
    CHECK(!schedule.want_read());
}

TEST_CASE("what is put back waits with its row as it was")
{
    Schedule schedule{4, 0};
    schedule.add(row(1, w0, 0s), s0);
    RetryRow taken = *schedule.take(s0);
    CHECK(schedule.waiting() == 0);
    schedule.put_back(taken, s0 + 1s);
    CHECK(schedule.waiting() == 1);
    CHECK(!schedule.take(s0));
    CHECK(schedule.take(s0 + 1s)->attempts == 1);
}

TEST_CASE("an operator's hurry reaches the rows that are still in the state, once")
{
    StateModel state;
    Schedule schedule{2, 0};
    for (Sequence i = 1; i <= 6; ++i) {
        const RetryRow one = row(i, w0 + 1h * static_cast<int>(i), 1h * static_cast<int>(i));
        state.apply(Retrying{one, {}});
        schedule.add(one, s0 + 1h * static_cast<int>(i));
    }
    schedule.hurry(s0, w0 + 1s);
    std::size_t taken = 0;
    for (int i = 0; i < 20; ++i) {
        while (const auto due = schedule.take(s0)) {
            ++taken;
            // fails again: not hurried twice
            RetryRow again = *due;
            again.due = w0 + 10h;
            again.delay = 9h;
            state.apply(Retrying{again, {}});
            schedule.add(again, s0 + 10h);
        }
        if (const auto read = schedule.want_read())
            schedule.took(state.next("t", read->after_due, read->after_key, read->limit), s0, w0 + 2s);
    }
    CHECK(taken == 6);
    CHECK(schedule.waiting() == 6);
}

TEST_CASE("the schedule agrees with the rows whatever the order of events", "[model]")
{
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        SeededRandom random{seed};
        StateModel state;
        const std::size_t capacity = 2 + random.next() % 6;
        Sequence next = 1;
        for (std::uint64_t i = random.next() % 12; i > 0; --i)
            state.apply(Retrying{row(next++, w0 + std::chrono::seconds(random.next() % 50), 50s), {}});
        Schedule schedule{capacity, next - 1};
        SteadyTime now = s0;
        const auto wall = [&] { return w0 + (now - s0); };
        std::map<DeliveryKey, RetryRow> flying;
        std::optional<std::pair<Schedule::Read, std::vector<RetryRow>>> reading;
        const auto step = [&](bool grow) {
            switch (random.next() % 7) {
                case 0:
                    if (!grow) break;
                    {
                        const Duration delay = std::chrono::milliseconds(random.next() % 30'000);
                        const RetryRow one = row(next++, wall() + delay, delay);
                        state.apply(Retrying{one, {}});
                        schedule.add(one, now + delay);
                    }
                    break;
                case 1: now += std::chrono::milliseconds(random.next() % 4000); break;
                case 2:
                    if (flying.size() < 4)
                        if (auto due = schedule.take(now)) {
                            REQUIRE(state.retries.count({"t", due->key}) == 1);
                            REQUIRE(flying.emplace(due->key, *due).second);
                        }
                    break;
                case 3:
                    if (!flying.empty()) {
                        auto [key, one] = *flying.begin();
                        flying.erase(flying.begin());
                        const auto what = random.next() % (grow ? 3 : 1);
                        if (what == 0) {
                            state.apply(Ended{"t", key, "", Ending::delivered, std::nullopt, std::nullopt});
                            schedule.ended(key);
                        } else if (what == 1) {
                            one.delay = std::chrono::milliseconds(random.next() % 30'000);
                            one.due = wall() + one.delay;
                            state.apply(Retrying{one, {}});
                            schedule.add(one, now + one.delay);
                        } else {
                            schedule.put_back(one, now + 1s);
                        }
                    }
                    break;
                case 4:
                    if (!reading)
                        if (const auto read = schedule.want_read())
                            reading = {*read, state.next("t", read->after_due, read->after_key, read->limit)};
                    break;
                case 5:
                    if (reading) {
                        if (grow && random.next() % 5 == 0) schedule.read_failed();
                        else schedule.took(std::move(reading->second), now, wall());
                        reading.reset();
                    }
                    break;
                default: break;
            }
            REQUIRE(schedule.held() <= 2 * capacity + 5);
        };
        for (int i = 0; i < 400; ++i) step(true);
        int rounds = 0;
        while (!state.retries.empty()) {
            REQUIRE(++rounds < 20'000);
            step(false);
        }
        CHECK(schedule.waiting() == 0);
        CHECK(state.complaints.empty());
    }
}

TEST_CASE("a retry that a wrong clock dated before 1970 is read like any other")
{
    Schedule schedule{4, 1};
    const auto read = schedule.want_read();
    REQUIRE(read);
    CHECK(read->after_due == WallTime::min());
}
