// router/io_threads.hpp — the I/O threads: each runs one io_context of its own.
//
// Connections and lanes live on one of them for life, so nothing on the event path is locked.
// Messages between threads are posted functions.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

namespace eventyard::router {

class IoThreads {
public:
    /// @param count  at least 1
    explicit IoThreads(std::uint32_t count)
    {
        for (std::uint32_t i = 0; i < count; ++i)
            contexts_.push_back(std::make_unique<boost::asio::io_context>(1));
        for (auto& context : contexts_) guards_.push_back(boost::asio::make_work_guard(*context));
    }
    IoThreads(const IoThreads&) = delete;
    IoThreads& operator=(const IoThreads&) = delete;
    ~IoThreads() { stop_now(); }

    void start()
    {
        for (std::size_t i = 0; i < contexts_.size(); ++i) {
            threads_.emplace_back([context = contexts_[i].get()] { context->run(); });
            pthread_setname_np(threads_.back().native_handle(), ("io-" + std::to_string(i)).c_str());
        }
    }
    /// Lets running work end, then joins.
    void finish()
    {
        guards_.clear();
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }
    /// Drops what has not run yet, then joins.
    void stop_now()
    {
        guards_.clear();
        for (auto& context : contexts_) context->stop();
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }
    [[nodiscard]] std::size_t size() const noexcept { return contexts_.size(); }
    [[nodiscard]] boost::asio::io_context& at(std::size_t i) noexcept { return *contexts_[i]; }

private:
    using Guard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
    std::vector<std::unique_ptr<boost::asio::io_context>> contexts_;
    std::vector<Guard> guards_;
    std::vector<std::thread> threads_;
};

}  // namespace eventyard::router
