#include "router/journal/segment_index.hpp"

#include <algorithm>

#include "core/bytes.hpp"

namespace eventyard::router {

std::uint32_t SegmentIndex::pair_of(const std::string& rule, const std::string& target)
{
    const auto [at, added] =
        pairs_.try_emplace({rule, target}, static_cast<std::uint32_t>(summary_.routes.size()));
    if (added) summary_.routes.push_back({rule, target, 0, 0});
    return at->second;
}

std::uint32_t SegmentIndex::pair_of(std::uint64_t version, std::uint32_t route,
                                    const RoutingVersion& names)
{
    auto& known = pairs_of_version_[version];
    if (known.size() < names.routes.size()) known.resize(names.routes.size());
    if (known[route] == 0)
        known[route] = pair_of(std::string{names.routes[route].rule}, names.routes[route].target) + 1;
    return known[route] - 1;
}

void SegmentIndex::use_version(std::uint64_t version)
{
    if (!summary_.versions.empty() && summary_.versions.back() == version) return;
    if (std::find(summary_.versions.begin(), summary_.versions.end(), version) ==
        summary_.versions.end())
        summary_.versions.push_back(version);
}

void SegmentIndex::append(IndexedEvent event)
{
    event.routes_count = static_cast<std::uint32_t>(routes_.size()) - event.routes_first;
    for (std::size_t i = event.routes_first; i < routes_.size(); ++i) {
        if (routes_[i] == route_dropped) continue;
        RouteCount& pair = summary_.routes[routes_[i]];
        ++pair.count;
        pair.bytes += event.body_length;
    }
    ++(event.damaged ? summary_.damaged : summary_.events);
    cover(event.sequence, event.sequence);
    events_.push_back(event);
}

void SegmentIndex::add(const StoredEvent& stored, std::uint64_t offset, std::uint32_t length)
{
    IndexedEvent event;
    event.sequence = stored.sequence;
    event.offset = offset;
    event.length = length;
    event.body_length = static_cast<std::uint32_t>(stored.event.body.size());
    event.id_hash = hash_of(stored.event.id);
    event.routes_first = static_cast<std::uint32_t>(routes_.size());
    for (const std::uint32_t route : stored.routes)
        routes_.push_back(pair_of(stored.version->number, route, *stored.version));
    use_version(stored.version->number);
    append(event);
}

void SegmentIndex::add(Sequence sequence, const EventMeta& meta, const RoutingVersion* version,
                       std::uint64_t offset, std::uint32_t length, std::uint32_t body_length)
{
    IndexedEvent event;
    event.sequence = sequence;
    event.offset = offset;
    event.length = length;
    event.body_length = body_length;
    event.id_hash = hash_of(meta.id);
    event.routes_first = static_cast<std::uint32_t>(routes_.size());
    event.damaged = version == nullptr;
    if (version != nullptr)
        for (const std::uint32_t route : meta.routes) {
            if (route < version->routes.size())
                routes_.push_back(pair_of(meta.version, route, *version));
            else
                event.damaged = true;
        }
    use_version(meta.version);
    append(event);
}

void SegmentIndex::add_damaged(Sequence sequence,
                               const std::vector<std::pair<std::string, std::string>>& routes)
{
    IndexedEvent event;
    event.sequence = sequence;
    event.damaged = true;
    event.routes_first = static_cast<std::uint32_t>(routes_.size());
    for (const auto& [rule, target] : routes) routes_.push_back(target.empty() ? route_dropped : pair_of(rule, target));
    append(event);
}

void SegmentIndex::drop_route(std::uint32_t route)
{
    const IndexedEvent& event = events_.back();
    std::uint32_t& pair = routes_[event.routes_first + route];
    if (pair == route_dropped) return;
    --summary_.routes[pair].count;
    summary_.routes[pair].bytes -= event.body_length;
    pair = route_dropped;
}

void SegmentIndex::add_gap(const Gap& gap)
{
    cover(gap.first, gap.last);
    if (!gaps_.empty() && gaps_.back().reason == gap.reason && gaps_.back().last + 1 == gap.first)
        gaps_.back().last = gap.last;
    else
        gaps_.push_back(gap);
}

void SegmentIndex::cover(Sequence first, Sequence last)
{
    if (summary_.first == 0 || first < summary_.first) summary_.first = first;
    if (last > summary_.last) summary_.last = last;
}

std::size_t SegmentIndex::lower_bound(Sequence sequence) const noexcept
{
    const auto at = std::lower_bound(
        events_.begin(), events_.end(), sequence,
        [](const IndexedEvent& event, Sequence wanted) { return event.sequence < wanted; });
    return static_cast<std::size_t>(at - events_.begin());
}

const IndexedEvent* SegmentIndex::find(Sequence sequence) const noexcept
{
    const std::size_t at = lower_bound(sequence);
    return at < events_.size() && events_[at].sequence == sequence ? &events_[at] : nullptr;
}

std::vector<std::pair<std::string, std::string>> SegmentIndex::names_of(const IndexedEvent& event) const
{
    std::vector<std::pair<std::string, std::string>> names(event.routes_count);
    for (std::uint32_t i = 0; i < event.routes_count; ++i)
        if (const std::uint32_t pair = routes_[event.routes_first + i]; pair != route_dropped)
            names[i] = {summary_.routes[pair].rule, summary_.routes[pair].target};
    return names;
}

std::optional<Gap> SegmentIndex::gap_of(Sequence sequence) const noexcept
{
    for (const Gap& gap : gaps_)
        if (gap.first <= sequence && sequence <= gap.last) return gap;
    return std::nullopt;
}

std::size_t SegmentIndex::memory() const noexcept
{
    return events_.size() * sizeof(IndexedEvent) + routes_.size() * sizeof(std::uint32_t) +
           gaps_.size() * sizeof(Gap) + summary_.routes.size() * 2 * sizeof(RouteCount);
}

std::string SegmentIndex::encode() const
{
    std::string out;
    ByteWriter writer{out};
    writer.varint(events_.size());
    Sequence sequence = 0;
    std::uint64_t offset = 0;
    for (const IndexedEvent& event : events_) {
        writer.varint(event.sequence - sequence);
        sequence = event.sequence;
        const bool has_frame = event.offset != 0;
        writer.fixed(static_cast<std::uint8_t>((event.damaged ? 1 : 0) | (has_frame ? 2 : 0)));
        if (has_frame) {
            writer.varint((event.offset - offset) / 8);
            offset = event.offset;
            writer.varint(event.length / 8);
            writer.varint(event.body_length);
            writer.fixed(event.id_hash);
        }
        writer.varint(event.routes_count);
        for (std::uint32_t i = 0; i < event.routes_count; ++i) {
            const std::uint32_t pair = routes_[event.routes_first + i];
            writer.varint(pair == route_dropped ? 0 : std::uint64_t{pair} + 1);
        }
    }
    writer.varint(gaps_.size());
    for (const Gap& gap : gaps_) {
        writer.varint(gap.first);
        writer.varint(gap.last - gap.first);
        writer.fixed(static_cast<std::uint8_t>(gap.reason));
    }
    return out;
}

Result<SegmentIndex> SegmentIndex::decode(std::string_view section, SegmentSummary summary)
{
    ByteReader reader{section};
    SegmentIndex index;
    index.summary_ = std::move(summary);
    const std::uint64_t count = reader.varint();
    if (count > section.size()) return fail(Errc::corrupt, "the index claims more than it holds");
    index.events_.reserve(static_cast<std::size_t>(count));
    Sequence sequence = 0;
    std::uint64_t offset = 0;
    for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
        IndexedEvent event;
        event.sequence = sequence += reader.varint();
        const auto flags = reader.fixed<std::uint8_t>();
        event.damaged = (flags & 1) != 0;
        if ((flags & 2) != 0) {
            event.offset = offset += reader.varint() * 8;
            event.length = static_cast<std::uint32_t>(reader.varint() * 8);
            event.body_length = static_cast<std::uint32_t>(reader.varint());
            event.id_hash = reader.fixed<std::uint32_t>();
        }
        event.routes_first = static_cast<std::uint32_t>(index.routes_.size());
        const std::uint64_t routes = reader.varint();
        for (std::uint64_t r = 0; r < routes && reader.ok(); ++r) {
            const std::uint64_t pair = reader.varint();
            if (pair > index.summary_.routes.size())
                return fail(Errc::corrupt, "the index names an unknown route");
            index.routes_.push_back(pair == 0 ? route_dropped
                                              : static_cast<std::uint32_t>(pair - 1));
        }
        event.routes_count = static_cast<std::uint32_t>(index.routes_.size()) - event.routes_first;
        index.events_.push_back(event);
    }
    const std::uint64_t gaps = reader.varint();
    for (std::uint64_t i = 0; i < gaps && reader.ok(); ++i) {
        Gap gap;
        gap.first = reader.varint();
        gap.last = gap.first + reader.varint();
        gap.reason = static_cast<GapReason>(reader.fixed<std::uint8_t>());
        index.gaps_.push_back(gap);
    }
    if (!reader.ok()) return fail(Errc::corrupt, "the index is shorter than it claims");
    return index;
}

}  // namespace eventyard::router
