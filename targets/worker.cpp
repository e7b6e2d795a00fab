#include "targets/worker.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "core/units.hpp"

namespace eventyard::targets {
namespace asio = boost::asio;
namespace {

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

using Outcomes = std::vector<Outcome>;

Outcomes failed(Cause cause, std::string detail)
{
    Outcomes outcomes(1);
    outcomes.front().verdict = Verdict::retry;
    outcomes.front().cause = cause;
    outcomes.front().detail = std::move(detail);
    return outcomes;
}

/// Joins the threads of closed workers without making an I/O thread wait: a worker whose call never
/// returns would take it along. At the end of the process they get two more seconds.
class ThreadKeeper {
public:
    static ThreadKeeper& instance()
    {
        static ThreadKeeper keeper;
        return keeper;
    }
    struct Ended {
        std::mutex mutex;
        std::condition_variable changed;
        bool value = false;
        void set()
        {
            const std::lock_guard lock{mutex};
            value = true;
            changed.notify_all();
        }
        bool wait(std::chrono::milliseconds limit)
        {
            std::unique_lock lock{mutex};
            return changed.wait_for(lock, limit, [this] { return value; });
        }
    };
    void keep(std::thread thread, std::shared_ptr<Ended> ended)
    {
        const std::lock_guard lock{mutex_};
        std::erase_if(kept_, [](Kept& kept) {
            if (!kept.ended->wait(std::chrono::milliseconds{0})) return false;
            kept.thread.join();
            return true;
        });
        kept_.push_back({std::move(thread), std::move(ended)});
    }
    ~ThreadKeeper()
    {
        std::chrono::milliseconds patience{2000};
        for (Kept& kept : kept_) {
            if (kept.ended->wait(patience)) {
                kept.thread.join();
            } else {
                patience = std::chrono::milliseconds{0};
                kept.thread.detach();
            }
        }
    }
    ThreadKeeper(const ThreadKeeper&) = delete;
    ThreadKeeper& operator=(const ThreadKeeper&) = delete;

private:
    ThreadKeeper() = default;
    struct Kept {
        std::thread thread;
        std::shared_ptr<Ended> ended;
    };
    std::mutex mutex_;
    std::vector<Kept> kept_;
};

}  // namespace

/// What waits on the I/O thread.
struct Worker::Pending {
    struct Ticket {
        Timer timer;
        std::optional<Outcomes> outcomes;
    };
    std::map<std::uint64_t, Ticket*> tickets;
    bool closed = false;
};

struct Worker::Shared {
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::shared_ptr<WorkerJob>> queue;
    std::size_t bytes = 0;
    bool closed = false;
    // Used only under the mutex while not closed: both may be gone afterwards.
    asio::io_context* io = nullptr;
    const Clock* clock = nullptr;
    std::weak_ptr<Pending> pending;

