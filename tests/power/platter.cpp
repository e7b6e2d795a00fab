#include "tests/power/platter.hpp"

#include <algorithm>
#include <unordered_map>

namespace eventyard::power {
namespace {

std::uint64_t below(Random& random, std::uint64_t n)
{
    return std::uniform_int_distribution<std::uint64_t>{0, n - 1}(random);
}

}  // namespace

std::string parent_of(const std::string& path)
{
    return path.substr(0, path.rfind('/'));
}

Platter::Platter(const Tree& start)
{
    for (const auto& [path, content] : start) {
        if (!content) {
            names_[path] = std::nullopt;
            continue;
        }
        names_[path] = files_.size();
        files_.push_back({*content, {}});
    }
    synced_names_ = names_;
}

std::optional<Platter::FileId> Platter::find(const std::string& path) const
{
    const auto at = names_.find(path);
    return at == names_.end() ? std::nullopt : at->second;
}

void Platter::apply(const NameChange& change, Names& names)
{
    if (!change.from.empty()) names.erase(change.from);
    if (!change.to.empty()) names[change.to] = change.entry;
}

void Platter::change_name(NameChange change)
{
    change.number = ++changes_;
    apply(change, names_);
    name_changes_.push_back(std::move(change));
}

Platter::FileId Platter::create(const std::string& path)
{
    files_.emplace_back();
    change_name({0, "", path, files_.size() - 1});
    return files_.size() - 1;
}

void Platter::make_directory(const std::string& path)
{
    change_name({0, "", path, std::nullopt});
}

void Platter::rename(const std::string& from, const std::string& to)
{
    change_name({0, from, to, names_.at(from)});
}

void Platter::unlink(const std::string& path)
{
    change_name({0, path, "", std::nullopt});
}

void Platter::write(FileId file, std::uint64_t offset, std::string_view bytes)
{
    files_[file].changes.push_back({++changes_, false, offset, std::string(bytes)});
}

void Platter::truncate(FileId file, std::uint64_t size)
{
    files_[file].changes.push_back({++changes_, true, size, ""});
}

void Platter::apply(const Change& change, std::string& content)
{
    if (change.truncates) {
        content.resize(change.at);
        return;
    }
    content.resize(std::max<std::size_t>(content.size(), change.at + change.bytes.size()));
    std::copy(change.bytes.begin(), change.bytes.end(),
              content.begin() + static_cast<std::ptrdiff_t>(change.at));
}

void Platter::sync_file(FileId file, std::uint64_t through)
{
    auto& [synced, changes] = files_[file];
    std::size_t done = 0;
    for (; done < changes.size() && changes[done].number <= through; ++done)
        apply(changes[done], synced);
    changes.erase(changes.begin(), changes.begin() + static_cast<std::ptrdiff_t>(done));
}

void Platter::sync_directory(const std::string& path, std::uint64_t through)
{
    std::erase_if(name_changes_, [&](const NameChange& change) {
        const bool here = parent_of(change.to.empty() ? change.from : change.to) == path;
        if (!here || change.number > through) return false;
        apply(change, synced_names_);
        return true;
    });
}

Tree Platter::live() const
{
    Tree tree;
    for (const auto& [path, entry] : names_) {
        tree[path] = std::nullopt;
        if (!entry) continue;
        std::string content = files_[*entry].synced;
        for (const Change& change : files_[*entry].changes) apply(change, content);
        tree[path] = std::move(content);
    }
    return tree;
}

std::string Platter::survivor(const File& file, Random& random)
{
    const std::size_t count = file.changes.size();
    const auto mood = below(random, 4);  // nothing came through, everything did, or it is torn
    if (mood == 0) return file.synced;
    // The length is as it was after this many changes; a later truncation did not happen, and so
    // nothing that was written after it.
    const std::size_t length_after = mood == 1 ? count : below(random, count + 1);
    std::size_t last = length_after;
    while (last < count && !file.changes[last].truncates) ++last;
    std::unordered_map<std::uint64_t, std::size_t> kept;  // sector -> changes of it that came through
    const auto kept_of = [&](std::uint64_t number) {
        const auto [at, fresh] = kept.try_emplace(number, last);
        if (fresh && mood != 1) {
            const auto draw = below(random, 3);
            if (draw == 0) at->second = 0;
            if (draw == 1) at->second = below(random, last + 1);
        }
        return at->second;
    };
    std::string content = file.synced;
    std::size_t length = content.size();
    for (std::size_t i = 0; i < last; ++i) {
        const Change& change = file.changes[i];
        if (change.truncates) {
            apply(change, content);
        } else {
            for (std::size_t from = 0; from < change.bytes.size();) {
                const std::uint64_t at = change.at + from;
                const std::size_t size = std::min<std::size_t>(sector - at % sector, change.bytes.size() - from);
                if (i < kept_of(at / sector)) apply({0, false, at, change.bytes.substr(from, size)}, content);
                from += size;
            }
        }
        if (i < length_after)
            length = change.truncates ? change.at : std::max<std::size_t>(length, change.at + change.bytes.size());
    }
    content.resize(length);
    return content;
}

Tree Platter::cut(Random& random) const
{
    Names names = synced_names_;
    const auto quarters = below(random, 5);  // of the changes of names that came through
    for (const NameChange& change : name_changes_)
        if (below(random, 4) < quarters) apply(change, names);
    Tree tree;
    for (const auto& [path, entry] : names) {
        // A name whose directory did not come through is not there.
        const std::string above = parent_of(path);
        const bool reachable = tree.count(above) != 0 || (names_.count(above) == 0 && names.count(above) == 0);
        if (!reachable) continue;
        tree[path] = std::nullopt;
        if (entry) tree[path] = survivor(files_[*entry], random);
    }
    return tree;
}

}  // namespace eventyard::power
