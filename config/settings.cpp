#include "config/settings.hpp"

#include <algorithm>

#include "config/address.hpp"
#include "config/document.hpp"
#include "config/files.hpp"
#include "config/names.hpp"
#include "config/secrets.hpp"

namespace eventyard::config {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kib = 1U << 10;
constexpr std::uint64_t mib = 1U << 20;
constexpr std::uint64_t gib = 1U << 30;

void read_listen(Fields& root, router::ProcessOptions& process)
{
    auto listen = root.section("listen");
    if (!listen) return;
    const auto address = [&](const char* key, std::string fallback) {
        std::string text = listen->text(key, std::move(fallback));
        if (const std::string wrong = address_mistake(text); !wrong.empty())
            listen->error(key, "'" + std::string(key) + "' " + wrong + ", found '" + text + "'");
        return text;
    };
    process.listen_http = address("http", process.listen_http);
    process.listen_admin = address("admin", process.listen_admin);
    listen->finish("listen");
}

void read_limits(Fields& root, router::IngestLimits& limits)
{
    auto fields = root.section("limits");
    if (!fields) return;
    const auto count = [&](const char* key, std::uint32_t fallback, std::int64_t max) {
        return static_cast<std::uint32_t>(fields->integer(key, fallback, {.min = 1, .max = max}));
    };
    limits.body = fields->size("body", limits.body, 64, gib);
    limits.headers = fields->size("headers", limits.headers, kib, mib);
    limits.depth = count("depth", limits.depth, 10'000);
    limits.batch = count("batch", limits.batch, 100'000);
    limits.matches = count("matches", limits.matches, 100'000);
    limits.connections = count("connections", limits.connections, 1'000'000);
    limits.buffers = fields->size("buffers", limits.buffers, 64 * kib, 1024 * gib);
    limits.idle = fields->duration("idle", limits.idle, {.min = 10ms, .max = 24h});
    limits.request = fields->duration("request", limits.request, {.min = 10ms, .max = 24h});
    fields->finish("limits");
}

void read_journal(Fields& root, router::ProcessOptions& process)
{
    auto fields = root.section("journal");
    if (!fields) return;
    process.segment_size = fields->size("segment_size", process.segment_size, 64 * kib, 4 * gib);
    process.min_free = fields->size("min_free", process.min_free);
    refuse_later(*fields, *root.node("journal"), {"archive", "compress", "retention"});
    fields->finish("journal");
}

void read_dead_letters(Fields& root, router::DeadLetterRetention& retention)
{
    auto fields = root.section("dead_letters");
    if (!fields) return;
    retention.max_age = fields->duration("max_age", retention.max_age, {.max = 10 * 365 * 24h});
    retention.max_bytes = fields->size("max_bytes", retention.max_bytes);
    fields->finish("dead_letters");
}

void read_log(Fields& root, router::LogOptions& log)
{
    auto fields = root.section("log");
    if (!fields) return;
    log.format = fields->choice("format", {"text", "json"}, log.format);
    log.level = fields->choice("level", {"debug", "info", "warn", "error"}, log.level);
    fields->finish("log");
}

router::Durability durability_of(const std::string& word)
{
    return word == "os"       ? router::Durability::os
           : word == "memory" ? router::Durability::memory
                              : router::Durability::fsync;
}

router::Unmatched unmatched_of(const std::string& word)
{
    return word == "store"    ? router::Unmatched::store
           : word == "refuse" ? router::Unmatched::refuse
                              : router::Unmatched::drop;
}

}  // namespace

Settings SettingsReader::read(const std::string& path)
{
    out_.buses.emplace("default", BusDraft{});
    read_file(path, {}, std::nullopt);
    if (understood_ && given_.find("data_dir") == given_.end())
        report_.error({std::make_shared<const std::string>(path), 1, 1},
                      "'data_dir' is missing: the folder that keeps the journal and the state");
    return std::move(out_);
}

void SettingsReader::read_file(const std::string& path, const Place& asked_by, const Limits& untrusted)
{
    const std::string id = canonical(path);
    const auto open = std::find_if(chain_.begin(), chain_.end(),
                                   [&](const auto& link) { return link.first == id; });
    if (open != chain_.end()) {
        std::string chain;
        for (auto link = open; link != chain_.end(); ++link) chain += link->second + " -> ";
        report_.error(asked_by, "files include each other in a circle: " + chain + path);
        return;
    }
    const auto [known, fresh] = read_.emplace(id, untrusted);
    if (!fresh) {
        // Which came first must not decide what the file may do.
        const Limits& before = known->second;
        if (before.has_value() != untrusted.has_value())
            report_.error(asked_by, "'" + path + "' is included with 'untrusted: true' and without it");
        else if (before && before->allow_http != untrusted->allow_http)
            report_.error(asked_by, "'" + path + "' is included with 'allow_http: true' and without it");
        return;
    }
    const auto document = read_document(path, asked_by, report_, true);
    if (!document) return;
    chain_.emplace_back(id, path);
    if (untrusted) read_untrusted_root(*document, *untrusted);
    else read_root(*document);
    chain_.pop_back();
}

void SettingsReader::read_root(const Document& document)
{
    const Node& root = document.root;
    if (root.kind == Node::Kind::null && root.text.empty()) {
        report_.error({document.file, 1, 1}, "this file is empty; a configuration has at least data_dir");
        return;
    }
    if (root.find("pattern") != nullptr || root.kind == Node::Kind::list) {
        report_.error(root.place, "this looks like a rule file; name it under 'rules' of the main file");
        return;
    }
    Fields fields(root, report_, secrets_);
    router::ProcessOptions& process = out_.process;
    understood_ = root.kind == Node::Kind::map;
    if (once(root, "listen")) read_listen(fields, process);
    if (once(root, "data_dir")) {
        process.data_dir = fields.required_text("data_dir");
        if (!process.data_dir.empty())
            process.data_dir = resolve_path(*document.file, process.data_dir);
    }
    if (once(root, "threads"))
        process.threads =
            static_cast<std::uint32_t>(fields.integer("threads", 0, {.min = 0, .max = 256}));
    if (once(root, "limits")) read_limits(fields, out_.limits);
    if (once(root, "journal")) read_journal(fields, process);
    if (once(root, "log")) read_log(fields, process.log);
    if (once(root, "dead_letters")) read_dead_letters(fields, process.dead_letters);
    if (once(root, "shutdown_grace"))
        process.shutdown_grace =
            fields.duration("shutdown_grace", process.shutdown_grace, {.max = 1h});
    for (const char* key :
         {"listen", "data_dir", "threads", "limits", "journal", "log", "dead_letters", "shutdown_grace"})
        static_cast<void>(fields.has(key));
    read_buses(fields);
    read_targets(fields, nullptr);
    read_rule_globs(fields, document);
    for (const char* key : {"archive", "dedup"})
        if (fields.node(key) != nullptr)
            fields.error(key, "'" + std::string(key) + "' belongs to a bus: buses: {default: {" + key + ": ...}}");
    refuse_later(fields, root,
                 {"archives", "schedules", "sources", "auth", "tls",
                  "clock_settle", "schemas", "api_destinations"});
    read_includes(fields, document);
    fields.finish("a configuration");
}

bool SettingsReader::once(const Node& root, const char* key)
{
    if (root.find(key) == nullptr) return false;
    const Place& place = key_place(root, key);
    const auto [first, inserted] = given_.emplace(key, place);
    if (!inserted)
        report_.error(place, "'" + std::string(key) + "' is already given at " + shown(first->second));
    return inserted;
}

SettingsReader::Files SettingsReader::expand(Fields& fields, const char* key, const Document& document)
{
    Files files;
    const Node* list = fields.node(key);
    if (list == nullptr || (list->kind == Node::Kind::list && list->items.empty())) return files;
    if (list->kind == Node::Kind::map ||
        std::any_of(list->items.begin(), list->items.end(),
                    [](const Node& item) { return item.kind == Node::Kind::map; })) {
        report_.error(list->place, "'" + std::string(key) +
                                       "' is a list of files, such as [" + key +
                                       "/*.yaml]; what they hold stands in them");
        return files;
    }
    const std::vector<std::string> patterns = fields.texts(key);
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        const Place& place = list->kind == Node::Kind::list && i < list->items.size()
                                 ? list->items[i].place
                                 : list->place;
        expand_one(patterns[i], place, document, files);
    }
    return files;
}

void SettingsReader::expand_one(const std::string& pattern, const Place& place,
                                const Document& document, Files& files)
{
    const auto found = expand_glob(resolve_path(*document.file, pattern));
    if (found.empty()) report_.error(place, "no file matches '" + pattern + "'");
    for (const std::string& file : found) files.emplace_back(file, place);
}

void SettingsReader::read_includes(Fields& fields, const Document& document)
{
    // Entries with `file` say more than a path; the others are paths, as in any list of files.
    Node plain;
    if (const Node* list = fields.node("include"); list != nullptr && list->kind == Node::Kind::list) {
        plain = Node{Node::Kind::map, list->place, {}, {}, {{"include", list->place, *list}}};
        std::erase_if(plain.members[0].value.items, [](const Node& item) {
            return item.kind == Node::Kind::map && item.find("file") != nullptr;
        });
        Fields paths(plain, report_, secrets_);
        for (const auto& [path, place] : expand(paths, "include", document))
            read_file(path, place, std::nullopt);
        for (const Node& item : list->items)
            if (item.kind == Node::Kind::map && item.find("file") != nullptr)
                read_include_entry(item, document);
        return;
    }
    for (const auto& [path, place] : expand(fields, "include", document))
        read_file(path, place, std::nullopt);
}

void SettingsReader::read_include_entry(const Node& entry, const Document& document)
{
    Fields fields(entry, report_, secrets_);
    const std::string pattern = fields.required_text("file");
    const bool untrusted = fields.flag("untrusted", false);
    const bool allow_http = fields.flag("allow_http", false);
    if (allow_http && !untrusted)
        fields.error("allow_http", "'allow_http' has no meaning without 'untrusted: true'");
    fields.finish("an include");
    if (pattern.empty()) return;
    Files files;
    expand_one(pattern, fields.place_of("file"), document, files);
    for (const auto& [path, place] : files)
        read_file(path, place, untrusted ? Limits{targets::Untrusted{allow_http}} : std::nullopt);
}

void SettingsReader::read_untrusted_root(const Document& document, const targets::Untrusted& limits)
{
    const Node& root = document.root;
    for (const Member& member : root.members)
        if (member.key != "targets")
            report_.error(member.key_place, "'" + member.key + "' has no place in a file included with "
                                            "'untrusted: true'; it holds 'targets' only");
    Secrets none{Secrets::References::refused};
    Fields fields(root, report_, none);
    read_targets(fields, &limits);
}

void SettingsReader::read_rule_globs(Fields& fields, const Document& document)
{
    for (auto& [path, place] : expand(fields, "rules", document))
        if (rule_files_.insert(canonical(path)).second) out_.rule_files.emplace_back(path, place);
}

void SettingsReader::read_targets(Fields& fields, const targets::Untrusted* untrusted)
{
    const Node* map = fields.node("targets");
    if (map == nullptr || (map->kind == Node::Kind::null)) return;
    if (map->kind != Node::Kind::map) {
        report_.error(map->place, std::string("'targets' must be a map of names to targets, found ") +
                                      kind_name(map->kind));
        return;
    }
    for (const Member& entry : map->members) {
        TargetDraft draft = read_target(entry, report_, fields.secrets(), untrusted);
        const auto [first, inserted] = out_.targets.emplace(entry.key, std::move(draft));
        if (!inserted)
            report_.error(entry.key_place, "target '" + entry.key + "' is already defined at " +
                                               shown(first->second.place));
    }
}

std::optional<router::ArchiveOptions> SettingsReader::read_archive(Fields& bus)
{
    auto fields = bus.section("archive");
    if (!fields) return std::nullopt;
    router::ArchiveOptions archive;
    if (!fields->has("retention"))
        report_.error(fields->place(), "'retention' is missing: how long events are kept; 0 for ever");
    archive.retention = fields->duration("retention", Duration{0});
    archive.max_bytes = fields->size("max_bytes", 0);
    if (const Node* pattern = fields->node("pattern")) {
        std::optional<Node> parsed;
        if (pattern->kind == Node::Kind::string) parsed = read_embedded_json(*pattern, {}, report_);
        const bool readable = pattern->kind != Node::Kind::string || parsed;
        if (readable)
            if (auto compiled = rules::compile_pattern(parsed ? *parsed : *pattern, report_))
                archive.pattern = std::make_shared<const rules::Pattern>(std::move(*compiled));
    }
    fields->finish("an archive");
    return archive;
}

std::shared_ptr<const router::DedupOptions> SettingsReader::read_dedup(Fields& bus)
{
    auto fields = bus.section("dedup");
    if (!fields) return nullptr;
    router::DedupOptions dedup;
    std::vector<std::string> key{"source", "id"};
    const Node* const given = fields->node("key");
    if (given != nullptr) key = fields->texts("key");
    if (given != nullptr && given->kind == Node::Kind::list && given->items.empty())
        fields->error("key", "'key' is empty: expected what tells events apart, such as [source, id] or $.detail.id");
    for (const std::string& text : key) {
        auto path = json::Path::of_one(text);
        if (path.has_value()) dedup.key.push_back(std::move(*path));
        else fields->error("key", "'key' has '" + text + "': " + path.error().what);
    }
    dedup.window = fields->duration("window", dedup.window, {.min = 1s, .max = 24h * 31});
    dedup.keys_max = static_cast<std::uint32_t>(fields->integer("keys_max", dedup.keys_max, {.min = 1, .max = 100'000'000}));
    fields->finish("a dedup");
    return std::make_shared<const router::DedupOptions>(std::move(dedup));
}

void SettingsReader::read_buses(Fields& fields)
{
    const Node* map = fields.node("buses");
    if (map == nullptr || map->kind == Node::Kind::null) return;
    if (map->kind != Node::Kind::map) {
        report_.error(map->place, std::string("'buses' must be a map of names to settings, found ") +
                                      kind_name(map->kind));
        return;
    }
    for (const Member& entry : map->members) {
        check_name(entry.key, "a bus", false, entry.key_place, report_);
        BusDraft draft{entry.key_place, {}, {}, {}, {}};
        if (entry.value.kind != Node::Kind::null) {  // "orders:" alone: all defaults
            Fields bus(entry.value, report_, secrets_);
            draft.unmatched = unmatched_of(bus.choice("unmatched", {"drop", "store", "refuse"}, "drop"));
            draft.durability =
                durability_of(bus.choice("durability", {"fsync", "os", "memory"}, "fsync"));
            draft.archive = read_archive(bus);
            draft.dedup = read_dedup(bus);
            refuse_later(bus, entry.value, {"schema", "auth"});
            bus.finish("a bus");
        }
        BusDraft& known = out_.buses[entry.key];
        if (known.place.line > 0)
            report_.error(entry.key_place, "bus '" + entry.key + "' is already defined at " +
                                               shown(known.place));
        else
            known = draft;
    }
}

}  // namespace eventyard::config
