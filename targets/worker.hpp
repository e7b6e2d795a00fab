// targets/worker.hpp — a thread of its own for a target whose calls block.
//
// submit() waits on the I/O thread, without blocking it, for at most the attempt's timeout; the
// worker takes what has gathered as one batch. A call that never returns (a stalled disk, a stopped
// server) holds only the worker: attempts end with their timeouts, the queue is bounded, and close()
// ends everything that waits at once.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "targets/target.hpp"

namespace eventyard::targets {

/// What one request hands to the worker, of one delivery or many: owns all it needs, as the request may end before it.
struct WorkerJob {
    virtual ~WorkerJob() = default;
    std::uint64_t id = 0;   // given by the Worker
    std::size_t bytes = 0;  // it holds; counted against the queue's limit
};

using WorkerJobs = std::vector<std::shared_ptr<WorkerJob>>;

/// What the thread does. All but interrupt() is called on the worker's thread only.
class WorkerTask {
public:
    virtual ~WorkerTask() = default;
    /// For each job, in order, what submit() returns. `now` is the wall time at the start of the batch.
    virtual std::vector<std::vector<Outcome>> run(const WorkerJobs& jobs, WallTime now) = 0;
    /// A small piece of background work; true when there is more. Called once at start, after each
    /// batch, and as long as it says there is more and nothing is queued.
    virtual bool step() { return false; }
    /// The thread is about to end.
    virtual void finish() {}
    /// Called on the I/O thread when the target is closed: make a blocked run() return, if possible.
    virtual void interrupt() noexcept {}
};

class Worker {
public:
    static constexpr std::size_t queue_max = 4096;          // jobs
    static constexpr std::size_t queue_bytes = 64U << 20;
    static constexpr std::size_t batch_max = 512;           // jobs
    static constexpr std::size_t batch_bytes = 4U << 20;    // or a single job

    Worker(boost::asio::io_context& io, const Clock& clock, std::shared_ptr<WorkerTask> task);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// @param waiting_for  ends the sentence "timeout after 10s ..."
    /// @returns one outcome for each delivery of the job, in order; or a single one for all of them
    Task<std::vector<Outcome>> submit(std::shared_ptr<WorkerJob> job, Duration timeout, std::string waiting_for);
    void close();
    [[nodiscard]] std::size_t queued() const;

private:
    struct Shared;
    struct Pending;
    static void work(const std::shared_ptr<Shared>& shared);

    boost::asio::io_context& io_;
    std::shared_ptr<Shared> shared_;    // with the thread
    std::shared_ptr<Pending> pending_;  // the I/O thread's own
    std::uint64_t next_id_ = 1;
};

}  // namespace eventyard::targets
