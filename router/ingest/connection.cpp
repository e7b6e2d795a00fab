#include "router/ingest/connection.hpp"

#include <fmt/format.h>

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>

#include "core/units.hpp"

namespace eventyard::router {
namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr Duration linger_time = std::chrono::seconds{2};
constexpr std::size_t linger_bytes = 16U << 20;
constexpr std::size_t kept = 1U << 10;         // by each string of an idle connection
constexpr std::size_t not_counted = 4U << 10;  // by a connection: what is small always gets through

void give_back(std::string& text)
{
    if (text.capacity() > kept) std::string{}.swap(text);
    else text.clear();
}

std::uint64_t milliseconds(Duration value)
{
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(value).count());
}

bool same_word(std::string_view a, std::string_view lower)
{
    if (a.size() != lower.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if ((a[i] >= 'A' && a[i] <= 'Z' ? a[i] + ('a' - 'A') : a[i]) != lower[i]) return false;
    return true;
}

bool would_block(const boost::system::error_code& ec)
{
    return ec == asio::error::would_block || ec == asio::error::try_again || ec == asio::error::interrupted;
}

Refusal plain(unsigned status, const char* code, std::string message)
{
    Refusal refusal;
    refusal.status = status;
    refusal.code = code;
    refusal.message = std::move(message);
    return refusal;
}

Refusal buffers_full(std::uint64_t limit)
{
    Refusal refusal = plain(503, "buffers_full",
                            fmt::format("unfinished requests and waiting answers hold {}; nothing of this "
                                        "request was stored", format_size(limit)));
    refusal.config = "limits.buffers";
    refusal.limit = limit;
    refusal.retry_after = 1;
    return refusal;
}

}  // namespace

Connection::Connection(ConnectionHost& host, IngestSocket socket)
    : host_(host), socket_(std::move(socket)), table_(host.table()), share_(host.buffers)
{
    deadline_ = host_.now + table_->limits.idle;
    stopping_ = host_.stopping;
}

Connection::Next Connection::advance()
{
    // A peer that pipelines without end must not keep the thread to itself.
    for (int changes = 0; changes < 64; ++changes) {
        if (cut_off_ && state_ != State::committing) return Next::close;
        std::optional<Next> next;
        switch (state_) {
            case State::receiving: next = receive(); break;
            case State::sending: next = send(); break;
            case State::committing:
                if (hold()) return Next::commit;
                refuse_commit();
                break;
            case State::lingering: return linger();
        }
        if (next) return *next;
    }
    return Next::yield;
}

std::optional<Connection::Next> Connection::receive()
{
    if (expired_) {
        if (!parser_) return Next::close;  // idle for too long
        refuse_timeout();
        return std::nullopt;
    }
    if (!carry_.empty()) {  // pipelined behind the request before, or an incomplete head
        std::string held;
        held.swap(carry_);
        std::string_view input = held;
        const bool ready = parse(input);
        carry_.assign(input);
        if (ready) return std::nullopt;
    }
    for (;;) {
        if (stopping_ && !parser_) return Next::close;
        // After an answer most likely nothing has come; a wait also sees what did.
        if (!parser_ && carry_.empty() && std::exchange(took_all_, false)) return Next::readable;
        boost::system::error_code ec;
        const std::size_t got = socket_.read_some(asio::buffer(host_.buffer), ec);
        if (would_block(ec)) {
            if (!parser_ || hold()) return Next::readable;
            refuse_unfinished();
            return std::nullopt;
        }
        // The end inside a request: an incomplete request accepts nothing.
        if (ec || got == 0) return Next::close;
        took_all_ = got < host_.buffer.size();
        std::string_view input{host_.buffer.data(), got};
        bool ready = false;
        if (carry_.empty()) {
            ready = parse(input);
            carry_.assign(input);
        } else {
            carry_.append(input);
            input = carry_;
            ready = parse(input);
            carry_.erase(0, carry_.size() - input.size());
        }
        if (ready) return std::nullopt;
        // Heads are bounded by the parser; this bounds the lines between chunks.
        if (head_done_ && carry_.size() > host_.buffer.size()) {
            respond(answer(plain(400, "bad_request", "a chunk header is too long")), true);
            return std::nullopt;
        }
    }
}

