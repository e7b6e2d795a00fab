#include "cli/input.hpp"

#include <iostream>
#include <iterator>

#include "config/files.hpp"

namespace eventyard::cli {
namespace {

constexpr std::size_t input_max = 64U << 20;

}  // namespace

bool is_literal(const std::string& argument) noexcept
{
    const std::size_t first = argument.find_first_not_of(" \t\r\n");
    return first != std::string::npos && (argument[first] == '{' || argument[first] == '[');
}

Result<std::string> read_input(const std::string& argument)
{
    if (is_literal(argument)) return argument;
    if (argument != "-") return config::read_file(argument, input_max);
    std::string text;
    char buffer[64 << 10];
    while (std::cin.read(buffer, sizeof buffer) || std::cin.gcount() > 0) {
        text.append(buffer, static_cast<std::size_t>(std::cin.gcount()));
        if (text.size() > input_max)
            return fail(Errc::too_large, "standard input holds more than 64 MiB");
    }
    return text;
}

}  // namespace eventyard::cli
