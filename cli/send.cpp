// `eventyard send`: posts the events of files or stdin to a daemon and tells what became of them.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/url/parse.hpp>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/admin_client.hpp"
#include "cli/command.hpp"
#include "cli/event_reader.hpp"
#include "cli/sender.hpp"
#include "cli/table.hpp"
#include "core/disk.hpp"
#include "core/units.hpp"

namespace eventyard::cli {
namespace {

constexpr std::size_t request_bytes = 900U << 10;   // below the daemon's default limits.body
constexpr std::uint64_t document_max = 256ULL << 20;
constexpr std::size_t line_max = 64U << 20;
constexpr std::chrono::milliseconds linger{200};    // a batch waits no longer for more lines

struct SendOptions {
    std::string url = "http://127.0.0.1:8080";
    std::string bus, format = "auto";
    std::vector<std::string> files;
    std::uint32_t connections = 4, batch = 100, repeat = 1, retries = 10;
    double rate = 0;
    bool json = false, quiet = false;
};

/// Collects events to batches, at the asked rate, and hands them to the sender.
class Feed {
public:
    Feed(Sender& sender, const Clock& clock, const SendOptions& options)
        : sender_(sender), clock_(clock), rate_(options.rate), started_(clock.steady()),
          batch_max_(options.batch)
    {
        // A tenth of a second's worth at most, so that a low rate does not come in gulps.
        if (rate_ > 0)
            batch_max_ = std::max<std::size_t>(1, std::min(batch_max_, static_cast<std::size_t>(rate_ / 10)));
    }
    /// False when sending stopped.
    bool add(InputEvent event)
    {
        if (!batch_.empty() && bytes_ + event.text.size() > request_bytes && !flush()) return false;
        bytes_ += event.text.size() + 1;
        batch_.push_back(std::move(event));
        return batch_.size() < batch_max_ || flush();
    }
    bool flush()
    {
        if (batch_.empty()) return true;
        if (rate_ > 0) {
            const auto due = started_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
                                            static_cast<double>(fed_) / rate_));
            const SteadyTime now = clock_.steady();
            if (due > now) std::this_thread::sleep_for(due - now);
        }
        fed_ += batch_.size();
        bytes_ = 0;
        return sender_.push(std::exchange(batch_, {}));
    }
    [[nodiscard]] bool empty() const noexcept { return batch_.empty(); }

private:
    Sender& sender_;
    const Clock& clock_;
    const double rate_;
    const SteadyTime started_;
    std::size_t batch_max_;
    Batch batch_;
    std::size_t bytes_ = 0;
    std::uint64_t fed_ = 0;
};

bool blank(const std::string& line) { return line.find_first_not_of(" \t") == std::string::npos; }

Result<bool> feed_lines(Feed& feed, Sender& sender, int fd, const std::string& name)
{
    LineReader lines{fd, line_max};
    std::string line;
    for (std::uint64_t number = 1;; ) {
        // With nothing collected there is nothing to send on time.
        switch (lines.next(line, feed.empty() ? Duration{std::chrono::minutes{1}} : Duration{linger})) {
            case LineReader::Status::line: {
                const std::string place = name + ":" + std::to_string(number++);
                if (!blank(line) && !feed.add({std::move(line), place})) return false;
                break;
            }
            case LineReader::Status::too_long:
                sender.refuse("line longer than " + format_size(line_max), name + ":" + std::to_string(number++));
                break;
            case LineReader::Status::idle:
                if (!feed.flush()) return false;
                break;
            case LineReader::Status::end: return true;
            case LineReader::Status::failed: return fail_errno("read", name, errno);
        }
    }
}

/// False when sending stopped early.
Result<bool> feed_file(Feed& feed, Sender& sender, const std::string& path, FileFormat format)
{
    const bool standard_input = path == "-";
    const std::string name = standard_input ? "stdin" : path;
    if (is_ndjson(path, format)) {
        const int fd = standard_input ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) return fail_errno("open", path, errno);
        auto fed = feed_lines(feed, sender, fd, name);
        if (!standard_input) ::close(fd);
        return fed;
    }
    PosixDisk disk;
    EVENTYARD_TRY(text, read_file(disk, standard_input ? "/dev/stdin" : path, document_max));
    auto events = split_document(text);
    if (!events.has_value()) return fail(events.error().code, name + ": " + events.error().what);
    for (std::size_t i = 0; i < events->size(); ++i) {
        const std::string place = events->size() == 1 ? name : name + ", element " + std::to_string(i);
        if (!feed.add({std::move((*events)[i]), place})) return false;
    }
    return true;
}

