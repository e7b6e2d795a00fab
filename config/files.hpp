// config/files.hpp — the files a configuration is made of: paths, patterns of paths, content.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace eventyard::config {

/// `path` as seen from the file that names it; absolute paths stay.
[[nodiscard]] std::string resolve_path(const std::string& from_file, const std::string& path);

/// The path from the root, as it is now.
[[nodiscard]] std::string absolute(const std::string& path);

/// One form for one file, however it was named: to find a file named twice.
[[nodiscard]] std::string canonical(const std::string& path);

/// The regular files a pattern (* ? [...]) or a plain path names, sorted; empty when there are none.
[[nodiscard]] std::vector<std::string> expand_glob(const std::string& pattern);

/// A whole regular file. The error starts with the path and never holds content.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t max);

/// ".yaml" of "rules/orders.yaml"; lower case.
[[nodiscard]] std::string extension(const std::string& path);

}  // namespace eventyard::config
