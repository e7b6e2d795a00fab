#include "router/journal/versions.hpp"

#include <algorithm>
#include <charconv>

#include "core/bytes.hpp"

namespace eventyard::router {
namespace {

constexpr std::string_view version_magic = "EYROUTES";
constexpr std::uint32_t version_format = 3;
// 1: routes without deliver_at; 2: without inputs, so a binary that knows of none sends what is meant; 3: with some.
constexpr std::uint64_t version_size_max = 1ULL << 30;  // bytes of one file
constexpr int tries_max = 5;  // of a read that fails
constexpr std::size_t recent_max = 4;

constexpr std::size_t head_size = version_magic.size() + 4 + sizeof(Id::bytes) + 8;

/// @param out  a million routes are large: added to in place
void append_content(const RoutingVersion& version, std::string& out)
{
    constexpr std::size_t about_a_route = 48;
    out.reserve(out.size() + version.routes.size() * about_a_route);
    ByteWriter writer{out};
    writer.varint(version.buses.size());
    for (const std::string& bus : version.buses) writer.text(bus);
    writer.varint(version.routes.size());
    for (std::size_t i = 0; i < version.routes.size(); ++i) {
        const Route route = version.routes.at(i);
        writer.text(route.rule);
        writer.text(route.target);
        writer.text(route.input.text());
        writer.text(route.order_key);
        writer.fixed<std::int64_t>(route.delay.count());
        writer.fixed<std::int64_t>(route.expire_after.count());
        writer.text(route.deliver_at);
    }
}

std::uint32_t format_of(const RoutingVersion& version)
{
    return version.routes.any_input() ? version_format : version_format - 1;
}

std::uint32_t crc_of(std::string_view bytes) noexcept { return crc32c(0, bytes.data(), bytes.size()); }

}  // namespace

std::string encode_version(const Id& store, const RoutingVersion& version)
{
    std::string out;
    ByteWriter writer{out};
    writer.raw(version_magic);
    writer.fixed(format_of(version));
    writer.raw({reinterpret_cast<const char*>(store.bytes.data()), store.bytes.size()});
    writer.fixed(version.number);
    append_content(version, out);
    writer.fixed(crc_of(out));
    return out;
}

Result<std::pair<Id, RoutingVersion>> decode_version(std::string_view bytes)
{
    if (bytes.size() < 40) return fail(Errc::corrupt, "too short for a routing version");
    const std::string_view content = bytes.substr(0, bytes.size() - 4);
    ByteReader seal{bytes.substr(content.size())};
    if (seal.fixed<std::uint32_t>() != crc_of(content))
        return fail(Errc::corrupt, "the routing version fails its checksum");
    ByteReader reader{content};
    if (reader.raw(version_magic.size()) != version_magic)
        return fail(Errc::corrupt, "not a routing version");
    const auto format = reader.fixed<std::uint32_t>();
    if (format > version_format)
        return fail(Errc::unsupported, "the routing version has a newer format");
    std::pair<Id, RoutingVersion> parsed;
    const std::string_view store = reader.raw(parsed.first.bytes.size());
    std::copy(store.begin(), store.end(), parsed.first.bytes.begin());
    RoutingVersion& version = parsed.second;
    version.number = reader.fixed<std::uint64_t>();
    const std::uint64_t buses = reader.varint();
    for (std::uint64_t i = 0; i < buses && reader.ok(); ++i) version.buses.emplace_back(reader.text());
    const std::uint64_t routes = reader.varint();
    for (std::uint64_t i = 0; i < routes && reader.ok(); ++i) {
        Route route;
        route.rule = reader.text();
        route.target = reader.text();
        auto input = Input::parse(reader.text());
        if (!input.has_value()) return fail(Errc::corrupt, "the routing version: " + input.error().what);
        route.input = std::move(*input);
        route.order_key = reader.text();
        route.delay = Duration{reader.fixed<std::int64_t>()};
        route.expire_after = Duration{reader.fixed<std::int64_t>()};
        if (format >= 2) route.deliver_at = reader.text();
        version.routes.push_back(route);
    }
    if (!reader.ok()) return fail(Errc::corrupt, "the routing version is shorter than it claims");
    return parsed;
}

std::string Versions::path(std::uint64_t number, char copy) const
{
    return directory_ + '/' + std::to_string(number) + '.' + copy;
}

Result<std::string> Versions::read(std::uint64_t number, char copy)
{
    auto bytes = read_file(disk_, path(number, copy), version_size_max);
    for (int tries = 1; !bytes.has_value() && bytes.error().code == Errc::io && tries < tries_max; ++tries)
        bytes = read_file(disk_, path(number, copy), version_size_max);
    return bytes;
}

Result<std::unique_ptr<Versions>> Versions::open(Disk& disk, std::string directory)
{
    EVENTYARD_CHECK(disk.make_directory(directory));
    std::unique_ptr<Versions> self{new Versions{disk, std::move(directory)}};
    EVENTYARD_TRY(names, disk.list(self->directory_));
    std::set<std::uint64_t> numbers;
    for (const std::string& name : names) {
        std::uint64_t number = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
        const std::string_view rest{end, static_cast<std::size_t>(name.data() + name.size() - end)};
        if (error == std::errc{} && (rest == ".a" || rest == ".b")) numbers.insert(number);
    }
    for (const std::uint64_t number : numbers) {
        Entry entry;
        std::string good;
        std::vector<char> bad;
        std::size_t refused = 0;  // by the disk, which says nothing about the file
        for (const char copy : {'a', 'b'}) {
            auto bytes = self->read(number, copy);
            if (bytes.has_value()) {
                auto parsed = decode_version(*bytes);
                if (parsed.has_value() && parsed->second.number == number) {
                    if (good.empty()) {
                        std::string content;
                        append_content(parsed->second, content);
                        entry = {crc_of(content), content.size(), true, {}};
                        if (self->store_.is_nil()) self->store_ = parsed->first;
                        good = std::move(*bytes);
                    }
                    continue;
                }
                if (!parsed.has_value() && parsed.error().code == Errc::unsupported)
                    return fail(Errc::unsupported, self->path(number, copy) + ": " +
                                                       parsed.error().what);
            }
            if (!bytes.has_value() && bytes.error().code == Errc::io) ++refused;
            bad.push_back(copy);
            self->unreadable_.push_back(self->path(number, copy));
        }
        if (refused == 2) return fail(Errc::io, self->path(number, 'a') + " cannot be read");
        // A lost copy is mended at once; that it cannot be (no space) does not stop the start.
        if (!good.empty())
            for (const char copy : bad) (void)replace_file(disk, self->path(number, copy), good);
        self->entries_[number] = entry;
        self->next_ = std::max(self->next_, number + 1);
    }
    return self;
}

void Versions::remember(const RoutingVersionPtr& version)
{
    recent_.remove(version);
    recent_.push_front(version);
    if (recent_.size() > recent_max) recent_.pop_back();
}

RoutingVersionPtr Versions::find(std::uint64_t number)
{
    auto found = look_up(number);
    return found.has_value() ? std::move(*found) : nullptr;
}

Result<RoutingVersionPtr> Versions::look_up(std::uint64_t number)
{
    const std::lock_guard lock{mutex_};
    return look_up_locked(number);
}

Result<RoutingVersionPtr> Versions::look_up_locked(std::uint64_t number)
{
    const auto at = entries_.find(number);
    if (at == entries_.end() || !at->second.readable) return RoutingVersionPtr{};
    if (RoutingVersionPtr living = at->second.living.lock()) return living;
    bool refused = false;
    for (const char copy : {'a', 'b'}) {
        auto bytes = read(number, copy);
        refused = refused || (!bytes.has_value() && bytes.error().code == Errc::io);
        if (!bytes.has_value()) continue;
        auto parsed = decode_version(*bytes);
        if (!parsed.has_value() || parsed->second.number != number) continue;
        auto version = std::make_shared<const RoutingVersion>(std::move(parsed->second));
        at->second.living = version;
        remember(version);
        return version;
    }
    if (refused) return fail(Errc::io, "routing version " + std::to_string(number) + " cannot be read now");
    return RoutingVersionPtr{};
}

Result<RoutingVersionPtr> Versions::store_version(const RoutingVersion& version)
{
    const std::lock_guard lock{mutex_};
    RoutingVersion numbered{next_, version.buses, version.routes};
    const std::string bytes = encode_version(store_, numbered);
    const std::string_view content = std::string_view(bytes).substr(head_size, bytes.size() - head_size - 4);
    const std::uint32_t hash = crc_of(content);
    for (auto& [number, entry] : entries_) {
        if (!entry.readable || entry.hash != hash || entry.size != content.size()) continue;
        EVENTYARD_TRY(stored, look_up_locked(number));
        if (stored != nullptr && stored->buses == version.buses && stored->routes == version.routes)
            return stored;
    }
    const auto stored = std::make_shared<RoutingVersion>(std::move(numbered));
    if (bytes.size() > version_size_max)
        return fail(Errc::too_large, "the rules' routes take more than 1 GiB");
    for (const char copy : {'a', 'b'}) EVENTYARD_CHECK(replace_file(disk_, path(next_, copy), bytes));
    ++next_;
    entries_[stored->number] = {hash, content.size(), true, stored};
    remember(stored);
    return RoutingVersionPtr{stored};
}

bool Versions::unused(Entries::const_iterator at, const std::set<std::uint64_t>& used) const
{
    const bool newest = std::next(at) == entries_.end();
    return !newest && !used.contains(at->first) && at->second.living.expired();
}

bool Versions::any_unused(const std::set<std::uint64_t>& used) const
{
    const std::lock_guard lock{mutex_};
    for (auto at = entries_.begin(); at != entries_.end(); ++at)
        if (unused(at, used)) return true;
    return false;
}

void Versions::remove_unused(const std::set<std::uint64_t>& used)
{
    const std::lock_guard lock{mutex_};
    for (auto at = entries_.begin(); at != entries_.end();) {
        if (!unused(at, used)) {
            ++at;
            continue;
        }
        for (const char copy : {'a', 'b'}) (void)disk_.unlink(path(at->first, copy));
        at = entries_.erase(at);
    }
}

}  // namespace eventyard::router
