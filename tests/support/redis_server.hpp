// tests/support/redis_server.hpp — a real redis-server of the test's own, on a free loopback port.
#pragma once

#include <hiredis.h>
#include <signal.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/http.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace eventyard::support {

class RedisServer {
public:
    explicit RedisServer(std::string password = "") : password_(std::move(password)), port_(free_port())
    {
        start();
    }
    ~RedisServer()
    {
        if (process_) resume();
    }
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    void start()
    {
        std::vector<std::string> arguments{"/usr/bin/redis-server", "--port", std::to_string(port_),
                                           "--bind", "127.0.0.1", "--dir", dir_.path(), "--save", "",
                                           "--appendonly", "no"};
        if (!password_.empty()) arguments.insert(arguments.end(), {"--requirepass", password_});
        process_ = std::make_unique<Process>(arguments);
        if (!process_->wait_for_line("Ready to accept connections"))
            throw std::runtime_error("redis-server did not start");
    }
    /// At once, without a word to its clients.
    void kill() { process_.reset(); }
    void stop() const { process_->signal(SIGSTOP); }
    void resume() const { process_->signal(SIGCONT); }
    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

    struct Entry {
        std::string id;
        std::vector<std::pair<std::string, std::string>> fields;
    };
    /// Runs a command of words; an error reply throws.
    using Reply = std::unique_ptr<redisReply, void (*)(redisReply*)>;
    [[nodiscard]] Reply run(const std::vector<std::string>& words) const
    {
        const std::unique_ptr<redisContext, void (*)(redisContext*)> context{
            redisConnect("127.0.0.1", port_), [](redisContext* c) { redisFree(c); }};
        if (!context || context->err != 0) throw std::runtime_error("redis: no connection");
        if (!password_.empty()) send(*context, {"AUTH", password_});
        return send(*context, words);
    }
    [[nodiscard]] std::vector<Entry> entries(const std::string& stream) const
    {
        const Reply reply = run({"XRANGE", stream, "-", "+"});
        std::vector<Entry> all;
        for (std::size_t i = 0; i < reply->elements; ++i) {
            const redisReply& entry = *reply->element[i];
            Entry& added = all.emplace_back();
            added.id = text(*entry.element[0]);
            const redisReply& fields = *entry.element[1];
            for (std::size_t f = 0; f + 1 < fields.elements; f += 2)
                added.fields.emplace_back(text(*fields.element[f]), text(*fields.element[f + 1]));
        }
        return all;
    }

private:
    static std::string text(const redisReply& reply) { return {reply.str, reply.len}; }
    static Reply send(redisContext& context, const std::vector<std::string>& words)
    {
        std::vector<const char*> argv;
        std::vector<std::size_t> sizes;
        for (const std::string& word : words) {
            argv.push_back(word.data());
            sizes.push_back(word.size());
        }
        Reply reply{static_cast<redisReply*>(redisCommandArgv(
                        &context, static_cast<int>(argv.size()), argv.data(), sizes.data())),
                    [](redisReply* r) { freeReplyObject(r); }};
        if (!reply || reply->type == REDIS_REPLY_ERROR) throw std::runtime_error("redis: command failed");
        return reply;
    }

    TempDir dir_;
    std::string password_;
    std::uint16_t port_;
    std::unique_ptr<Process> process_;
};

}  // namespace eventyard::support
