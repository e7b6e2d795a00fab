#include "targets/rotation.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <tuple>

namespace eventyard::targets {
namespace {

std::string stamp_of(WallTime time)
{
    const std::time_t seconds =
        std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 32> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc);
    return {text.data(), size};
}

bool is_stamp(std::string_view text)
{
    if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return false;
    for (std::size_t i = 0; i < 15; ++i)
        if (i != 8 && (text[i] < '0' || text[i] > '9')) return false;
    return true;
}

std::optional<RotatedFile> parse(std::string_view base, const std::string& name)
{
    std::string_view rest = name;
    if (rest.substr(0, base.size()) != base) return std::nullopt;
    rest.remove_prefix(base.size());
    if (rest.size() < 19 || rest[0] != '.' || !is_stamp(rest.substr(1, 16)) || rest[17] != '.')
        return std::nullopt;
    RotatedFile file{name, std::string(rest.substr(1, 16)), 0, false};
    rest.remove_prefix(18);
    if (rest.size() > 4 && rest.substr(rest.size() - 4) == ".zst") {
        file.compressed = true;
        rest.remove_suffix(4);
    }
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), file.number);
    if (ec != std::errc{} || end != rest.data() + rest.size()) return std::nullopt;
    return file;
}

}  // namespace

WallTime period_start(WallTime time, Duration every)
{
    if (every <= Duration{0}) return WallTime{};
    const Duration since = time.time_since_epoch();
    Duration::rep periods = since.count() / every.count();
    if (since.count() < 0 && since.count() % every.count() != 0) --periods;
    return WallTime{Duration{periods * every.count()}};
}

bool rotation_due(const Rotation& rotation, std::uint64_t size, std::uint64_t adding,
                  WallTime since, WallTime now)
{
    if (size == 0) return false;
    if (rotation.max_size != 0 && size + adding > rotation.max_size) return true;
    // Not when the clock went back: only a later period is a reason.
    return rotation.every > Duration{0} && period_start(now, rotation.every) > since;
}

std::string rotated_name(std::string_view base, WallTime now, const std::vector<std::string>& names)
{
    const std::string stem = std::string(base) + "." + stamp_of(now) + ".";
    std::uint64_t number = 1;
    for (const RotatedFile& file : rotated_files(base, names))
        if (file.name.rfind(stem, 0) == 0) number = std::max(number, file.number + 1);
    return stem + std::to_string(number);
}

std::vector<RotatedFile> rotated_files(std::string_view base, const std::vector<std::string>& names)
{
    std::vector<RotatedFile> files;
    for (const std::string& name : names)
        if (auto file = parse(base, name)) files.push_back(std::move(*file));
    std::sort(files.begin(), files.end(), [](const RotatedFile& a, const RotatedFile& b) {
        return std::tie(a.stamp, a.number, a.name) < std::tie(b.stamp, b.number, b.name);
    });
    return files;
}

}  // namespace eventyard::targets
