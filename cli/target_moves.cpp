#include "cli/target_moves.hpp"

#include <iostream>
#include <optional>
#include <utility>

#include "cli/pieces.hpp"
#include "cli/table.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

std::optional<json> move(const AdminOptions& admin, const MoveOptions& options, bool dry_run, int& exit_code)
{
    std::string path = "/v1/targets/" + encode(options.from) + "/move?to=" + encode(options.to);
    for (const auto& [key, value] : {std::pair{"rule", options.rule}, {"id", options.id}, {"older_than", options.older_than},
                                     {"who", options.who}, {"why", options.why}})
        if (!value.empty()) path += std::string("&") + key + "=" + encode(value);
    if (dry_run) path += "&dry_run=true";
    return act_in_pieces(admin, path, exit_code);
}

}  // namespace

int move_deliveries(const AdminOptions& admin, const MoveOptions& options)
{
    if (options.from.empty() || options.to.empty()) {
        std::cerr << "eventyard targets move: give two targets: whose deliveries, and who is to get them\n";
        return 2;
    }
    if (options.why.empty() && !options.dry_run) {
        std::cerr << "eventyard targets move: why? give --reason, for the log\n";
        return 2;
    }
    int exit_code = 0;
    if (options.dry_run || !options.yes) {
        const auto found = move(admin, options, true, exit_code);
        if (!found) return exit_code;
        const std::uint64_t count = found->value("would_move", std::uint64_t{0});
        if (options.dry_run) {
            if (admin.json) std::cout << json{{"would_move", count}}.dump(2) << "\n";
            else std::cout << "would move " << counted(count, "pending delivery") << "\n";
            return count > 0 ? 0 : 1;
        }
        if (count > 0 && !confirmed("this moves " + counted(count, "pending delivery") + " to '" + options.to + "'", count)) {
            std::cerr << "nothing was moved\n";
            return 1;
        }
    }
    const auto sums = move(admin, options, false, exit_code);
    if (!sums) return exit_code;
    const std::uint64_t moved = sums->value("moved", std::uint64_t{0}), flying = sums->value("in_flight", std::uint64_t{0});
    if (admin.json) {
        std::cout << sums->dump(2) << "\n";
    } else {
        std::cout << "moved " << counted(moved, "pending delivery") << " from " << options.from << " to " << options.to;
        if (flying > 0) std::cout << "; " << grouped(flying) << " in flight stay: move again when their attempts have ended";
        std::cout << "\n";
    }
    return moved > 0 ? 0 : 1;
}

}  // namespace eventyard::cli
