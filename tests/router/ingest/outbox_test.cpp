#include "router/ingest/outbox.hpp"

#include <catch2/catch.hpp>

#include "tests/support/fake_journal.hpp"

using namespace eventyard;
using namespace eventyard::router;

namespace {

/// Notes how many units come at a time, and answers them at once, as a journal that refuses.
class CountingJournal final : public support::FakeJournal {
public:
    std::vector<std::size_t> calls;
    std::function<void()> on_answer;

    void submit_all(std::vector<CommitUnit>& units) override
    {
        calls.push_back(units.size());
        for (std::size_t answered = 0; on_answer && answered < units.size(); ++answered) on_answer();
    }
};

CommitUnit unit_of(std::size_t bytes)
{
    CommitUnit unit;
    unit.events.push_back(std::make_shared<StoredEvent>());
    unit.events.back()->event.body = std::string(bytes, 'x');
    return unit;
}

}  // namespace

TEST_CASE("what one turn of the thread accepts is submitted together, behind what is ready")
{
    boost::asio::io_context io;
    CountingJournal journal;
    const auto outbox = std::make_shared<Outbox>(journal, io.get_executor());
    for (int connection = 0; connection < 3; ++connection)
        boost::asio::post(io, [&] { outbox->submit(unit_of(100)); });
    io.run();
    CHECK(journal.calls == std::vector<std::size_t>{3});
    io.restart();
    boost::asio::post(io, [&] { outbox->submit(unit_of(100)); });
    io.run();
    CHECK(journal.calls == std::vector<std::size_t>{3, 1});
}

TEST_CASE("large units do not wait for the others of their turn")
{
    boost::asio::io_context io;
    CountingJournal journal;
    const auto outbox = std::make_shared<Outbox>(journal, io.get_executor());
    boost::asio::post(io, [&] {
        outbox->submit(unit_of(100));
        outbox->submit(unit_of(1U << 20));
        CHECK(journal.calls == std::vector<std::size_t>{2});
        for (int i = 0; i < 4; ++i) outbox->submit(unit_of(300U << 10));
        CHECK(journal.calls == std::vector<std::size_t>{2, 4});
        outbox->submit(unit_of(100));
    });
    io.run();
    CHECK(journal.calls == std::vector<std::size_t>{2, 4, 1});
}

TEST_CASE("who is answered while units are handed over may submit again")
{
    boost::asio::io_context io;
    CountingJournal journal;
    const auto outbox = std::make_shared<Outbox>(journal, io.get_executor());
    int again = 2;
    journal.on_answer = [&] {
        if (again-- > 0) outbox->submit(unit_of(100));
    };
    boost::asio::post(io, [&] { outbox->submit(unit_of(100)); });
    io.run();
    CHECK(journal.calls == std::vector<std::size_t>{1, 1, 1});
}
