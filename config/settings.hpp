// config/settings.hpp — the main file and those it includes, read into one set of settings.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/document.hpp"
#include "config/target_entry.hpp"
#include "core/fields.hpp"
#include "router/route_table.hpp"

namespace eventyard::config {

struct BusDraft {
    Place place;
    router::Unmatched unmatched = router::Unmatched::drop;
    router::Durability durability = router::Durability::fsync;
    std::optional<router::ArchiveOptions> archive;
    std::shared_ptr<const router::DedupOptions> dedup;
};

struct Settings {
    router::ProcessOptions process;
    router::IngestLimits limits;
    std::map<std::string, BusDraft, std::less<>> buses;  // "default" is always there
    TargetDrafts targets;
    std::vector<std::pair<std::string, Place>> rule_files;  // each once, with who asked for it
};

/// Lists (rules, targets, buses) add up over the files; any other section stands in one file only.
class SettingsReader {
public:
    SettingsReader(Report& report, SecretSource& secrets) : report_(report), secrets_(secrets) {}
    [[nodiscard]] Settings read(const std::string& path);

private:
    using Limits = std::optional<targets::Untrusted>;  // nothing: the file is the operator's own
    void read_file(const std::string& path, const Place& asked_by, const Limits& untrusted);
    void read_root(const Document& document);
    void read_untrusted_root(const Document& document, const targets::Untrusted& limits);
    void read_include_entry(const Node& entry, const Document& document);
    void read_includes(Fields& fields, const Document& document);
    void read_rule_globs(Fields& fields, const Document& document);
    void read_targets(Fields& fields, const targets::Untrusted* untrusted);
    void read_buses(Fields& fields);
    [[nodiscard]] std::optional<router::ArchiveOptions> read_archive(Fields& bus);
    [[nodiscard]] std::shared_ptr<const router::DedupOptions> read_dedup(Fields& bus);
    /// The section, unless absent or already given in another file (which is reported).
    [[nodiscard]] bool once(const Node& root, const char* key);
    using Files = std::vector<std::pair<std::string, Place>>;
    [[nodiscard]] Files expand(Fields& fields, const char* key, const Document& document);
    /// Adds the files a pattern names; none is a mistake.
    void expand_one(const std::string& pattern, const Place& place, const Document& document, Files& files);

    Report& report_;
    SecretSource& secrets_;
    Settings out_;
    std::map<std::string, Place> given_;
    std::vector<std::pair<std::string, std::string>> chain_;  // canonical and shown, outermost first
    std::map<std::string, Limits> read_;                      // canonical
    std::set<std::string> rule_files_;                        // canonical
    bool understood_ = false;                                 // a file's root was a map
};

}  // namespace eventyard::config
