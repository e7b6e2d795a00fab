// cli/admin_client.hpp — asks a running daemon over its admin listener.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/result.hpp"

namespace eventyard::cli {

struct AdminAnswer {
    unsigned status = 0;
    std::string body;
    /// The body as JSON, or null.
    [[nodiscard]] nlohmann::json json() const;
    /// Whether it has the form that answers of an admin listener have; the ingest port's errors, and other servers', have not.
    [[nodiscard]] bool of_admin() const;
};

/// The options every command that talks to a daemon has: --admin ADDRESS and --json.
struct AdminOptions {
    std::string admin = "127.0.0.1:9080";
    bool json = false;
};
std::shared_ptr<AdminOptions> add_admin_options(CLI::App& app);

/// One blocking request; at most five minutes (a reload of many rules takes its time).
Result<AdminAnswer> ask_admin(const std::string& address, const std::string& method,
                              const std::string& target, const std::string& body = {});

/// Asks and prints what went wrong; the answer only when its status is 200 and an admin listener gave it. `exit_code`
/// otherwise holds 1 (the daemon refused) or 2 (no daemon there, or it did not understand the question).
std::optional<AdminAnswer> ask_or_complain(const AdminOptions& options, const std::string& method,
                                           const std::string& target, int& exit_code);

/// The complaint about an answer that is not of_admin().
std::string not_admin(const AdminOptions& options, const AdminAnswer& answer);

/// Percent-encodes one path segment or query value.
std::string encode(const std::string& text);

}  // namespace eventyard::cli