bool Connection::parse(std::string_view& input)
{
    while (!input.empty()) {
        if (!parser_) {
            if (!skip_empty_lines(input)) return false;
            table_ = host_.table();
            deadline_ = host_.now + table_->limits.request;
            parser_.emplace(head_, body_, table_->limits.body);
            parser_->header_limit(static_cast<std::uint32_t>(table_->limits.headers));
            head_done_ = false;
        }
        boost::beast::error_code ec;
        const std::size_t used = parser_->put(asio::buffer(input.data(), input.size()), ec);
        input.remove_prefix(used);
        if (ec && ec != http::error::need_more) {
            on_protocol_error(ec, input);
            return true;
        }
        if (!head_done_ && parser_->is_header_done()) {
            head_done_ = true;
            parser_->eager(true);
            on_head(parser_->is_done() || !input.empty());
            if (state_ == State::sending) return true;
        }
        if (parser_->is_done()) {
            IngestCounters::add(host_.counters.body_bytes, body_.size());
            on_request();
            return true;
        }
        if (ec == http::error::need_more) return false;
    }
    return false;
}

/// Old clients send an empty line after a body. False when nothing else has come yet.
bool Connection::skip_empty_lines(std::string_view& input)
{
    constexpr std::uint32_t passed_over = 16;  // one after the other; then it is no HTTP
    while (empty_lines_ < passed_over && input.substr(0, 2) == "\r\n") {
        input.remove_prefix(2);
        ++empty_lines_;
    }
    if (input.empty() || input == "\r") return false;
    empty_lines_ = 0;
    return true;
}

void Connection::on_head(bool body_has_come)
{
    Refusal refusal;
    if (!check_head(refusal)) {
        refusal_ = std::move(refusal);
        parser_->discard_body();
    }
    if (head_.version < 11 || head_.expect.empty()) return;
    if (!same_word(head_.expect, "100-continue")) {
        respond(answer(plain(417, "expectation_failed", "only 'Expect: 100-continue' is known")), true);
    } else if (refusal_ && !parser_->is_done()) {
        respond(answer(*refusal_), true);  // spares the client the body
    } else if (!body_has_come) {
        out_ = "HTTP/1.1 100 Continue\r\n\r\n";
        sent_ = 0;
        interim_ = true;
        state_ = State::sending;
    }
}

/// False when somebody between the client and here may see the body end elsewhere.
bool Connection::sound_framing() const
{
    if (!head_.transfer_encoding) return true;
    return head_.version >= 11 && same_word(*head_.transfer_encoding, "chunked");
}

/// What can be said before the body has been read.
bool Connection::check_head(Refusal& refusal)
{
    const auto refuse = [&refusal](unsigned status, const char* code, std::string message) {
        refusal = plain(status, code, std::move(message));
        return false;
    };
    if (head_.version >= 11 && head_.hosts != 1)
        return refuse(400, "bad_request", "an HTTP/1.1 request has one Host header");
    if (!sound_framing()) {
        if (head_.version < 11) return refuse(400, "bad_request", "HTTP/1.0 has no Transfer-Encoding");
        return refuse(501, "unknown_transfer_encoding", "only 'Transfer-Encoding: chunked' is known");
    }
    if (head_.method == http::verb::options) {
        if (head_.target == "*") return true;
        return find_destination(head_.target, *table_, destination_, refusal);
    }
    if (!find_destination(head_.target, *table_, destination_, refusal)) return false;
    if (head_.method != http::verb::post)
        return refuse(405, "method_not_allowed", "events are sent with POST");
    if (head_.repeated_content_type)
        return refuse(400, "bad_request", "there is more than one Content-Type header");
    if (!head_.content_encoding.empty() && !same_word(head_.content_encoding, "identity"))
        return refuse(415, "unsupported_content_encoding",
                      "bodies are taken without Content-Encoding only");
    body_headers_.content_type.reset();
    if (head_.content_type) body_headers_.content_type = *head_.content_type;
    body_headers_.ce.clear();
    for (const auto& [name, value] : head_.ce) body_headers_.ce.push_back({name, value});
    const auto form = body_form(body_headers_, refusal);
    if (form) form_ = *form;
    return form.has_value();
}

