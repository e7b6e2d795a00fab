// config/yaml_syntax.hpp — says in a person's words why a text is not YAML, and what to write.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace eventyard::config {

/// What yaml-cpp said, and what was being read.
struct YamlFault {
    std::string reason;                // yaml-cpp's message
    std::size_t offset = 0;            // where it stopped, in bytes
    std::size_t last_value = 0;        // offset of the last complete value or key before it
    std::vector<std::size_t> open;     // offsets of the maps and lists being read, outermost first
};

struct YamlAdvice {
    std::size_t offset = 0;            // where the mistake is, in bytes; may be before the fault
    std::string message;
};

[[nodiscard]] YamlAdvice advise(std::string_view text, const YamlFault& fault);

/// Just past the closing quote of the text that begins here; `begin` when no quote stands there,
/// npos when it is never closed. (yaml-cpp takes the end of the file for a closing quote.)
[[nodiscard]] std::size_t quoted_end(std::string_view text, std::size_t begin) noexcept;

/// The first byte that may not stand in a YAML text: a control character or invalid UTF-8.
/// npos when there is none. (yaml-cpp would replace or stop at it without a word.)
[[nodiscard]] std::size_t find_bad_byte(std::string_view text) noexcept;

}  // namespace eventyard::config