    std::shared_ptr<WorkerTask> task;
    std::thread thread;
    std::shared_ptr<ThreadKeeper::Ended> ended = std::make_shared<ThreadKeeper::Ended>();
};

Worker::Worker(asio::io_context& io, const Clock& clock, std::shared_ptr<WorkerTask> task)
    : io_(io), shared_(std::make_shared<Shared>()), pending_(std::make_shared<Pending>())
{
    ThreadKeeper::instance();  // made before any worker's thread, so it outlives them
    shared_->io = &io;
    shared_->clock = &clock;
    shared_->pending = pending_;
    shared_->task = std::move(task);
    shared_->thread = std::thread{[shared = shared_] {
        work(shared);
        shared->ended->set();
    }};
    pthread_setname_np(shared_->thread.native_handle(), "target-worker");
}

Worker::~Worker() { close(); }

void Worker::close()
{
    if (pending_->closed) return;
    pending_->closed = true;
    std::thread thread;
    {
        const std::lock_guard lock{shared_->mutex};
        shared_->closed = true;
        shared_->queue.clear();
        shared_->bytes = 0;
        thread = std::move(shared_->thread);
    }
    shared_->changed.notify_all();
    shared_->task->interrupt();
    for (auto& [id, ticket] : pending_->tickets) ticket->timer.cancel();
    ThreadKeeper::instance().keep(std::move(thread), shared_->ended);
}

std::size_t Worker::queued() const
{
    const std::lock_guard lock{shared_->mutex};
    return shared_->queue.size();
}

Task<std::vector<Outcome>> Worker::submit(std::shared_ptr<WorkerJob> job, Duration timeout,
                                          std::string waiting_for)
{
    if (pending_->closed) co_return failed(Cause::internal, "the target is closed");
    const auto shared = shared_;
    const auto pending = pending_;
    const std::uint64_t id = next_id_++;
    job->id = id;
    const std::size_t size = job->bytes;
    {
        const std::lock_guard lock{shared->mutex};
        if (shared->queue.size() >= queue_max ||
            (shared->bytes + size > queue_bytes && !shared->queue.empty()))
            co_return failed(Cause::timeout, "too much is waiting already " + waiting_for);
        shared->bytes += size;
        shared->queue.push_back(std::move(job));
    }
    shared->changed.notify_one();

    Pending::Ticket ticket{Timer{io_.get_executor()}, {}};
    pending->tickets[id] = &ticket;
    ticket.timer.expires_after(timeout);
    constexpr auto use_task = asio::as_tuple(asio::use_awaitable_t<Executor>{});
    co_await ticket.timer.async_wait(use_task);
    pending->tickets.erase(id);
    if (ticket.outcomes) co_return std::move(*ticket.outcomes);
    {
        const std::lock_guard lock{shared->mutex};
        const auto found = std::find_if(shared->queue.begin(), shared->queue.end(),
                                        [id](const auto& queued) { return queued->id == id; });
        if (found != shared->queue.end()) {
            shared->bytes -= size;
            shared->queue.erase(found);
        }
    }
    if (pending->closed)
        co_return failed(Cause::internal, "the target was closed while " + waiting_for);
    co_return failed(Cause::timeout, "timeout after " + format_duration(timeout) + " " + waiting_for);
}

void Worker::work(const std::shared_ptr<Shared>& shared)
{
    // Signals are the main thread's business; and a client that writes to a closed socket must get
    // an error, not SIGPIPE.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);

    WorkerTask& task = *shared->task;
    bool more = true;
    while (true) {
        WorkerJobs batch;
        WallTime now{};
        {
            std::unique_lock lock{shared->mutex};
            if (!more)
                shared->changed.wait(lock, [&] { return shared->closed || !shared->queue.empty(); });
            if (shared->closed) break;
            std::size_t bytes = 0;
            while (!shared->queue.empty() && batch.size() < batch_max && bytes < batch_bytes) {
                bytes += shared->queue.front()->bytes;
                batch.push_back(std::move(shared->queue.front()));
                shared->queue.pop_front();
            }
            shared->bytes -= bytes;
            now = shared->clock->wall();
        }
        if (!batch.empty()) {
            std::vector<Outcomes> outcomes;
            try {
                outcomes = task.run(batch, now);
            } catch (const std::exception& error) {
                outcomes.clear();
                outcomes.resize(batch.size(),
                                failed(Cause::internal, std::string("internal: ") + error.what()));
            }
            std::vector<std::pair<std::uint64_t, Outcomes>> results;
            results.reserve(batch.size());
            for (std::size_t i = 0; i < batch.size(); ++i)
                results.emplace_back(batch[i]->id, std::move(outcomes[i]));
            const std::lock_guard lock{shared->mutex};
            if (shared->closed) break;
            asio::post(*shared->io, [weak = shared->pending, results = std::move(results)]() mutable {
                const auto pending = weak.lock();
                if (!pending) return;
                for (auto& [id, answer] : results) {
                    const auto found = pending->tickets.find(id);
                    if (found == pending->tickets.end()) continue;  // timed out before
                    found->second->outcomes = std::move(answer);
                    found->second->timer.cancel();
                }
            });
        }
        more = task.step();
    }
    task.finish();
}

}  // namespace eventyard::targets
