// `eventyard sink`: prints or counts what a webhook target sends it, and fails as it is told.
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <iostream>
#include <memory>
#include <mutex>

#include "cli/command.hpp"
#include "cli/receiver.hpp"
#include "cli/table.hpp"
#include "core/units.hpp"

namespace eventyard::cli {
namespace {

namespace asio = boost::asio;

struct SinkOptions {
    std::string listen = "127.0.0.1:9000";
    std::string respond, respond_each, reset, delay, retry_after, run_for, secret;
    std::uint64_t until = 0;
    std::uint64_t ids_max = 1'000'000;
    std::uint32_t threads = 1;
    bool hang = false, count = false, json = false, quiet = false;
};

/// One line of stdout at a time, whichever thread it comes from.
class Printer {
public:
    void line(const std::string& text)
    {
        const std::lock_guard lock{mutex_};
        std::cout << text << std::endl;  // flushed: people and scripts wait for it
    }

private:
    std::mutex mutex_;
};

/// Control characters as dots, so that a body cannot steer the terminal.
std::string printable(std::string text)
{
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '.';
    return text;
}

const char* signature_word(Signature signature)
{
    return signature == Signature::valid ? "valid" : "invalid";
}

std::string outcome(const Decision& decision)
{
    if (decision.act == Decision::Act::reset) return "reset";
    if (decision.act == Decision::Act::hang) return "hang";
    return std::to_string(decision.status);
}

std::string as_text(const Received& received)
{
    std::string line = to_rfc3339(received.time) + "  " + outcome(received.decision) + "  " +
                       printable(received.method + " " + received.path);
    if (!received.webhook_id.empty()) line += "  " + printable(received.webhook_id);
    if (!received.content_type.empty()) line += "  " + printable(received.content_type);
    line += "  " + format_size(received.size);
    if (received.signature != Signature::unchecked)
        line += std::string("  signature ") + signature_word(received.signature);
    if (!received.first_bytes.empty()) line += "  " + printable(received.first_bytes);
    if (received.size > received.first_bytes.size()) line += "...";
    return line;
}

std::string as_json(const Received& received)
{
    nlohmann::ordered_json line = {{"time", to_rfc3339(received.time)},
                                   {"method", received.method},
                                   {"path", received.path},
                                   {"webhook_id", received.webhook_id},
                                   {"content_type", received.content_type},
                                   {"size", received.size},
                                   {"answer", outcome(received.decision)},
                                   {"body", received.first_bytes}};
    if (received.signature != Signature::unchecked)
        line["signature"] = signature_word(received.signature);
    return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string summary_text(const nlohmann::ordered_json& summary)
{
    const auto figure = [&](const char* key) { return summary.at(key).get<std::uint64_t>(); };
    std::string text = grouped(figure("requests")) + " requests, " + grouped(figure("webhook_ids")) +
                       " webhook-ids, " + grouped(figure("repeats")) + " repeats, " +
                       format_size(figure("bytes"));
    Table table{{"ANSWER", "REQUESTS"}};
    for (const auto& [status, count] : summary.at("status").items())
        table.add({status, grouped(count.get<std::uint64_t>())});
    if (figure("resets") > 0) table.add({"reset", grouped(figure("resets"))});
    if (figure("hung") > 0) table.add({"never", grouped(figure("hung"))});
    if (!table.empty()) text += "\n" + table.text(2);
    const auto& signatures = summary.at("signatures");
    const auto valid = signatures.at("valid").get<std::uint64_t>();
    const auto invalid = signatures.at("invalid").get<std::uint64_t>();
    if (text.back() == '\n') text.pop_back();
    if (valid + invalid > 0)
        text += "\n  signatures: " + grouped(valid) + " valid, " + grouped(invalid) + " invalid";
    return text;
}

/// Fills `receiver` from the options; the mistake otherwise.
Result<void> read_options(const SinkOptions& options, ReceiverOptions& receiver)
{
    receiver.listen = options.listen;
    receiver.threads = options.threads;
    receiver.until = options.until;
    receiver.ids_max = options.ids_max;
    receiver.secret = Secret{options.secret};
    receiver.plan.hang = options.hang;
    receiver.plan.per_id = !options.respond_each.empty();
    const std::string& script = receiver.plan.per_id ? options.respond_each : options.respond;
    if (!script.empty()) {
        EVENTYARD_TRY(parsed, ResponseScript::parse(script));
        receiver.plan.respond = parsed;
    }
    if (!options.reset.empty()) {
        EVENTYARD_TRY(parsed, ResetScript::parse(options.reset));
        receiver.plan.reset = parsed;
    }
    for (const auto& [text, value] : {std::pair{&options.delay, &receiver.delay},
                                      std::pair{&options.retry_after, &receiver.retry_after}}) {
        if (text->empty()) continue;
        const auto parsed = parse_duration(*text);
        if (!parsed) return fail(Errc::invalid, "'" + *text + "' is not a duration such as 50ms or 2s");
        *value = *parsed;
    }
    return {};
}

/// Prints the number of requests each second in which it grew.
void count_each_second(asio::steady_timer& timer, const Receiver& receiver, Printer& printer,
                       std::uint64_t before)
{
    timer.expires_after(std::chrono::seconds{1});
    timer.async_wait([&timer, &receiver, &printer, before](boost::system::error_code ec) {
        if (ec) return;
        const std::uint64_t now = receiver.book().requests();
        if (now != before)
            printer.line(grouped(now) + " requests, " + grouped(now - before) + " in the last second");
        count_each_second(timer, receiver, printer, now);
    });
}

int run_sink(const SinkOptions& options)
{
    const auto usage = [](const std::string& what) {
        std::cerr << "eventyard sink: " << what << "\n";
        return 2;
    };
    ReceiverOptions receiver_options;
    if (const auto read = read_options(options, receiver_options); !read.has_value())
        return usage(read.error().what);
    Duration run_for{0};
    if (!options.run_for.empty()) {
        const auto parsed = parse_duration(options.run_for);
        if (!parsed) return usage("'" + options.run_for + "' is not a duration such as 10s");
        run_for = *parsed;
    }

    const SystemClock clock;
    Printer printer;
    asio::io_context io;
    if (!options.quiet && !options.count)
        receiver_options.on_request = [&printer, json = options.json](const Received& received) {
            printer.line(json ? as_json(received) : as_text(received));
        };
    receiver_options.on_until = [&io] { asio::post(io, [&io] { io.stop(); }); };

    asio::signal_set signals{io, SIGINT, SIGTERM};
    signals.async_wait([&io](boost::system::error_code, int) { io.stop(); });
    asio::steady_timer end{io};
    if (run_for > Duration::zero()) {
        end.expires_after(run_for);
        end.async_wait([&io](boost::system::error_code ec) {
            if (!ec) io.stop();
        });
    }
    Receiver receiver{std::move(receiver_options), clock};
    if (const auto started = receiver.start(); !started.has_value()) {
        std::cerr << "eventyard sink: " << started.error().what << "\n";
        return 2;
    }
    printer.line("listening on " + receiver.url());
    asio::steady_timer second{io};
    if (options.count && !options.quiet) count_each_second(second, receiver, printer, 0);
    io.run();
    receiver.stop();
    const auto summary = receiver.book().summary();
    printer.line(options.json ? summary.dump() : summary_text(summary));
    return 0;
}

}  // namespace

std::function<int()> setup_sink(CLI::App& app)
{
    auto options = std::make_shared<SinkOptions>();
    app.add_option("--listen", options->listen, "address and port; port 0 takes a free one")
        ->capture_default_str();
    auto* respond = app.add_option("--respond", options->respond,
                                   "statuses to answer, e.g. 500x3,200: the last repeats for ever");
    app.add_option("--respond-each", options->respond_each,
                   "as --respond, counting each webhook-id for itself")
        ->excludes(respond);
    app.add_option("--delay", options->delay, "wait before each answer, e.g. 50ms");
    app.add_option("--retry-after", options->retry_after, "send Retry-After with 429 and 503, e.g. 2s");
    app.add_option("--reset", options->reset,
                   "reset the connection instead of answering: N (the first N) or every:N");
    app.add_flag("--hang", options->hang, "never answer");
    app.add_option("--secret", options->secret,
                   "check Standard Webhooks signatures (whsec_...); answer 401 to wrong ones")
        ->envname("EVENTYARD_SINK_SECRET");
    app.add_flag("--count", options->count, "print a count each second, not a line a request");
    app.add_flag("--json", options->json, "print requests and the summary as JSON lines");
    app.add_flag("--quiet", options->quiet, "print the address and the summary only");
    app.add_option("--until", options->until, "end after this many requests");
    app.add_option("--for", options->run_for, "end after this time, e.g. 10s");
    app.add_option("--ids-max", options->ids_max, "webhook-ids to remember")->capture_default_str();
    app.add_option("--threads", options->threads, "threads that serve connections")
        ->capture_default_str()
        ->check(CLI::Range(1U, 64U));
    return [options] { return run_sink(*options); };
}

}  // namespace eventyard::cli
