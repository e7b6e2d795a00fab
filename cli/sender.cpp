#include "cli/sender.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <cmath>
#include <iterator>

namespace eventyard::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::size_t reasons_max = 100;  // kinds of refusals told apart
constexpr std::uint64_t answer_max = 64ULL << 20;

Duration retry_after(const http::response<http::string_body>& response)
{
    const auto found = response.find(http::field::retry_after);
    if (found == response.end()) return Duration{-1};
    const std::string text{found->value()};
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc{} || end != text.data() + text.size() || seconds < 0 || seconds > 86'400)
        return Duration{-1};
    return std::chrono::seconds{seconds};
}

}  // namespace

/// One kept-alive connection, used by one thread.
class Sender::Connection {
public:
    explicit Connection(const SenderOptions& options) : options_(options) {}

    Result<Answer> post(const Batch& batch)
    {
        http::request<http::string_body> request{http::verb::post, options_.path, 11};
        request.set(http::field::host, options_.host + ":" + options_.port);
        request.set(http::field::user_agent, "eventyard/" EVENTYARD_VERSION);
        request.set(http::field::content_type,
                    batch.size() == 1 ? "application/json" : "application/x-ndjson");
        for (const InputEvent& event : batch) {
            request.body() += event.text;
            if (batch.size() > 1) request.body() += '\n';
        }
        request.prepare_payload();
        // A server may close an idle connection just as we use it; a fresh one decides.
        const bool reused = stream_ != nullptr;
        auto answer = exchange(request);
        if (!answer.has_value() && reused) answer = exchange(request);
        return answer;
    }

private:
    Result<Answer> exchange(const http::request<http::string_body>& request)
    {
        EVENTYARD_CHECK(connect());
        EVENTYARD_CHECK(run([&](auto done) { http::async_write(*stream_, request, std::move(done)); },
                            "write to"));
        http::response_parser<http::string_body> parser;
        parser.body_limit(answer_max);
        EVENTYARD_CHECK(run(
            [&](auto done) { http::async_read(*stream_, buffer_, parser, std::move(done)); },
            "read from"));
        http::response<http::string_body> response = parser.release();
        if (!response.keep_alive()) stream_.reset();
        return Answer{response.result_int(), std::move(response.body()), retry_after(response)};
    }
    Result<void> connect()
    {
        if (stream_) return {};
        tcp::resolver resolver{io_};
        beast::error_code ec;
        const auto peers = resolver.resolve(options_.host, options_.port, ec);
        if (ec) return fail(Errc::unavailable, "cannot resolve '" + options_.host + "': " + ec.message());
        stream_ = std::make_unique<beast::tcp_stream>(io_);
        buffer_.clear();
        EVENTYARD_CHECK(run([&](auto done) { stream_->async_connect(peers, std::move(done)); },
                            "connect to"));
        stream_->socket().set_option(tcp::no_delay(true), ec);
        return {};
    }
    /// Runs one asynchronous call to its end; those obey the time limit, plain ones do not.
    template <class Start>
    Result<void> run(Start start, const char* what)
    {
        beast::error_code ec;
        stream_->expires_after(options_.timeout);
        start([&ec](beast::error_code result, auto&&...) { ec = result; });
        io_.restart();
        io_.run();
        if (!ec) return {};
        stream_.reset();
        return fail(Errc::unavailable, std::string("cannot ") + what + " " + options_.host + ":" +
                                           options_.port + ": " + ec.message());
    }

    const SenderOptions& options_;
    asio::io_context io_{1};
    std::unique_ptr<beast::tcp_stream> stream_;
    beast::flat_buffer buffer_;
};

Sender::Sender(SenderOptions options, const Clock& clock, Random& random)
    : options_(std::move(options)), clock_(clock), random_(random)
{
    for (std::uint32_t i = 0; i < options_.connections; ++i) threads_.emplace_back([this] { work(); });
}

Sender::~Sender() { finish(); }

bool Sender::push(Batch batch)
{
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return queue_.size() < options_.connections || !totals_.gave_up.empty(); });
    if (!totals_.gave_up.empty()) return false;
    queue_.push_back(std::move(batch));
    changed_.notify_all();
    return true;
}

