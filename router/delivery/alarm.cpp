#include "router/delivery/alarm.hpp"

#include <boost/asio/basic_waitable_timer.hpp>

#include <chrono>
#include <utility>

namespace eventyard::router {
namespace {

class AsioAlarm final : public Alarm {
public:
    explicit AsioAlarm(boost::asio::io_context& io) : timer_(io) {}
    void set(Duration wait, std::function<void()> ring) override
    {
        timer_.expires_after(wait);
        timer_.async_wait([ring = std::move(ring)](const boost::system::error_code& cancelled) {
            if (!cancelled) ring();
        });
    }
    void cancel() override { timer_.cancel(); }

private:
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>,
                                      boost::asio::io_context::executor_type>
        timer_;
};

}  // namespace

std::unique_ptr<Alarm> AsioWaits::alarm(boost::asio::io_context& io)
{
    return std::make_unique<AsioAlarm>(io);
}

}  // namespace eventyard::router
