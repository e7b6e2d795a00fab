// cli/sender.hpp — posts batches of events over a few connections and adds up the answers.
//
// Each connection has a thread with a queue in front, so push() blocks while all are busy. What the
// daemon cannot take now (429, 503, no connection) is tried again after a growing wait or its
// Retry-After; a batch too large for it is halved.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/event_reader.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

namespace eventyard::cli {

struct SenderOptions {
    std::string host, port;
    std::string path = "/v1/events";
    std::uint32_t connections = 4;
    std::uint32_t retries = 10;            // of one batch
    Duration wait_first = std::chrono::milliseconds{200};
    Duration wait_max = std::chrono::seconds{10};
    Duration retry_after_max = std::chrono::seconds{60};
    Duration timeout = std::chrono::seconds{60};  // of one request
};

using Batch = std::vector<InputEvent>;

/// Refusals of one kind: how many, and where the first stood.
struct Refusal {
    std::uint64_t count = 0;
    std::string first_place;
};

struct SendTotals {
    std::uint64_t accepted = 0;
    std::uint64_t duplicates = 0;  // of the accepted, those the daemon knew already
    std::uint64_t unmatched = 0;   // of the accepted, those no rule matched
    std::uint64_t refused = 0;
    std::uint64_t unsent = 0;      // given up after all retries: outcome unknown
    std::uint64_t requests = 0;
    std::uint64_t retries = 0;
    std::uint64_t bytes = 0;       // of events answered
    std::map<std::string, Refusal> refusals;  // by reason, the most common ones
    std::string gave_up;           // why sending stopped early; empty: it did not
};

/// What a response says about the batch it answers. Pure.
struct Verdicts {
    std::uint64_t accepted = 0, duplicates = 0, unmatched = 0;
    std::vector<std::pair<std::size_t, std::string>> refused;  // index in the batch, reason
    std::vector<std::size_t> again;                            // index in the batch: try later
};
Verdicts read_answer(unsigned status, const std::string& body, std::size_t events);

class Sender {
public:
    /// @param clock, random  must outlive this; used from several threads
    Sender(SenderOptions options, const Clock& clock, Random& random);
    Sender(const Sender&) = delete;
    Sender& operator=(const Sender&) = delete;
    /// Waits for what was pushed.
    ~Sender();

    /// False when sending stopped early; the batch is not sent then.
    bool push(Batch batch);
    /// Waits until everything pushed was answered or given up.
    void finish();
    [[nodiscard]] SendTotals totals() const;
    /// Counts an event that was not even sent.
    void refuse(const std::string& reason, const std::string& place);

private:
    class Connection;
    struct Answer {
        unsigned status = 0;
        std::string body;
        Duration retry_after{-1};
    };
    void work();
    void deliver(Connection& connection, Batch batch);
    bool settle(const Batch& batch, const Answer& answer, Batch& again);
    /// False when the sender stops meanwhile.
    bool pause(Duration wait);
    void give_up(const Batch& batch, const std::string& why);
    void count_refusal(const std::string& reason, const std::string& place);  // locked

    const SenderOptions options_;
    const Clock& clock_;
    Random& random_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Batch> queue_;
    bool finishing_ = false;
    SendTotals totals_;
    std::vector<std::thread> threads_;
};

}  // namespace eventyard::cli
