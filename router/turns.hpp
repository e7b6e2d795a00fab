// router/turns.hpp — what takes a while on one thread and must not overlap: each begins when the one before has ended.
#pragma once

#include <deque>
#include <functional>
#include <utility>

namespace eventyard::router {

class Turns {
public:
    /// @param begin  runs now, or when all that came before have called end()
    void take(std::function<void()> begin)
    {
        waiting_.push_back(std::move(begin));
        if (!taken_) next();
    }
    void end()
    {
        taken_ = false;
        if (!waiting_.empty()) next();
    }

private:
    void next()
    {
        taken_ = true;
        const auto begin = std::move(waiting_.front());
        waiting_.pop_front();
        begin();
    }

    std::deque<std::function<void()>> waiting_;
    bool taken_ = false;
};

}  // namespace eventyard::router
