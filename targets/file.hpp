// targets/file.hpp — the file kind: JSON Lines, synced, rotated.
#pragma once

#include <memory>
#include <span>

#include "core/disk.hpp"
#include "targets/registry.hpp"

namespace eventyard::targets {

[[nodiscard]] std::span<const Setting> file_settings() noexcept;
std::shared_ptr<const Blueprint> read_file_target(Fields& fields);
/// As read_file_target, writing to `disk`: for tests that break it.
std::shared_ptr<const Blueprint> read_file_target_on(Fields& fields, std::shared_ptr<Disk> disk);

}  // namespace eventyard::targets
