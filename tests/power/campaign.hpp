// tests/power/campaign.hpp — one daemon that loses its power again and again under load, and what came of it.
//
//     Campaign campaign{seed};
//     campaign.rounds(10);
//     for (const std::string& wrong : campaign.verdict()) ...
//
// Events go to a file on the same disk and to a webhook that refuses some at first and some for good; the
// rules are replaced now and then. Call from the test's main thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/e2e/harness.hpp"
#include "tests/power/platter.hpp"
#include "tests/support/hook_server.hpp"

namespace eventyard::power {

class Campaign {
public:
    /// @param omit  whose syncs do nothing: EVENTYARD_POWER_OMIT of preload.cpp; empty: none
    explicit Campaign(std::uint64_t seed, std::string omit = "");

    /// Start, load, cut, as often as told; less when something is wrong already.
    void rounds(int count);
    /// One more start without faults, all is delivered, and everything is held against what was sent
    /// and answered. Every broken promise in words; empty: none. Call once.
    std::vector<std::string> verdict();

    [[nodiscard]] std::size_t accepted() const noexcept { return accepted_.size(); }
    [[nodiscard]] int cuts_at_start() const noexcept { return cuts_at_start_; }

private:
    void round();
    void write_rules();
    void read_log(const std::string& log);
    void check_hook();
    void check_file();
    void check_dead_letters();
    void check_ledger(const nlohmann::json& status);
    void wrong(const std::string& what) { wrongs_.push_back(what); }

    Random random_;
    std::string omit_;
    support::TempDir directory_;
    e2e::Daemon daemon_;
    std::mutex mutex_;  // of what came
    std::map<std::uint64_t, std::set<std::string>> came_;  // number in the body -> its webhook-ids
    std::set<std::uint64_t> refused_once_, taken_;
    support::HookServer hook_;
    std::atomic<std::uint64_t> next_{1};
    std::vector<e2e::Accepted> accepted_;
    std::vector<std::string> wrongs_;
    int cuts_at_start_ = 0;
    bool other_rules_ = false;
};

}  // namespace eventyard::power
