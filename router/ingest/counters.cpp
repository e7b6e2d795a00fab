#include "router/ingest/counters.hpp"

namespace eventyard::router {

void IngestCounters::count_items(std::string_view bus, const IntakeTally& tally)
{
    auto found = buses_.find(bus);  // no lock: only this thread changes the map
    if (found == buses_.end()) {
        const std::lock_guard lock{mutex_};
        found = buses_.emplace(std::string(bus), std::make_unique<PerBus>()).first;
    }
    add(found->second->duplicate, tally.duplicate);
    add(found->second->refused, tally.refused);
    add(found->second->matched, tally.matched);
    add(found->second->unmatched, tally.unmatched);
}

void IngestCounters::sum_into(IngestTotals& totals) const
{
    const auto read = [](const Number& number) { return number.load(std::memory_order_relaxed); };
    totals.body_bytes += read(body_bytes);
    totals.connections_accepted += read(connections_accepted);
    totals.connections_refused += read(connections_refused);
    for (unsigned status = 0; status < requests_.size(); ++status)
        if (const std::uint64_t count = read(requests_[status]); count > 0)
            totals.requests[status] += count;
    const std::lock_guard lock{mutex_};
    for (const auto& [name, bus] : buses_) {
        // Read apart from one another, made to balance: accepted = matched + unmatched.
        IntakeTally& tally = totals.buses[name];
        const std::uint64_t matched = read(bus->matched), unmatched = read(bus->unmatched);
        tally.duplicate += read(bus->duplicate);
        tally.refused += read(bus->refused);
        tally.matched += matched;
        tally.unmatched += unmatched;
        tally.accepted += matched + unmatched;
    }
}

std::vector<Received> ReceivedLog::take(const IngestTotals& totals)
{
    std::vector<Received> out;
    for (const auto& [name, tally] : totals.buses) {
        IntakeTally& seen = seen_[name];
        Received received;
        received.bus = name;
        received.source = "http";
        received.accepted = tally.accepted - seen.accepted;
        received.duplicate = tally.duplicate - seen.duplicate;
        received.refused = tally.refused - seen.refused;
        received.matched = tally.matched - seen.matched;
        received.unmatched = tally.unmatched - seen.unmatched;
        if (received.accepted + received.duplicate + received.refused > 0) out.push_back(std::move(received));
        seen = tally;
    }
    return out;
}

}  // namespace eventyard::router