/// The bytes of all files together; 0 when stdin, a pipe or a missing file is among them.
std::uint64_t total_bytes(const SendOptions& options)
{
    std::uint64_t bytes = 0;
    for (const std::string& path : options.files) {
        struct stat about{};
        if (path == "-" || ::stat(path.c_str(), &about) != 0 || !S_ISREG(about.st_mode)) return 0;
        bytes += static_cast<std::uint64_t>(about.st_size);
    }
    return bytes * options.repeat;
}

/// Redraws one line of stderr while it lives.
class Progress {
public:
    Progress(const Sender& sender, const Clock& clock, std::uint64_t total, bool shown)
    {
        if (shown)
            thread_ = std::thread([this, &sender, &clock, total] {
                const SteadyTime started = clock.steady();
                std::unique_lock lock{mutex_};
                while (!changed_.wait_for(lock, std::chrono::milliseconds{100}, [this] { return over_; }))
                    std::cerr << "\r\033[K" << line(sender.totals(), clock.steady() - started, total) << std::flush;
                std::cerr << "\r\033[K" << std::flush;
            });
    }
    ~Progress()
    {
        {
            const std::lock_guard lock{mutex_};
            over_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable()) thread_.join();
    }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

private:
    static std::string line(const SendTotals& totals, Duration elapsed, std::uint64_t total)
    {
        constexpr std::size_t width = 30;
        const double seconds = std::chrono::duration<double>(elapsed).count();
        std::string text;
        if (total > 0) {
            const double part = std::min(1.0, static_cast<double>(totals.bytes) / static_cast<double>(total));
            const auto full = static_cast<std::size_t>(part * width);
            text = "[" + std::string(full, '#') + std::string(width - full, ' ') + "] " +
                   std::to_string(static_cast<int>(part * 100)) + " %  ";
        }
        text += grouped(totals.accepted) + " accepted";
        if (totals.refused > 0) text += ", " + grouped(totals.refused) + " refused";
        if (totals.retries > 0) text += ", " + grouped(totals.retries) + " retries";
        if (seconds > 0)
            text += ", " + grouped(static_cast<std::uint64_t>(static_cast<double>(totals.accepted) / seconds)) + "/s";
        return text;
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;
};

void print_summary(const SendTotals& totals, double seconds, bool json)
{
    const double rate = seconds > 0 ? static_cast<double>(totals.accepted) / seconds : 0;
    if (json) {
        nlohmann::ordered_json refusals = nlohmann::ordered_json::array();
        for (const auto& [reason, refusal] : totals.refusals)
            refusals.push_back({{"reason", reason}, {"count", refusal.count}, {"first", refusal.first_place}});
        const nlohmann::ordered_json summary = {
            {"accepted", totals.accepted}, {"duplicates", totals.duplicates},
            {"unmatched", totals.unmatched}, {"refused", totals.refused},
            {"unsent", totals.unsent},     {"requests", totals.requests},
            {"retries", totals.retries},   {"bytes", totals.bytes},
            {"seconds", seconds},          {"events_per_second", rate},
            {"refusals", refusals},        {"gave_up", totals.gave_up}};
        std::cout << summary.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
        return;
    }
    char time[64];
    std::snprintf(time, sizeof time, "%.2f s", seconds);
    Table table{{"ACCEPTED", "REFUSED", "UNSENT", "RETRIES", "SIZE", "TIME", "EVENTS/S"}};
    table.add({grouped(totals.accepted), grouped(totals.refused), grouped(totals.unsent),
               grouped(totals.retries), format_size(totals.bytes), time,
               grouped(static_cast<std::uint64_t>(rate))});
    std::cout << table.text();
    if (totals.unmatched > 0)
        std::cout << grouped(totals.unmatched) << " of the accepted matched no rule and were not stored\n";
    if (totals.duplicates > 0)
        std::cout << grouped(totals.duplicates) << " of the accepted had come before and were not stored again\n";
    if (!totals.refusals.empty()) {
        Table reasons{{"REFUSED", "REASON", "FIRST"}};
        for (const auto& [reason, refusal] : totals.refusals)
            reasons.add({grouped(refusal.count), reason, refusal.first_place});
        std::cout << "\n" << reasons.text();
    }
}

/// Takes host, port and path out of --url and --bus.
Result<SenderOptions> sender_options(const SendOptions& options)
{
    const auto url = boost::urls::parse_uri(options.url);
    if (!url || url->scheme() != "http" || url->host().empty())
        return fail(Errc::invalid, "--url must be http://HOST:PORT, not '" + options.url + "'");
    if ((!url->path().empty() && url->path() != "/") || url->has_query())
        return fail(Errc::invalid, "--url must end after the port; the path follows from --bus");
    SenderOptions sender;
    sender.host = url->host_address();
    sender.port = url->has_port() ? std::string(url->port()) : "80";
    if (!options.bus.empty()) sender.path = "/v1/buses/" + encode(options.bus) + "/events";
    sender.connections = options.connections;
    sender.retries = options.retries;
    return sender;
}

int run_send(const SendOptions& options)
{
    const auto complain = [](const std::string& what) {
        std::cerr << "eventyard send: " << what << "\n";
        return 2;
    };
    auto settings = sender_options(options);
    if (!settings.has_value()) return complain(settings.error().what);
    const FileFormat format = options.format == "json"     ? FileFormat::json
                              : options.format == "ndjson" ? FileFormat::ndjson
                                                           : FileFormat::by_name;
    for (const std::string& path : options.files) {
        if (path == "-" && options.repeat > 1) return complain("stdin cannot be repeated");
        if (path != "-" && ::access(path.c_str(), R_OK) != 0)
            return complain("cannot read '" + path + "': " + std::strerror(errno));
    }

    const SystemClock clock;
    SystemRandom random;
    Sender sender{std::move(*settings), clock, random};
    const SteadyTime started = clock.steady();
    std::string trouble;
    {
        const Progress progress{sender, clock, total_bytes(options),
                                ::isatty(STDERR_FILENO) == 1 && !options.quiet};
        Feed feed{sender, clock, options};
        bool going = true;
        for (std::uint32_t round = 0; round < options.repeat && going; ++round) {
            for (const std::string& path : options.files) {
                const auto fed = feed_file(feed, sender, path, format);
                if (!fed.has_value()) trouble = fed.error().what;
                going = fed.has_value() && *fed;
                if (!going) break;
            }
        }
        feed.flush();
        sender.finish();
    }
    const SendTotals totals = sender.totals();
    const double seconds = std::chrono::duration<double>(clock.steady() - started).count();
    if (!options.quiet || options.json) print_summary(totals, seconds, options.json);
    if (!trouble.empty()) return complain(trouble);
    if (!totals.gave_up.empty()) {
        std::cerr << "eventyard send: gave up: " << totals.gave_up << "\n";
        return totals.requests == 0 ? 2 : 1;
    }
    return totals.refused > 0 ? 1 : 0;
}

}  // namespace

