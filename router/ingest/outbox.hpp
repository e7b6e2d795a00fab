// router/ingest/outbox.hpp — hands what one turn of an I/O thread accepted to the journal at once.
//
// Connections that are readable together become units one after the other. Given singly, the first would wake the
// journal, which would sync it alone while the others wait for the next sync. What is gathered here goes with the
// handler that runs after those that are ready now: on a thread with nothing else to do, that is at once. Large units do
// not wait, as a sync is little beside them: what is held here counts against no limit.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "router/journal/journal.hpp"

namespace eventyard::router {

/// Lives on one I/O thread.
class Outbox : public std::enable_shared_from_this<Outbox> {
public:
    using Executor = boost::asio::io_context::executor_type;

    /// @param journal  outlives what the executor still runs
    Outbox(Journal& journal, Executor executor) : journal_(journal), executor_(std::move(executor)) {}

    void submit(CommitUnit unit)
    {
        for (const auto& event : unit.events) bytes_ += event->event.body.size();
        units_.push_back(std::move(unit));
        if (bytes_ >= bytes_max) return hand_over();
        if (units_.size() == 1) boost::asio::post(executor_, [self = shared_from_this()] { self->hand_over(); });
    }

private:
    void hand_over()
    {
        bytes_ = 0;
        if (std::vector<CommitUnit> units = std::exchange(units_, {}); !units.empty()) journal_.submit_all(units);
    }

    static constexpr std::size_t bytes_max = 1U << 20;  // of bodies

    Journal& journal_;
    Executor executor_;
    std::vector<CommitUnit> units_;
    std::size_t bytes_ = 0;  // of their bodies
};

}  // namespace eventyard::router
