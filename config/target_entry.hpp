// config/target_entry.hpp — one entry of `targets:`, and what must hold between them.
#pragma once

#include <map>
#include <string>

#include "core/fields.hpp"
#include "router/target_spec.hpp"
#include "targets/registry.hpp"

namespace eventyard::config {

struct TargetDraft {
    router::TargetSpec spec;
    Place place;                // of the name
    Place dead_letter_place;
    Place renamed_from_place;
};

using TargetDrafts = std::map<std::string, TargetDraft, std::less<>>;

/// Reads a target: exactly one kind, and the settings every target has. Always gives a draft, so
/// that rules naming a target with mistakes are not reported too; its blueprint may be null.
/// @param untrusted  of the file the entry stands in; null: the operator's own
[[nodiscard]] TargetDraft read_target(const Member& entry, Report& report, SecretSource& secrets,
                                      const targets::Untrusted* untrusted = nullptr);

/// Dead-letter targets exist and form no cycle; names taken over are free and taken once.
void check_targets(const TargetDrafts& targets, Report& report);

}  // namespace eventyard::config
