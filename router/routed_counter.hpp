// router/routed_counter.hpp — counts what commits promised, for the ledger.
//
// Lives on the control thread. Totals go to the state at intervals with the sequence they are exact
// to; what a crash takes away, the next start recounts from the journal above that sequence.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "router/state/state.hpp"

namespace eventyard::router {

class RoutedCounter {
public:
    void add(const CommitBatch& batch)
    {
        for (const StoredEventPtr& event : batch.events) {
            std::vector<std::uint64_t>& counts = by_version_[event->version];
            if (counts.size() < event->version->routes.size())
                counts.resize(event->version->routes.size());
            for (const std::uint32_t route : event->routes) ++counts[route];
        }
        through_ = batch.last;
        changed_ = true;
    }

    /// What came since the last call; empty counts and sequence 0 when nothing did.
    [[nodiscard]] Routed take()
    {
        Routed routed;
        if (!changed_) return routed;
        changed_ = false;
        routed.through = through_;
        for (const auto& [version, counts] : by_version_)
            for (std::size_t i = 0; i < counts.size(); ++i)
                if (counts[i] > 0)
                    routed.counts[{std::string{version->routes[i].rule}, version->routes[i].target}] += counts[i];
        by_version_.clear();
        return routed;
    }

private:
    std::map<RoutingVersionPtr, std::vector<std::uint64_t>> by_version_;
    Sequence through_ = 0;
    bool changed_ = false;
};

}  // namespace eventyard::router
