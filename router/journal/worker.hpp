// router/journal/worker.hpp — one thread that runs jobs in order, and a chore when there is nothing.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace eventyard::router {

class Worker {
public:
    /// @param chore  run every `interval` and after wake(); may be empty
    explicit Worker(std::function<void()> chore = {}, std::chrono::milliseconds interval = {})
        : chore_(std::move(chore)), interval_(interval), thread_([this] { run(); })
    {
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() { stop(); }

    /// False after stop(): the job will not run.
    bool post(std::function<void()> job)
    {
        {
            const std::lock_guard lock{mutex_};
            if (stopping_) return false;
            jobs_.push_back(std::move(job));
        }
        changed_.notify_one();
        return true;
    }
    void wake()
    {
        {
            const std::lock_guard lock{mutex_};
            woken_ = true;
        }
        changed_.notify_one();
    }
    /// Runs what was posted, then joins. Not from a job.
    void stop()
    {
        {
            const std::lock_guard lock{mutex_};
            stopping_ = true;
        }
        changed_.notify_one();
        if (thread_.joinable()) thread_.join();
    }

private:
    void run()
    {
        std::unique_lock lock{mutex_};
        for (;;) {
            const auto ready = [this] { return stopping_ || woken_ || !jobs_.empty(); };
            const bool awake = chore_ ? changed_.wait_for(lock, interval_, ready)
                                      : (changed_.wait(lock, ready), true);
            while (!jobs_.empty()) {
                const std::function<void()> job = std::move(jobs_.front());
                jobs_.pop_front();
                lock.unlock();
                job();
                lock.lock();
            }
            if (chore_ && (woken_ || !awake)) {
                woken_ = false;
                lock.unlock();
                chore_();
                lock.lock();
            }
            if (stopping_ && jobs_.empty()) return;
        }
    }

    std::function<void()> chore_;
    std::chrono::milliseconds interval_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> jobs_;
    bool stopping_ = false;
    bool woken_ = false;
    std::thread thread_;  // last: runs with everything above in place
};

}  // namespace eventyard::router
