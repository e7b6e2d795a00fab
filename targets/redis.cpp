#include "targets/redis.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "targets/fingerprint.hpp"
#include "targets/redis_connection.hpp"
#include "targets/worker.hpp"

namespace eventyard::targets {
namespace {

constexpr std::array<Setting, 8> settings{{
    {"address", "string", "", "`host:port`, `host` (port 6379) or `unix:/path/to/socket`. No TLS."},
    {"stream", "string", "", "The stream's key. It is made by the first event."},
    {"max_length", "number", "0",
     "Trim the stream to about this many entries (MAXLEN ~); 0: never."},
    {"username", "string", "none", "Name for the ACL login; needs a password."},
    {"password", "string", "none", "Sent by AUTH before anything else. Never shown."},
    {"database", "number", "0", "Selected after connecting."},
    {"timeout", "duration", "10s",
     "Limit of an attempt, and of each connect, write and read on the connection."},
    {"dns_servers", "list of strings", "the system's",
     "Name servers to ask, as `address` or `address:port`."},
}};

struct Options {
    RedisOptions redis;
    std::string stream;
    std::uint64_t max_length = 0;
    std::vector<std::string> dns_servers;
    std::string address;
    std::string fingerprint;
};

/// One entry of the stream.
struct Add {
    std::string event;
    std::string event_id;
    std::string delivery;
    std::string replay_of;  // empty: no replay
    std::string rule;
    std::string bus;
    const char* content_type = "";
};

/// The commands of one request.
struct AddJob : WorkerJob {
    std::vector<Add> adds;
    Endpoints peers;  // empty: the worker is connected
};

class RedisTask final : public WorkerTask {
public:
    explicit RedisTask(std::shared_ptr<const Options> options)
        : options_(std::move(options)), connection_(options_->redis)
    {
    }

    /// Sends the commands of all jobs at once: each has a reply of its own.
    std::vector<std::vector<Outcome>> run(const WorkerJobs& jobs, WallTime now) override
    {
        const std::string max_length = std::to_string(options_->max_length);
        std::vector<RedisCommand> commands;
        for (const auto& job : jobs) {
            const auto& request = static_cast<const AddJob&>(*job);
            if (!request.peers.empty()) peers_ = request.peers;
            for (const Add& add : request.adds) {
                RedisCommand words{"XADD", options_->stream};
                if (options_->max_length > 0)
                    words.insert(words.end(), {"MAXLEN", "~", std::string_view{max_length}});
                words.insert(words.end(),
                             {"*", "event", std::string_view{add.event}, "id",
                              std::string_view{add.event_id}, "delivery", std::string_view{add.delivery},
                              "rule", std::string_view{add.rule}, "bus", std::string_view{add.bus},
                              "content_type", std::string_view{add.content_type}});
                if (!add.replay_of.empty()) words.insert(words.end(), {"replay_of", std::string_view{add.replay_of}});
                commands.push_back(std::move(words));
            }
        }
        std::vector<Outcome> replies = connection_.exchange(commands, peers_, now);
        std::vector<std::vector<Outcome>> outcomes(jobs.size());
        auto next = std::make_move_iterator(replies.begin());
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            const auto end = next + static_cast<std::ptrdiff_t>(static_cast<const AddJob&>(*jobs[i]).adds.size());
            outcomes[i].assign(next, end);
            next = end;
        }
        return outcomes;
    }
    void finish() override { connection_.disconnect(); }
    void interrupt() noexcept override { connection_.interrupt(); }
    [[nodiscard]] const RedisConnection& connection() const noexcept { return connection_; }

private:
    std::shared_ptr<const Options> options_;
    RedisConnection connection_;
    Endpoints peers_;
};

class RedisTarget final : public Target {
public:
    RedisTarget(std::shared_ptr<const Options> options, TargetContext context)
        : options_(std::move(options)),
          context_(std::move(context)),
          resolver_(context_.io, context_.clock, options_->dns_servers),
          task_(std::make_shared<RedisTask>(options_)),
          worker_(context_.io, context_.clock, task_)
    {
    }

    Task<Outcome> deliver(const Delivery& delivery) override
    {
        auto task = deliver_batch({&delivery, 1});
        std::vector<Outcome> outcomes = co_await std::move(task);
        co_return std::move(outcomes.front());
    }

    Task<std::vector<Outcome>> deliver_batch(std::span<const Delivery> deliveries) override
    {
        const SteadyTime started = context_.clock.steady();
        auto task = attempt(deliveries, started);
        std::vector<Outcome> outcomes = co_await std::move(task);
        for (Outcome& outcome : outcomes) outcome.latency = context_.clock.steady() - started;
        co_return outcomes;
    }

    void close() override
    {
        resolver_.close();
        worker_.close();
    }

    std::vector<StatusItem> status() const override
    {
        return {{"stream", options_->stream},
                {"connected", task_->connection().connected() ? "true" : "false"},
                {"connects", std::to_string(task_->connection().connects())},
                {"queued", std::to_string(worker_.queued())}};
    }

private:
    Task<std::vector<Outcome>> attempt(std::span<const Delivery> deliveries, SteadyTime started)
    {
        auto job = std::make_shared<AddJob>();
        job->adds.reserve(deliveries.size());
        for (const Delivery& delivery : deliveries) {
            const Event& event = delivery.event;
            job->bytes += event.body.size();
            job->adds.push_back({event.body, event.id.text(), std::string{delivery.id},
                                 std::string{delivery.replay_of}, std::string{delivery.rule},
                                 event.bus, content_type(event.format)});
        }
        const RedisOptions& redis = options_->redis;
        // hiredis would resolve with a call that cannot be ended, so the worker gets addresses.
        if (redis.unix_path.empty() && !task_->connection().connected()) {
            auto found = co_await resolver_.resolve(redis.host, redis.port, redis.timeout);
            if (!found.has_value()) co_return std::vector<Outcome>{unresolved(found.error())};
            job->peers = std::move(*found);
        }
        // In whole milliseconds: it stands in a sentence when it has passed.
        using std::chrono::milliseconds;
        const Duration left = std::max<Duration>(
            std::chrono::ceil<milliseconds>(redis.timeout - (context_.clock.steady() - started)), milliseconds{1});
        std::string waiting_for = "waiting for redis (" + options_->address + ")";
        auto task = worker_.submit(std::move(job), left, std::move(waiting_for));
        co_return co_await std::move(task);
    }