void Sender::finish()
{
    {
        const std::lock_guard lock{mutex_};
        finishing_ = true;
        changed_.notify_all();
    }
    for (auto& thread : threads_) thread.join();
    threads_.clear();
}

SendTotals Sender::totals() const
{
    const std::lock_guard lock{mutex_};
    return totals_;
}

void Sender::work()
{
    Connection connection{options_};
    for (;;) {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return !queue_.empty() || finishing_; });
        if (queue_.empty()) return;
        Batch batch = std::move(queue_.front());
        queue_.pop_front();
        const bool stopped = !totals_.gave_up.empty();
        if (stopped) totals_.unsent += batch.size();
        changed_.notify_all();
        lock.unlock();
        if (!stopped) deliver(connection, std::move(batch));
    }
}

void Sender::deliver(Connection& connection, Batch batch)
{
    for (std::uint32_t attempt = 0;; ++attempt) {
        const auto answer = connection.post(batch);
        std::string why;
        Duration asked{-1};
        if (answer.has_value()) {
            if (answer->status == 413 && batch.size() > 1) {
                const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
                Batch second{std::make_move_iterator(middle), std::make_move_iterator(batch.end())};
                batch.erase(middle, batch.end());
                deliver(connection, std::move(batch));
                deliver(connection, std::move(second));
                return;
            }
            Batch again;
            if (settle(batch, *answer, again)) return;
            batch = std::move(again);
            asked = std::min(answer->retry_after, options_.retry_after_max);
            why = "the daemon answers " + std::to_string(answer->status);
        } else {
            why = answer.error().what;
        }
        if (attempt >= options_.retries) {
            give_up(batch, why);
            return;
        }
        const double factor = std::pow(2.0, std::min(attempt, 20U)) * (0.5 + random_.unit() / 2);
        const auto grown = std::chrono::duration_cast<Duration>(options_.wait_first * factor);
        const Duration wait = std::max(asked, std::min(grown, options_.wait_max));
        if (!pause(wait)) {
            give_up(batch, why);
            return;
        }
    }
}

/// True when every event of the batch has its end; the others are moved to `again`.
bool Sender::settle(const Batch& batch, const Answer& answer, Batch& again)
{
    const Verdicts verdicts = read_answer(answer.status, answer.body, batch.size());
    const std::lock_guard lock{mutex_};
    ++totals_.requests;
    totals_.accepted += verdicts.accepted;
    totals_.duplicates += verdicts.duplicates;
    totals_.unmatched += verdicts.unmatched;
    for (const auto& [index, reason] : verdicts.refused) count_refusal(reason, batch[index].place);
    for (const InputEvent& event : batch) totals_.bytes += event.text.size();
    for (const std::size_t index : verdicts.again) {
        totals_.bytes -= batch[index].text.size();
        again.push_back(batch[index]);
    }
    changed_.notify_all();
    return again.empty();
}

void Sender::refuse(const std::string& reason, const std::string& place)
{
    const std::lock_guard lock{mutex_};
    count_refusal(reason, place);
}

void Sender::count_refusal(const std::string& reason, const std::string& place)
{
    ++totals_.refused;
    const bool known = totals_.refusals.count(reason) > 0 || totals_.refusals.size() < reasons_max;
    Refusal& refusal = totals_.refusals[known ? reason : "other reasons"];
    if (refusal.count++ == 0) refusal.first_place = place;
}

bool Sender::pause(Duration wait)
{
    std::unique_lock lock{mutex_};
    ++totals_.retries;
    const SteadyTime until = clock_.steady() + wait;
    changed_.wait_until(lock, until, [&] { return !totals_.gave_up.empty(); });
    return totals_.gave_up.empty();
}

void Sender::give_up(const Batch& batch, const std::string& why)
{
    const std::lock_guard lock{mutex_};
    totals_.unsent += batch.size();
    if (totals_.gave_up.empty()) totals_.gave_up = why;
    changed_.notify_all();
}

}  // namespace eventyard::cli
