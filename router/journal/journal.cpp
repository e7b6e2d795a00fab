// The journal's threads: the writer takes its turns on one, keeper and reader are workers.

#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "router/journal/desk.hpp"
#include "router/journal/worker.hpp"

namespace eventyard::router {
namespace {

class ThreadedJournal final : public JournalDesk {
public:
    ThreadedJournal(std::unique_ptr<Log> opened, const Clock& clock, JournalOptions options,
                    Sequence reserved)
        : JournalDesk(std::move(opened), clock, std::move(options), reserved),
          clock_(clock),
          keeper_([this] { chores(); }, std::chrono::seconds{1})
    {
        log().on_chores([this] { keeper_.wake(); });
        keeper_.wake();
        writer_ = std::thread{[this] { write(); }};
    }
    ~ThreadedJournal() override { stop(); }

    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally(
        Sequence after, Sequence through) override
    {
        return on_reader<Reader::Tally>([=](Reader& reader) { return reader.tally(after, through); });
    }
    Result<std::map<std::pair<std::string, std::string>, std::uint64_t>> tally_of(
        std::vector<DeliveryKey> keys) override
    {
        return on_reader<Reader::Tally>([&](Reader& reader) { return reader.tally_of(keys); });
    }
    Result<void> visit_events(Sequence after, Sequence through, const std::function<void(const StoredEvent&)>& visit) override
    {
        return on_reader<void>([&](Reader& reader) { return reader.visit_events(after, through, visit); });
    }
    Result<std::uint64_t> count_after(const std::string& target, DeliveryKey after) override
    {
        return on_reader<std::uint64_t>(
            [=](Reader& reader) { return reader.count_after(target, after); });
    }
    void stop() override;

private:
    template <class T, class Work>
    Result<T> on_reader(Work work);
    bool post_reader(Job job) override { return reader_.post(std::move(job)); }
    bool post_keeper(Job job) override { return keeper_.post(std::move(job)); }
    void wake_writer() override;
    void write();

    const Clock& clock_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool woken_ = false;  // mutex_
    Worker keeper_;
    Worker reader_;
    std::thread writer_;
};

template <class T, class Work>
Result<T> ThreadedJournal::on_reader(Work work)
{
    std::promise<Result<T>> answer;
    auto future = answer.get_future();
    const bool posted = reader_.post([&] { answer.set_value(work(log().reader())); });
    if (!posted) return fail(Errc::cancelled, "the journal is stopping");
    return future.get();
}

void ThreadedJournal::wake_writer()
{
    {
        const std::lock_guard lock{mutex_};
        if (std::exchange(woken_, true)) return;
    }
    changed_.notify_one();
}

void ThreadedJournal::write()
{
    for (;;) {
        {
            const std::lock_guard lock{mutex_};
            woken_ = false;
        }
        if (write_turn()) continue;
        if (stopping()) break;  // what is still queued waits for a reservation in vain
        std::unique_lock lock{mutex_};
        const auto woken = [this] { return woken_; };
        if (const auto at = write_at(); !at) {
            changed_.wait(lock, woken);
        } else if (!changed_.wait_for(lock, std::max(Duration{0}, *at - clock_.steady()), woken)) {
            lock.unlock();
            write_late();
        }
    }
    end_writing();
}

void ThreadedJournal::stop()
{
    if (!begin_stop()) return;
    if (writer_.joinable()) writer_.join();
    reader_.stop();
    keeper_.stop();
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(Disk& disk, const Clock& clock, Random& random,
                                               JournalOptions options, JournalMarks marks)
{
    EVENTYARD_TRY(log, Log::open(disk, clock, random, options, marks));
    const Sequence reserved = log->recovery().store_mismatch ? 0 : marks.reserved;
    return std::unique_ptr<Journal>(
        std::make_unique<ThreadedJournal>(std::move(log), clock, std::move(options), reserved));
}

}  // namespace eventyard::router
