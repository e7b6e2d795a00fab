#include "router/backup.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/log.hpp"

namespace eventyard::router {
namespace {

constexpr int manifest_form = 1;
constexpr std::chrono::seconds hold_patience{60};

}  // namespace

std::string encode_manifest(const BackupManifest& manifest)
{
    return nlohmann::ordered_json{{"backup", manifest_form},       {"store", manifest.store.text()},
                                  {"made", manifest.made},         {"by", manifest.by},
                                  {"last_sequence", manifest.last}, {"journal_bytes", manifest.bytes},
                                  {"segments", manifest.segments}}
               .dump(2) +
           "\n";
}

Result<BackupManifest> decode_manifest(const std::string& text)
{
    const auto json = nlohmann::json::parse(text, nullptr, false);
    const Error corrupt = fail(Errc::corrupt, "backup.json is not what a backup writes");
    if (!json.is_object() || !json.contains("backup") || !json["backup"].is_number_integer()) return corrupt;
    if (json["backup"].get<int>() > manifest_form) return fail(Errc::unsupported, "the backup has a newer form; use a newer eventyard");
    try {
        BackupManifest manifest;
        const auto store = parse_id(json.at("store").get<std::string>());
        if (!store) return corrupt;
        manifest.store = *store;
        manifest.made = json.at("made").get<std::string>();
        manifest.by = json.at("by").get<std::string>();
        manifest.last = json.at("last_sequence").get<Sequence>();
        manifest.bytes = json.at("journal_bytes").get<std::uint64_t>();
        manifest.segments = json.at("segments").get<std::vector<std::string>>();
        return manifest;
    } catch (const nlohmann::json::exception&) {
        return corrupt;
    }
}

BackupDesk::BackupDesk(Disk& disk, const Clock& clock, Journal& journal, State& state, std::string data_dir, Hooks hooks)
    : disk_(disk), clock_(clock), journal_(journal), state_(state), data_dir_(std::move(data_dir)), hooks_(std::move(hooks))
{
}

void BackupDesk::start(std::function<void(Result<BackupMade>)> done)
{
    if (done_) return done(fail(Errc::conflict, "a backup is being made already"));
    done_ = std::move(done);
    hold_by_ = clock_.steady() + hold_patience;
    tick();
}

void BackupDesk::tick()
{
    if (!hold_by_) return;
    if (!hooks_.hold()) {
        if (clock_.steady() < *hold_by_) return;
        hold_by_.reset();
        return answer(fail(Errc::unavailable, "an audit, an erasure or a long release of segments is under way; ask again"));
    }
    hold_by_.reset();
    hooks_.gather([this] { hooks_.post([this] { copy_state(); }); });
}

/// A backup must not be what fills the disk.
Result<void> BackupDesk::room_for_state()
{
    if (!journal_.stats().accepting) return fail(Errc::no_space, "too little space is free, or the disk fails: no backup is made");
    EVENTYARD_TRY(file, disk_.open(data_dir_ + "/state.db", OpenMode::read));
    EVENTYARD_TRY(size, file->size());
    EVENTYARD_TRY(space, disk_.space(data_dir_));
    if (space.free / 2 >= size) return {};
    return fail(Errc::no_space, "a copy of state.db would take more than half of the free space: no backup is made");
}

void BackupDesk::copy_state()
{
    if (const auto room = room_for_state(); !room.has_value()) return finish(room.error());
    std::string stamp = to_rfc3339(clock_.wall());
    stamp.erase(std::remove(stamp.begin(), stamp.end(), ':'), stamp.end());
    path_ = data_dir_ + "/backups/" + stamp;
    if (disk_.exists(path_)) return finish(fail(Errc::conflict, "'" + path_ + "' exists already"));
    if (auto made = disk_.make_directory(path_); !made.has_value()) return finish(made.error());
    made_directory_ = true;
    state_.export_copy(path_ + "/state.db", [this](const Result<void>& copied) {
        hooks_.post([this, copied] {
            if (!copied.has_value()) return finish(copied.error());
            copy_journal();
        });
    });
}

void BackupDesk::copy_journal()
{
    journal_.copy_to(path_ + "/journal", [this](Result<JournalCopy> copied) {
        hooks_.post([this, copied = std::move(copied)]() mutable { finish(std::move(copied)); });
    });
}

void BackupDesk::finish(Result<JournalCopy> copied)
{
    hooks_.let_go();
    auto result = [&]() -> Result<BackupMade> {
        if (!copied.has_value()) return copied.error();
        BackupMade made;
        made.path = path_;
        made.manifest = {journal_.recovery().store, to_rfc3339(clock_.wall()), EVENTYARD_VERSION, copied->last,
                         std::move(copied->segments), copied->bytes};
        EVENTYARD_CHECK(replace_file(disk_, path_ + "/backup.json", encode_manifest(made.manifest)));
        EVENTYARD_CHECK(disk_.sync_directory(data_dir_ + "/backups"));
        return made;
    }();
    if (result.has_value())
        log::info("backup", "made a backup", {{"path", path_}, {"segments", result->manifest.segments.size()}, {"last", result->manifest.last}});
    else
        log::warn("backup", "a backup failed", {{"error", result.error().what}});
    // What is half done holds space of segments that nobody needs any more.
    std::error_code ignored;
    if (!result.has_value() && made_directory_) std::filesystem::remove_all(path_, ignored);
    made_directory_ = false;
    answer(std::move(result));
}

void BackupDesk::answer(Result<BackupMade> result)
{
    const auto done = std::exchange(done_, nullptr);
    done(std::move(result));
}

}  // namespace eventyard::router
