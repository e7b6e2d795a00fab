#include "targets/file.hpp"

#include <array>

#include "targets/fingerprint.hpp"
#include "targets/json_lines.hpp"
#include "targets/log_writer.hpp"
#include "targets/worker.hpp"

namespace eventyard::targets {
namespace {

constexpr std::array<Setting, 8> settings{{
    {"path", "path", "",
     "The file, without `..`. It must not be a symbolic link. Missing directories are made."},
    {"fsync", "batch or never", "batch",
     "batch: a delivery counts once its line is on disk (one fdatasync for all lines that wait). "
     "never: once it is written; a crash of the machine may lose lines counted as delivered."},
    {"envelope", "true or false", "false",
     "true writes `{\"delivery\",\"id\",\"rule\",\"bus\",\"received\",\"event\"}` instead of the bare "
     "event; a replay has `replay_of`, too."},
    {"timeout", "duration", "10s", "How long a delivery waits for the disk."},
    {"rotate.max_size", "size", "none", "Set the file aside before it grows beyond this."},
    {"rotate.every", "duration", "none",
     "Set the file aside at each boundary of this length in UTC: 1h at full hours, 24h at "
     "midnight."},
    {"rotate.keep", "number", "0", "Rotated files to keep, the newest; 0: all."},
    {"rotate.compress", "none or zstd", "none", "Compress rotated files."},
}};

struct Options {
    LogWriterOptions log;
    bool envelope = false;
    Duration timeout{0};
    std::string fingerprint;
};

/// The lines of one request.
struct LinesJob : WorkerJob {
    std::vector<std::string> lines;
};

class FileTask final : public WorkerTask {
public:
    explicit FileTask(std::shared_ptr<LogWriter> log) : log_(std::move(log)) {}

    std::vector<std::vector<Outcome>> run(const WorkerJobs& jobs, WallTime now) override
    {
        std::vector<std::string_view> lines;
        for (const auto& job : jobs)
            for (const std::string& line : static_cast<const LinesJob&>(*job).lines) lines.push_back(line);
        const LogWriter::Appended appended = log_->append(lines, now);
        std::vector<std::vector<Outcome>> outcomes(jobs.size());
        std::size_t line = 0;
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            outcomes[i].resize(static_cast<const LinesJob&>(*jobs[i]).lines.size());
            for (Outcome& outcome : outcomes[i]) {
                const bool settled = line++ < appended.settled;
                outcome.verdict = settled ? Verdict::delivered : Verdict::retry;
                if (settled) continue;
                outcome.cause = Cause::disk;
                outcome.detail = appended.error ? appended.error->what : "not written";
            }
        }
        return outcomes;
    }
    bool step() override { return log_->step(); }
    void finish() override { log_->close(); }

private:
    std::shared_ptr<LogWriter> log_;
};

class FileTarget final : public Target {
public:
    FileTarget(std::shared_ptr<const Options> options, std::shared_ptr<Disk> disk,
               TargetContext context)
        : options_(std::move(options)),
          context_(std::move(context)),
          log_(std::make_shared<LogWriter>(options_->log, std::move(disk), context_.name)),
          worker_(context_.io, context_.clock, std::make_shared<FileTask>(log_))
    {
    }

    Task<Outcome> deliver(const Delivery& delivery) override
    {
        auto task = deliver_batch({&delivery, 1});
        std::vector<Outcome> outcomes = co_await std::move(task);
        co_return std::move(outcomes.front());
    }

    /// Lines beside each other, and one sync for them.
    Task<std::vector<Outcome>> deliver_batch(std::span<const Delivery> deliveries) override
    {
        const SteadyTime started = context_.clock.steady();
        auto job = std::make_shared<LinesJob>();
        job->lines.reserve(deliveries.size());
        for (const Delivery& delivery : deliveries) {
            job->lines.push_back(to_json_line(delivery, options_->envelope));
            job->bytes += job->lines.back().size();
        }
        std::string waiting_for = "waiting for the disk (" + options_->log.path + ")";
        auto task = worker_.submit(std::move(job), options_->timeout, std::move(waiting_for));
        std::vector<Outcome> outcomes = co_await std::move(task);
        for (Outcome& outcome : outcomes) outcome.latency = context_.clock.steady() - started;
        co_return outcomes;
    }

