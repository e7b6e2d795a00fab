#include "router/table_holder.hpp"

#include <thread>

#include "table.hpp"

using namespace eventyard;
using namespace eventyard::router;

namespace {

/// A table that tells which thread freed it.
std::shared_ptr<RouteTable> telling_table(std::thread::id& freed_by)
{
    auto table = test::make_table();
    table->version = RoutingVersionPtr(new RoutingVersion, [&freed_by](const RoutingVersion* version) {
        freed_by = std::this_thread::get_id();
        delete version;
    });
    return table;
}

}  // namespace

TEST_CASE("A thread that lets go of an old table last does not have to free it")
{
    const std::thread::id nobody;
    std::thread::id freed_by;
    TableHolder holder;
    holder.set(telling_table(freed_by));
    RouteTablePtr last = holder.get();
    holder.set(test::make_table());
    (void)holder.get();
    holder.free_retired();
    CHECK(freed_by == nobody);  // still in use

    std::thread user([&holder, held = std::move(last)]() mutable {
        held = holder.get();
    });
    user.join();
    CHECK(freed_by == nobody);
    CHECK(holder.has_retired());
    holder.free_retired();
    CHECK_FALSE(holder.has_retired());
    CHECK(freed_by == std::this_thread::get_id());
}

TEST_CASE("What is left is freed with the holder, or by whoever still has it")
{
    const std::thread::id nobody;
    std::thread::id waiting_freed_by, held_freed_by;
    RouteTablePtr held;
    {
        TableHolder holder;
        holder.set(telling_table(waiting_freed_by));
        holder.set(telling_table(held_freed_by));
        held = holder.get();
    }
    CHECK(waiting_freed_by == std::this_thread::get_id());
    CHECK(held_freed_by == nobody);
    TableHolder other;
    (void)other.get();  // this thread forgets the first holder's table
    held.reset();
    CHECK(held_freed_by == std::this_thread::get_id());
}
