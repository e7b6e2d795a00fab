// cli/dead_letter_options.hpp — which dead letters are meant, as options and as a query.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace eventyard::cli {

struct DeadLetterOptions {
    std::vector<std::int64_t> ids;
    std::string target, rule, reason, cause, older_than, newer_than;
    std::int64_t group = 0;
    bool all = false;

    [[nodiscard]] bool given() const;
    /// "target=a&group=7"; values are encoded.
    [[nodiscard]] std::string query() const;
};

void add_filter_options(CLI::App& app, DeadLetterOptions& options);

/// Who acts: --who, else the user and the host. @param why_name  --reason, where that is no filter
void add_act_options(CLI::App& app, std::string& who, std::string& why, const char* why_name = "--why");

}  // namespace eventyard::cli