void Connection::on_request()
{
    const bool close = !parser_->keep_alive();
    if (refusal_) {
        if (destination_.bus != nullptr && head_.method == http::verb::post)
            host_.counters.count_items(destination_.bus->name, {.refused = 1});
        return respond(answer(*refusal_), close || !sound_framing());
    }
    if (head_.method == http::verb::options) return respond_options();
    intake_ = host_.desk.take(*table_, *destination_.bus, form_, body_headers_, body_,
                              destination_.atomic, host_.clock.wall());
    give_back(body_);
    if (!intake_->events.empty()) {
        state_ = State::committing;
        return;
    }
    host_.counters.count_items(intake_->bus, tally(*intake_, nullptr));
    respond(answer(*intake_, nullptr), close);
}

CommitUnit Connection::take_unit()
{
    CommitUnit unit;
    unit.events = std::move(intake_->events);
    unit.durability = intake_->durability;
    return unit;
}

void Connection::committed(const Result<CommitResult>& result)
{
    host_.counters.count_items(intake_->bus, tally(*intake_, &result));
    respond(answer(*intake_, &result), !parser_->keep_alive());
}

/// @param input  what the parser did not take
void Connection::on_protocol_error(const boost::beast::error_code& ec, std::string_view input)
{
    Refusal refusal;
    if (ec == http::error::header_limit) {
        refusal = plain(431, "headers_too_large",
                        fmt::format("the request's head is larger than {}",
                                    format_size(table_->limits.headers)));
        refusal.config = "limits.headers";
        refusal.limit = table_->limits.headers;
    } else if (ec == http::error::body_limit) {
        refusal = plain(413, "body_too_large",
                        fmt::format("the request's body is larger than {}", format_size(table_->limits.body)));
        refusal.config = "limits.body";
        refusal.limit = table_->limits.body;
        if (Refusal other; destination_.bus != nullptr ||
                           find_destination(head_.target, *table_, destination_, other))
            host_.counters.count_items(destination_.bus->name, {.refused = 1});
    } else if (const auto line = input.substr(0, input.find('\n'));
               ec == http::error::bad_version && line.size() < input.size() && !line.ends_with('\r')) {
        refusal = plain(400, "bad_request", "a line of the head ends in LF alone; HTTP asks for CR LF");
    } else if (ec == http::error::bad_version) {
        refusal = plain(505, "http_version_not_supported", "HTTP/1.1 and HTTP/1.0 are spoken here");
    } else {
        refusal = plain(400, "bad_request", "the request is not HTTP: " + ec.message());
    }
    respond(answer(refusal), true);
}

void Connection::refuse_connection(std::uint64_t limit)
{
    Refusal refusal = plain(503, "too_many_connections", "too many connections are open");
    refusal.config = "limits.connections";
    refusal.limit = limit;
    refusal.retry_after = 1;
    IngestCounters::add(host_.counters.connections_refused);
    respond(answer(refusal), true);
}

void Connection::refuse_timeout()
{
    expired_ = false;
    Refusal refusal = plain(408, "request_timeout",
                            fmt::format("the request was not complete after {}",
                                        format_duration(table_->limits.request)));
    refusal.config = "limits.request";
    refusal.limit = milliseconds(table_->limits.request);
    respond(answer(refusal), true);
}

bool Connection::hold()
{
    std::size_t bytes = intake_ ? memory_of(*intake_) : 0;
    for (const std::string* text : {&carry_, &body_, &out_}) bytes += text->capacity();
    return share_.resize(bytes > not_counted ? bytes : 0, table_->limits.buffers);
}

void Connection::refuse_unfinished()
{
    if (destination_.bus != nullptr && head_.method == http::verb::post)
        host_.counters.count_items(destination_.bus->name, {.refused = 1});
    give_back(body_);
    give_back(carry_);
    respond(answer(buffers_full(table_->limits.buffers)), true);
}

void Connection::refuse_commit()
{
    host_.counters.count_items(intake_->bus, {.refused = intake_->items.size()});
    intake_.reset();
    respond(answer(buffers_full(table_->limits.buffers)), !parser_->keep_alive());
}

void Connection::respond(const Answer& answer, bool close)
{
    start_response(answer.status, close);
    if (answer.retry_after > 0)
        fmt::format_to(std::back_inserter(out_), "Retry-After: {}\r\n", answer.retry_after);
    if (answer.status == 405) out_ += "Allow: POST, OPTIONS\r\n";
    out_ += "Content-Type: application/json\r\n";
    finish_response(answer.body);
}