    static Outcome unresolved(const Error& error)
    {
        Outcome outcome;
        outcome.verdict = Verdict::retry;
        outcome.cause = error.code == Errc::too_large   ? Cause::timeout
                        : error.code == Errc::cancelled ? Cause::internal
                                                        : Cause::resolve;
        outcome.detail = "resolve: " + error.what;
        return outcome;
    }

    std::shared_ptr<const Options> options_;
    TargetContext context_;
    Resolver resolver_;
    std::shared_ptr<RedisTask> task_;
    Worker worker_;
};

class RedisBlueprint final : public Blueprint {
public:
    explicit RedisBlueprint(std::shared_ptr<const Options> options) : options_(std::move(options)) {}
    std::unique_ptr<Target> make(TargetContext context) const override
    {
        return std::make_unique<RedisTarget>(options_, std::move(context));
    }
    std::string fingerprint() const override { return options_->fingerprint; }
    std::string address() const override { return options_->address; }

private:
    std::shared_ptr<const Options> options_;
};

/// Fills in the place to connect to; the reason why not, or "".
std::string parse_address(const std::string& text, RedisOptions& redis)
{
    constexpr const char* wanted = "must be host:port, host or unix:/path";
    if (text.rfind("rediss://", 0) == 0)
        return "asks for TLS, which this client does not have; put a TLS proxy in between";
    if (text.find("://") != std::string::npos)
        return std::string(wanted) + "; a password goes into 'password'";
    if (text.find('@') != std::string::npos)
        return std::string(wanted) + ", without a user name or password";
    if (text.rfind("unix:", 0) == 0) {
        redis.unix_path = text.substr(5);
        if (redis.unix_path.empty() || redis.unix_path[0] != '/') return wanted;
        return redis.unix_path.size() > 107 ? "has a socket path of more than 107 bytes" : "";
    }
    std::string host = text;
    std::string port;
    if (host[0] == '[') {
        const auto end = host.find(']');
        if (end == std::string::npos) return wanted;
        if (end + 1 < host.size() && host[end + 1] != ':') return wanted;
        if (end + 1 < host.size()) port = host.substr(end + 2);
        host = host.substr(1, end - 1);
    } else if (std::count(host.begin(), host.end(), ':') == 1) {
        port = host.substr(host.find(':') + 1);
        host.resize(host.find(':'));
        if (port.empty()) return wanted;
    }
    if (host.empty() || host.find_first_of(" /\r\n\t") != std::string::npos) return wanted;
    redis.host = host;
    if (!port.empty()) {
        const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), redis.port);
        if (ec != std::errc{} || end != port.data() + port.size() || redis.port == 0)
            return "has a port that is not between 1 and 65535";
    }
    return {};
}

}  // namespace

std::span<const Setting> redis_settings() noexcept { return settings; }

std::shared_ptr<const Blueprint> read_redis_stream(Fields& fields)
{
    using namespace std::chrono_literals;
    auto options = std::make_shared<Options>();
    RedisOptions& redis = options->redis;
    const std::size_t errors = fields.report().errors();
    options->address = fields.required_text("address");
    if (!options->address.empty())
        if (const std::string problem = parse_address(options->address, redis); !problem.empty())
            fields.error("address", "'address' " + problem);
    options->stream = fields.required_text("stream");
    options->max_length =
        static_cast<std::uint64_t>(fields.integer("max_length", 0, {0, INT64_MAX}));
    redis.username = fields.text("username", "");
    redis.password = fields.secret("password").value_or(Secret{});
    if (!redis.username.empty() && redis.password.empty())
        fields.error("username", "'username' needs a 'password'");
    redis.database = static_cast<int>(fields.integer("database", 0, {0, 1'000'000}));
    redis.timeout = fields.duration("timeout", 10s, {.min = 1ms, .max = 1h});
    options->dns_servers = fields.texts("dns_servers");
    for (const std::string& server : options->dns_servers)
        if (!is_server_address(server))
            fields.error("dns_servers",
                         "'dns_servers' must hold addresses such as 10.0.0.2 or 10.0.0.2:53, found '" +
                             server + "'");
    if (fields.has("tls"))
        fields.error("tls",
                     "the Redis client has no TLS; put a TLS proxy in between and remove 'tls'");
    fields.finish("a redis_stream target");
    if (fields.report().errors() != errors) return nullptr;
    Fingerprint fingerprint;
    fingerprint.add("redis_stream")
        .add(options->address)
        .add(options->stream)
        .add(static_cast<long long>(options->max_length))
        .add(redis.username)
        .add(redis.password.reveal())
        .add(redis.database)
        .add(redis.timeout.count());
    for (const std::string& server : options->dns_servers) fingerprint.add(server);
    options->fingerprint = fingerprint.text();
    return std::make_shared<RedisBlueprint>(std::move(options));
}

}  // namespace eventyard::targets