std::function<int()> setup_send(CLI::App& app)
{
    auto options = std::make_shared<SendOptions>();
    app.add_option("files", options->files, "files of events; - is stdin")->required();
    app.add_option("--url", options->url, "the daemon's listen.http")
        ->capture_default_str()
        ->envname("EVENTYARD_URL");
    app.add_option("--bus", options->bus, "event bus (default: the bus \"default\")");
    app.add_option("--file-format", options->format,
                   "ndjson: an event a line; json: one event or an array; auto: json for *.json")
        ->capture_default_str()
        ->check(CLI::IsMember({"auto", "json", "ndjson"}));
    app.add_option("--connections", options->connections, "connections to send over")
        ->capture_default_str()
        ->check(CLI::Range(1U, 256U));
    app.add_option("--batch", options->batch, "events in one request at most")
        ->capture_default_str()
        ->check(CLI::Range(1U, 100'000U));
    app.add_option("--rate", options->rate, "events a second at most")->check(CLI::PositiveNumber);
    app.add_option("--repeat", options->repeat, "send the files this often")
        ->capture_default_str()
        ->check(CLI::Range(1U, 1'000'000'000U));
    app.add_option("--retries", options->retries, "tries again of one request, after 429, 503 or no connection")
        ->capture_default_str()
        ->check(CLI::Range(0U, 1'000'000U));
    app.add_flag("--json", options->json, "print the summary as JSON");
    app.add_flag("--quiet", options->quiet, "no progress and no summary");
    return [options] { return run_send(*options); };
}

}  // namespace eventyard::cli
