// tests/router/deliveries/office.hpp — the desk of pending deliveries, over lanes at work, called like a synchronous thing.
#pragma once

#include "router/delivery_desk.hpp"
#include "tests/router/delivery/engine_fixture.hpp"

namespace eventyard::router::testing {

/// The desk on a thread of its own.
class Office {
public:
    explicit Office(Life& life) : life_(life), desk_(life.journal, life.state, hooks()), thread_([this] { io_.run(); }) {}
    ~Office()
    {
        work_.reset();
        thread_.join();
    }
    /// All pages of a list.
    std::vector<PendingDelivery> list(const DeliveryFilter& filter = {}, std::size_t limit = 7)
    {
        std::vector<PendingDelivery> all;
        std::string after;
        do {
            auto page = ask<DeliveryPage>([&](auto done) { desk_.list(filter, after, limit, done); });
            REQUIRE(page.has_value());
            CHECK(page->deliveries.size() <= limit);
            for (PendingDelivery& one : page->deliveries) all.push_back(std::move(one));
            after = page->next;
        } while (!after.empty());
        return all;
    }
    /// All pieces of an act.
    DeliveriesActed act(DeliveryAct what, const DeliveryFilter& filter, std::size_t limit = 50)
    {
        DeliveriesActed sum;
        do {
            auto acted = ask<DeliveriesActed>([&](auto done) { desk_.act(what, filter, sum.next, limit, {"me", "a test"}, done); });
            REQUIRE(acted.has_value());
            sum.done += acted->done;
            sum.in_flight += acted->in_flight;
            sum.held += acted->held;
            sum.next = acted->next;
        } while (!sum.next.empty());
        return sum;
    }
    /// All pieces of a move of what `from` has.
    DeliveriesActed move(const DeliveryFilter& from, const std::string& to, std::size_t limit = 50)
    {
        DeliveriesActed sum;
        do {
            auto acted = ask<DeliveriesActed>([&](auto done) { desk_.move(from, to, sum.next, limit, {"me", "a test"}, done); });
            REQUIRE(acted.has_value());
            sum.done += acted->done;
            sum.in_flight += acted->in_flight;
            sum.next = acted->next;
        } while (!sum.next.empty());
        return sum;
    }
    Result<DeliveryPage> page(const std::string& after)
    {
        return ask<DeliveryPage>([&](auto done) { desk_.list({}, after, 1, done); });
    }

private:
    template <class T, class Ask>
    Result<T> ask(Ask what)
    {
        std::promise<Result<T>> answer;
        boost::asio::post(io_, [&] { what([&answer](Result<T> got) { answer.set_value(std::move(got)); }); });
        return answer.get_future().get();
    }
    DeliveryDesk::Hooks hooks()
    {
        DeliveryDesk::Hooks hooks;
        hooks.post = [this](std::function<void()> work) { boost::asio::post(io_, std::move(work)); };
        hooks.views = [this](const std::string& target, std::function<void(std::vector<LaneView>)> done) {
            life_.engine->views(target, std::move(done));
        };
        hooks.act = [this](const std::string& target, DeliveryAct what, std::vector<PickedDelivery> picked,
                           const std::function<void(Result<Acted>)>& done) {
            CHECK(life_.engine->act(target, what, std::move(picked), done));
        };
        hooks.move = [this](const std::string& from, const std::string& to, std::vector<PickedDelivery> picked,
                            const std::function<void(Result<Acted>)>& done) {
            CHECK(life_.engine->move(from, to, std::move(picked), done));
        };
        return hooks;
    }

    Life& life_;
    boost::asio::io_context io_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
    DeliveryDesk desk_;
    std::thread thread_;
};

inline DeliveryFilter of(const std::string& target)
{
    DeliveryFilter filter;
    filter.target = target;
    return filter;
}

}  // namespace eventyard::router::testing
