#include "cli/pieces.hpp"

#include <iostream>

namespace eventyard::cli {

using nlohmann::json;

std::optional<json> act_in_pieces(const AdminOptions& admin, const std::string& path, int& exit_code)
{
    json sums = json::object();
    for (json next = ""; !next.is_null();) {
        const auto answer = ask_or_complain(admin, "POST", path + "&after=" + encode(next.get<std::string>()), exit_code);
        if (!answer) return std::nullopt;
        const json told = answer->json();
        for (const auto& [key, value] : told.items())
            if (value.is_number()) sums[key] = sums.value(key, std::uint64_t{0}) + value.get<std::uint64_t>();
        next = told.value("next", json());
    }
    return sums;
}

bool confirmed(const std::string& act, std::uint64_t number)
{
    std::cerr << act << ". Type that number to do it: " << std::flush;
    std::string typed;
    if (!std::getline(std::cin, typed)) std::cerr << "\n";
    return typed == std::to_string(number);
}

}  // namespace eventyard::cli