    void reopen() override { log_->request_reopen(); }
    void close() override { worker_.close(); }

    std::vector<StatusItem> status() const override
    {
        const LogWriter::Stats stats = log_->stats();
        std::vector<StatusItem> items{
            {"path", options_->log.path},
            {"fsync", options_->log.sync ? "batch"
                                         : "never: a crash of the machine may lose lines already "
                                           "counted as delivered"},
            {"size", std::to_string(stats.size)},
            {"lines", std::to_string(stats.lines)},
            {"rotations", std::to_string(stats.rotations)},
            {"queued", std::to_string(worker_.queued())},
        };
        if (stats.torn > 0) items.push_back({"torn_lines", std::to_string(stats.torn)});
        if (!stats.last_error.empty()) items.push_back({"last_error", stats.last_error});
        return items;
    }

private:
    std::shared_ptr<const Options> options_;
    TargetContext context_;
    std::shared_ptr<LogWriter> log_;
    Worker worker_;
};

class FileBlueprint final : public Blueprint {
public:
    FileBlueprint(std::shared_ptr<const Options> options, std::shared_ptr<Disk> disk)
        : options_(std::move(options)), disk_(std::move(disk))
    {
    }
    std::unique_ptr<Target> make(TargetContext context) const override
    {
        return std::make_unique<FileTarget>(options_, disk_, std::move(context));
    }
    std::string fingerprint() const override { return options_->fingerprint; }
    std::string address() const override { return options_->log.path; }

private:
    std::shared_ptr<const Options> options_;
    std::shared_ptr<Disk> disk_;
};

/// Why a path is refused; empty when it is fine.
std::string path_problem(const std::string& path)
{
    if (path.find('\0') != std::string::npos || path.find('\n') != std::string::npos)
        return "holds a control character";
    if (path.back() == '/') return "names a directory";
    std::size_t begin = 0;
    while (begin <= path.size()) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string part = path.substr(begin, end - begin);
        if (part == "..") return "must not contain '..'";
        if (part == "." && end == path.size()) return "names a directory";
        begin = end + 1;
    }
    return {};
}

}  // namespace

std::span<const Setting> file_settings() noexcept { return settings; }

std::shared_ptr<const Blueprint> read_file_target_on(Fields& fields, std::shared_ptr<Disk> disk)
{
    using namespace std::chrono_literals;
    auto options = std::make_shared<Options>();
    const std::size_t errors = fields.report().errors();
    options->log.path = fields.required_text("path");
    if (!options->log.path.empty())
        if (const std::string problem = path_problem(options->log.path); !problem.empty())
            fields.error("path", "'path' " + problem);
    options->log.sync = fields.choice("fsync", {"batch", "never"}, "batch") == "batch";
    options->envelope = fields.flag("envelope", false);
    options->timeout = fields.duration("timeout", 10s, {.min = 1ms, .max = 1h});
    Rotation& rotation = options->log.rotation;
    if (auto rotate = fields.section("rotate")) {
        rotation.max_size = rotate->size("max_size", 0, 1024);
        rotation.every = rotate->duration("every", Duration{0}, {.min = 1s, .max = 24h * 366});
        rotation.keep = static_cast<std::uint32_t>(rotate->integer("keep", 0, {0, 1'000'000}));
        rotation.compress = rotate->choice("compress", {"none", "zstd"}, "none") == "zstd";
        if (!rotate->has("max_size") && !rotate->has("every"))
            fields.error("rotate", "'rotate' needs 'max_size' or 'every'");
        rotate->finish("rotate");
    }
    fields.finish("a file target");
    if (fields.report().errors() != errors) return nullptr;
    options->fingerprint = Fingerprint{}
                               .add("file")
                               .add(options->log.path)
                               .add(options->log.sync ? 1 : 0)
                               .add(options->envelope ? 1 : 0)
                               .add(options->timeout.count())
                               .add(static_cast<long long>(rotation.max_size))
                               .add(rotation.every.count())
                               .add(rotation.keep)
                               .add(rotation.compress ? 1 : 0)
                               .text();
    return std::make_shared<FileBlueprint>(std::move(options), std::move(disk));
}

std::shared_ptr<const Blueprint> read_file_target(Fields& fields)
{
    return read_file_target_on(fields, std::make_shared<PosixDisk>());
}

}  // namespace eventyard::targets
