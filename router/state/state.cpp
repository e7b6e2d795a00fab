// The state's thread.

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "router/state/desk.hpp"

namespace eventyard::router {
namespace {

/// Between two commits that were asked for: what gathers meanwhile shares one, and the journal has the disk to itself.
constexpr Duration hasten_gap = std::chrono::milliseconds{2};

class SqliteState final : public StateDesk {
public:
    SqliteState(Disk& disk, const Clock& clock, StateOptions options, OpenedStore opened)
        : StateDesk(disk, clock, std::move(options), std::move(opened))
    {
        thread_ = std::thread([this] { run(); });
        pthread_setname_np(thread_.native_handle(), "state");
    }
    SqliteState(const SqliteState&) = delete;
    SqliteState& operator=(const SqliteState&) = delete;
    ~SqliteState() override { stop(); }

    Result<void> bind_store(const Id& store) override;
    Result<std::vector<KnownEvent>> known_events() override;
    void stop() override;
    void hasten() override;

private:
    bool put(Item& item) override;
    void run();

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Item> inbox_;         // mutex_
    std::size_t inbox_changes_ = 0;  // mutex_
    bool urgent_ = false;            // mutex_: a request waits
    bool hasty_ = false;             // mutex_: see hasten()
    bool waiting_ = false;           // mutex_: the thread has nothing to do
    bool stopping_ = false;          // mutex_

    std::mutex stop_mutex_;
    std::thread thread_;
};

bool SqliteState::put(Item& item)
{
    bool notify = true;
    {
        const std::lock_guard lock{mutex_};
        if (stopping_) return false;
        if (const auto* submission = std::get_if<Submission>(&item)) {
            inbox_changes_ += submission->changes.size();
            notify = waiting_ || inbox_changes_ >= batch_max();
            waiting_ = false;
        } else {
            urgent_ = true;
        }
        inbox_.push_back(std::move(item));
    }
    if (notify) wake_.notify_one();
    return true;
}

void SqliteState::run()
{
    std::deque<Item> items;
    bool hasty = false;
    SteadyTime hastened{};
    for (;;) {
        bool waited = false;
        hasty = hasty && busy() && !failing();
        {
            std::unique_lock lock{mutex_};
            const auto ready = [&] {
                return stopping_ || urgent_ || (!busy() && !inbox_.empty()) ||
                       (!failing() && inbox_changes_ >= batch_max());
            };
            waiting_ = !busy() && inbox_.empty();
            const Duration gap = hastened + hasten_gap - clock().steady();
            waited = !wake_.wait_for(lock, hasty ? std::clamp(gap, Duration{0}, wait_time()) : wait_time(), ready);
            waiting_ = false;
            items.swap(inbox_);
            inbox_changes_ = 0;
            urgent_ = false;
            hasty = std::exchange(hasty_, false) || hasty;
            if (stopping_) break;
        }
        if (hasty && !busy() && items.empty()) continue;  // somebody else's has been it
        if (hasty && !failing() && clock().steady() - hastened >= hasten_gap) {
            waited = true;
            hasty = false;
            hastened = clock().steady();
        }
        turn(std::exchange(items, {}), waited);
    }
    close(std::move(items));
}

void SqliteState::hasten()
{
    {
        const std::lock_guard lock{mutex_};
        urgent_ = hasty_ = true;
    }
    wake_.notify_one();
}

void SqliteState::stop()
{
    const std::lock_guard once{stop_mutex_};
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

Result<std::vector<KnownEvent>> SqliteState::known_events()
{
    std::promise<Result<std::vector<KnownEvent>>> answer;
    push(Request{Request::Needs::durable, [&](const Error* refused) {
                     answer.set_value(refused != nullptr ? Result<std::vector<KnownEvent>>{*refused} : read_known());
                 }});
    return answer.get_future().get();
}

Result<void> SqliteState::bind_store(const Id& store)
{
    std::promise<Result<void>> answer;
    push(Request{Request::Needs::durable, [&](const Error* refused) {
                     answer.set_value(refused != nullptr ? Result<void>{*refused} : bind(store));
                 }});
    return answer.get_future().get();
}

}  // namespace

Result<std::unique_ptr<State>> State::open(Disk& disk, const Clock& clock, StateOptions options)
{
    EVENTYARD_TRY(opened, open_or_salvage(disk, options.path, clock.wall()));
    log_report(opened.report);
    return std::unique_ptr<State>(std::make_unique<SqliteState>(disk, clock, std::move(options), std::move(opened)));
}

}  // namespace eventyard::router
