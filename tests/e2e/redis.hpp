// tests/e2e/redis.hpp — a real redis-server of our own, started by id and ended by id.
#pragma once

#include <hiredis/hiredis.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/harness.hpp"

namespace eventyard::e2e {

class RedisServer {
public:
    explicit RedisServer(const std::string& directory) : port_(support::free_port())
    {
        std::filesystem::create_directories(directory);
        process_ = std::make_unique<Process>(std::vector<std::string>{
            "/usr/bin/redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1", "--dir",
            directory, "--save", "", "--appendonly", "no"});
        REQUIRE(eventually([&] { return connect() != nullptr; }, 20s));
    }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    /// The `event` field of every entry of a stream, in order.
    [[nodiscard]] std::vector<std::string> bodies(const std::string& stream) const
    {
        std::vector<std::string> bodies;
        auto context = connect();
        REQUIRE(context);
        auto* reply = static_cast<redisReply*>(
            redisCommand(context.get(), "XRANGE %s - +", stream.c_str()));
        REQUIRE(reply != nullptr);
        for (std::size_t i = 0; i < reply->elements; ++i) {
            const redisReply* fields = reply->element[i]->element[1];
            for (std::size_t f = 0; f + 1 < fields->elements; f += 2)
                if (std::string(fields->element[f]->str, fields->element[f]->len) == "event")
                    bodies.emplace_back(fields->element[f + 1]->str, fields->element[f + 1]->len);
        }
        freeReplyObject(reply);
        return bodies;
    }

private:
    struct Free {
        void operator()(redisContext* context) const { redisFree(context); }
    };
    [[nodiscard]] std::unique_ptr<redisContext, Free> connect() const
    {
        std::unique_ptr<redisContext, Free> context{redisConnect("127.0.0.1", port_)};
        if (context && context->err != 0) context.reset();
        return context;
    }

    std::uint16_t port_;
    std::unique_ptr<Process> process_;
};

}  // namespace eventyard::e2e
