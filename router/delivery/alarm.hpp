// router/delivery/alarm.hpp — how the engine lets time pass: timers on an I/O thread, and waiting for answers.
//
// Waits is the machine's; tests/sim has one in virtual time.
#pragma once

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>

#include "core/time.hpp"

namespace eventyard::router {

/// One timer. Used on one I/O thread, where it also rings.
class Alarm {
public:
    virtual ~Alarm() = default;
    /// Rings once, `wait` from now, unless set again or cancelled before.
    virtual void set(Duration wait, std::function<void()> ring) = 0;
    virtual void cancel() = 0;
};

class Waits {
public:
    virtual ~Waits() = default;
    /// The alarm is destroyed before `io`.
    virtual std::unique_ptr<Alarm> alarm(boost::asio::io_context& io) = 0;
    /// Blocks until `ready(slice)`, which itself waits for up to `slice`, says so; false: `patience` is over.
    virtual bool until(const std::function<bool(Duration slice)>& ready, Duration patience) = 0;
};

/// Real time.
class AsioWaits final : public Waits {
public:
    std::unique_ptr<Alarm> alarm(boost::asio::io_context& io) override;
    bool until(const std::function<bool(Duration)>& ready, Duration patience) override
    {
        return ready(patience);
    }
};

}  // namespace eventyard::router
