// targets/registry.hpp — the list of target kinds. A new kind is one file and one row here.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.hpp"
#include "targets/target.hpp"

namespace eventyard::targets {

/// One setting of a kind: docs/targets.md and `eventyard check` messages are made from it.
struct Setting {
    const char* key;
    const char* form;      // "duration", "size", "string", "map of strings", ...
    const char* fallback;  // "" when required
    const char* help;
};

/// What the operator grants to a file included with `untrusted: true`.
struct Untrusted {
    bool allow_http = false;
};

struct Kind {
    const char* name;      // the key in YAML: "webhook"
    const char* summary;
    std::span<const Setting> settings;
    /// Reads and validates the settings; mistakes go to the report of `fields` and null comes back.
    std::shared_ptr<const Blueprint> (*read)(Fields& fields);
    /// The same for settings by somebody who is not the operator; null: such people may not have
    /// targets of this kind.
    std::shared_ptr<const Blueprint> (*read_untrusted)(Fields& fields, const Untrusted& limits) = nullptr;
    bool sequence = false;  // what it takes is read as one sequence later: old before new is the better default
};

[[nodiscard]] std::span<const Kind> kinds() noexcept;
[[nodiscard]] const Kind* find_kind(std::string_view name) noexcept;
[[nodiscard]] std::vector<std::string> kind_names();

}  // namespace eventyard::targets