/// Also the handshake by which a CloudEvents sender asks whether it may send here.
void Connection::respond_options()
{
    const bool handshake = !head_.hook_origin.empty();
    start_response(handshake ? 200 : 204, !parser_->keep_alive());
    out_ += "Allow: POST, OPTIONS\r\n";
    if (handshake) {
        out_ += "WebHook-Allowed-Origin: " + head_.hook_origin + "\r\nWebHook-Allowed-Rate: ";
        const bool rate = !head_.hook_rate.empty() &&
                          head_.hook_rate.find_first_not_of("0123456789") == std::string::npos;
        out_ += rate ? head_.hook_rate : "*";
        out_ += "\r\n";
    }
    finish_response({});
}

void Connection::start_response(unsigned status, bool close)
{
    host_.counters.count_request(status);
    close_after_ = close || stopping_;
    linger_after_ = !parser_ || !parser_->is_done();
    share_.give_back();  // before the peer can know; send() counts again when it has to wait
    interim_ = false;
    sent_ = 0;
    out_.clear();
    const auto reason = http::obsolete_reason(static_cast<http::status>(status));
    fmt::format_to(std::back_inserter(out_), "HTTP/1.1 {} {}\r\nDate: {}\r\n", status,
                   std::string_view{reason.data(), reason.size()}, host_.date);
    if (close_after_) out_ += "Connection: close\r\n";
    else if (head_.version < 11) out_ += "Connection: keep-alive\r\n";
    state_ = State::sending;
    deadline_ = host_.now + table_->limits.request;
}

void Connection::finish_response(std::string_view body)
{
    if (!body.empty()) fmt::format_to(std::back_inserter(out_), "Content-Length: {}\r\n\r\n", body.size());
    else out_ += out_.compare(9, 3, "204") == 0 ? "\r\n" : "Content-Length: 0\r\n\r\n";
    if (head_.method != http::verb::head) out_ += body;
}

std::optional<Connection::Next> Connection::send()
{
    if (expired_) return Next::close;
    while (sent_ < out_.size()) {
        boost::system::error_code ec;
        sent_ += socket_.write_some(asio::buffer(out_.data() + sent_, out_.size() - sent_), ec);
        if (would_block(ec)) {
            if (!interim_) intake_.reset();
            return hold() ? Next::writable : Next::close;
        }
        if (ec) return Next::close;
    }
    if (interim_) {
        interim_ = false;
        state_ = State::receiving;
    } else if (!close_after_) {
        next_request();
    } else if (!linger_after_ && carry_.empty()) {
        return Next::close;
    } else {
        // Closing with unread bytes would reset the connection, and the peer might lose the answer.
        boost::system::error_code ec;
        socket_.shutdown(asio::socket_base::shutdown_send, ec);
        for (std::string* text : {&out_, &body_, &carry_}) give_back(*text);
        intake_.reset();
        share_.give_back();
        state_ = State::lingering;
        deadline_ = host_.now + linger_time;
    }
    return std::nullopt;
}

Connection::Next Connection::linger()
{
    if (expired_) return Next::close;
    for (;;) {
        boost::system::error_code ec;
        const std::size_t got = socket_.read_some(asio::buffer(host_.buffer), ec);
        if (would_block(ec)) return Next::readable;
        lingered_ += got;
        if (ec || got == 0 || lingered_ > linger_bytes) return Next::close;
    }
}

void Connection::next_request()
{
    parser_.reset();
    refusal_.reset();
    intake_.reset();
    destination_ = {};
    head_ = {};
    give_back(body_);
    give_back(out_);
    share_.give_back();
    state_ = State::receiving;
    table_ = host_.table();
    deadline_ = host_.now + table_->limits.idle;
}

bool Connection::expire()
{
    if (expired_ || state_ == State::committing || host_.now < deadline_)
        return false;
    expired_ = true;
    return true;
}

void Connection::stop()
{
    stopping_ = true;
    close_after_ = close_after_ || state_ == State::sending;
    boost::system::error_code ec;
    if (state_ == State::receiving && !parser_) socket_.cancel(ec);
}

void Connection::cut_off()
{
    cut_off_ = true;
    boost::system::error_code ec;
    socket_.cancel(ec);
}

}  // namespace eventyard::router
