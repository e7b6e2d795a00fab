// router/ingest/connection.hpp — one HTTP connection, as a machine over a non-blocking socket.
//
// advance() reads, parses, decides and writes as far as it can without waiting, then says what to
// wait for; the coroutine in shard.cpp waits and calls again. So an idle connection holds no
// buffer: bytes are read into one buffer of the thread, and only what is left of an incomplete or
// pipelined request is kept in `carry_`. What is kept over a wait is counted against the budget of
// all connections (limits.buffers). Lives on one I/O thread.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/ingest/buffer_budget.hpp"
#include "router/ingest/counters.hpp"
#include "router/ingest/destination.hpp"
#include "router/ingest/http_parser.hpp"
#include "router/ingest/intake.hpp"

namespace eventyard::router {

using IngestSocket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

/// What the connections of one I/O thread share.
struct ConnectionHost {
    ConnectionHost(std::function<RouteTablePtr()> tables, const Clock& machine_clock, Random& random,
                   std::shared_ptr<BufferBudget> budget)
        : table(std::move(tables)), clock(machine_clock), desk(random, machine_clock), buffers(std::move(budget)),
          buffer(64U << 10) {}
    std::function<RouteTablePtr()> table;
    const Clock& clock;
    IntakeDesk desk;
    IngestCounters counters;
    std::shared_ptr<BufferBudget> buffers;  // of the connections of all threads
    std::vector<char> buffer;   // what one read can take
    SteadyTime now{};           // as of the last sweep or wake-up; coarse
    std::string date;           // value of the Date header, renewed by the sweep
    bool stopping = false;
};

class Connection {
public:
    enum class Next : std::uint8_t {
        readable,  // wait until the socket can be read
        writable,  // wait until it can be written
        commit,    // submit take_unit(), then call committed()
        yield,     // let other connections run, then go on
        close,     // done; destroy
    };

    Connection(ConnectionHost& host, IngestSocket socket);

    [[nodiscard]] Next advance();
    [[nodiscard]] CommitUnit take_unit();
    void committed(const Result<CommitResult>& result);

    /// Answers 503 instead of reading anything: limits.connections is reached.
    void refuse_connection(std::uint64_t limit);

    /// Called by the sweep: whether a wait should be cancelled because its time is up.
    [[nodiscard]] bool expire();
    /// Cancels when idle; a request in flight is answered, then the connection closed.
    void stop();
    /// Ends it at the next wake-up whatever it does, unless it waits for the journal.
    void cut_off();
    [[nodiscard]] IngestSocket& socket() noexcept { return socket_; }

private:
    enum class State : std::uint8_t { receiving, sending, committing, lingering };

    // What to wait for; nothing: the state has changed.
    std::optional<Next> receive();
    std::optional<Next> send();
    Next linger();
    /// Parses `input`, removing what it used. True when there is something to send or commit.
    bool parse(std::string_view& input);
    bool skip_empty_lines(std::string_view& input);
    void on_head(bool body_has_come);
    bool check_head(Refusal& refusal);
    [[nodiscard]] bool sound_framing() const;
    void on_request();
    void on_protocol_error(const boost::beast::error_code& ec, std::string_view input);
    void respond(const Answer& answer, bool close);
    void respond_options();
    void start_response(unsigned status, bool close);
    void finish_response(std::string_view body);
    void next_request();
    void refuse_timeout();
    /// Before a wait: counts what is held against limits.buffers. False when that is used up.
    [[nodiscard]] bool hold();
    void refuse_unfinished();
    void refuse_commit();

    ConnectionHost& host_;
    IngestSocket socket_;
    State state_ = State::receiving;
    SteadyTime deadline_{};
    bool expired_ = false;
    bool cut_off_ = false;
    bool stopping_ = false;
    bool took_all_ = false;  // the last read left nothing behind

    RouteTablePtr table_;   // of the request at hand
    RequestHead head_;
    std::string body_;
    std::optional<RequestParser> parser_;
    bool head_done_ = false;
    std::uint32_t empty_lines_ = 0;  // before the request to come
    std::optional<Refusal> refusal_;  // decided at the head; sent when the body has been read
    Destination destination_;
    BodyForm form_ = BodyForm::json;
    BodyHeaders body_headers_;
    std::optional<Intake> intake_;

    std::string carry_;     // bytes received and not yet parsed
    std::string out_;
    std::size_t sent_ = 0;
    bool interim_ = false;      // out_ is a 100 Continue: go on reading afterwards
    bool close_after_ = false;
    bool linger_after_ = false; // the peer may still be sending: read on for a while before closing
    std::size_t lingered_ = 0;
    BufferShare share_;
};

}  // namespace eventyard::router
