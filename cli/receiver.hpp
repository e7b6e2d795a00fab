// cli/receiver.hpp — the trial receiver: an HTTP server that takes any request and answers by a plan.
//
//     Receiver receiver{{.listen = "127.0.0.1:0"}, clock};
//     EVENTYARD_CHECK(receiver.start());
//     ... receiver.url() ... receiver.book().summary() ...
//
// Runs on threads of its own; start() and stop() are called from one thread. It answers, besides
// everything else, GET /_summary, GET /_ids and GET /_accepted (JSON, not counted as requests) and
// PUT /_respond with a script ("500x3,200") or "hang" as its body, which takes the plan's place.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cli/receiver_book.hpp"
#include "core/result.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"

namespace eventyard::cli {

/// One request as it came, after its answer was decided.
struct Received {
    WallTime time;
    std::string method;
    std::string path;
    std::string webhook_id;    // empty: none
    std::string content_type;  // empty: none
    std::uint64_t size = 0;    // bytes of the body
    std::string first_bytes;   // at most 120
    Decision decision;
    Signature signature = Signature::unchecked;
};

struct ReceiverOptions {
    std::string listen = "127.0.0.1:9000";
    std::uint32_t threads = 1;
    AnswerPlan plan;
    Duration delay{0};             // before each answer
    Duration retry_after{0};       // sent as Retry-After with 429 and 503; zero: not sent
    Secret secret;                 // empty: signatures are not looked at
    std::size_t ids_max = 1'000'000;
    std::uint64_t body_max = 64U << 20;
    std::uint64_t until = 0;       // on_until is called once this many were dealt with; 0: never
    std::function<void()> on_until;                  // from a receiver's thread
    std::function<void(const Received&)> on_request; // from the receiver's threads, at once
};

class Receiver {
public:
    /// @param clock  must outlive this
    Receiver(ReceiverOptions options, const Clock& clock);
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;
    ~Receiver();

    /// Opens the port and starts the threads.
    Result<void> start();
    /// Closes everything at once and joins the threads.
    void stop();

    [[nodiscard]] std::uint16_t port() const noexcept;
    /// http://ADDRESS:PORT
    [[nodiscard]] std::string url() const;
    [[nodiscard]] const ReceiverBook& book() const noexcept;

private:
    struct Server;
    std::unique_ptr<Server> server_;
};

}  // namespace eventyard::cli
