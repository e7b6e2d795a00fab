#include "cli/generate.hpp"

#include <array>
#include <charconv>

#include "cli/generate_text.hpp"

namespace eventyard::cli {

const char* word_of(FamilyGroup group) noexcept
{
    switch (group) {
        case FamilyGroup::shape: return "shape";
        case FamilyGroup::growth: return "growth";
        case FamilyGroup::output: return "output";
        case FamilyGroup::limit: return "limit";
        case FamilyGroup::event: break;
    }
    return "event";
}

const std::vector<Family>& families()
{
    static const std::vector<Family> all = [] {
        std::vector<Family> list;
        add_shape_families(list);
        add_growth_families(list);
        add_other_families(list);
        return list;
    }();
    return all;
}

const Family* find_family(const std::string& name)
{
    for (const Family& family : families())
        if (name == family.name) return &family;
    return nullptr;
}

std::uint64_t Draws::zipf(std::uint64_t count) noexcept
{
    std::uint64_t powers = 0;
    while ((std::uint64_t{1} << powers) <= count) ++powers;
    for (;;) {
        const std::uint64_t low = std::uint64_t{1} << below(powers);
        const std::uint64_t rank = low + below(low);
        if (rank <= count) return rank - 1;
    }
}

std::uint32_t scrambled(std::uint64_t i) noexcept
{
    // Odd factors and xor-shifts can be undone, so different numbers stay different.
    auto x = static_cast<std::uint32_t>(i);
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ (x >> 16);
}

Text& Text::operator<<(std::uint64_t number)
{
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out_.append(digits.data(), end);
    return *this;
}

Text& Text::padded(std::uint64_t number, unsigned width)
{
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    const auto size = static_cast<unsigned>(end - digits.data());
    if (size < width) out_.append(width - size, '0');
    out_.append(digits.data(), end);
    return *this;
}

Text& Text::hex(std::uint64_t number, unsigned width)
{
    for (unsigned i = width; i > 0; --i)
        out_ += "0123456789abcdef"[(number >> (4 * (i - 1))) & 15U];
    return *this;
}

Text& Text::cents(std::uint64_t hundredths)
{
    *this << hundredths / 100 << ".";
    return padded(hundredths % 100, 2);
}

std::string_view draw_region(Draws& draws) noexcept
{
    constexpr std::array<std::string_view, 5> regions{"eu-west-1", "eu-central-1", "eu-north-1",
                                                      "eu-west-3", "us-east-1"};
    return regions[draws.below(regions.size())];
}

void open_event(Draws& draws, std::string_view source, std::string_view detail_type,
                std::string_view region, Text& out)
{
    const std::uint64_t a = draws.bits();
    const std::uint64_t b = draws.bits();
    out << R"({"version":"0","id":")";
    out.hex(a >> 32, 8) << "-";
    out.hex(a >> 16, 4) << "-";
    out.hex(a, 4) << "-";
    out.hex(b >> 48, 4) << "-";
    out.hex(b, 12) << R"(","detail-type":")" << detail_type << R"(","source":")" << source
                   << R"(","account":")";
    out.padded(draws.below(1'000'000'000'000), 12) << R"(","time":"2026-)";
    out.padded(1 + draws.below(12), 2) << "-";
    out.padded(1 + draws.below(28), 2) << "T";
    out.padded(draws.below(24), 2) << ":";
    out.padded(draws.below(60), 2) << ":";
    out.padded(draws.below(60), 2) << R"(Z","region":")" << region << R"(","resources":["arn:aws:svc:)"
                                   << region << ":";
    out.padded(draws.below(1'000'000'000'000), 12) << ":res/" << draws.below(1'000'000)
                                                   << R"("],"detail":{)";
}

void close_event(Draws& draws, Text& out)
{
    constexpr std::array<std::string_view, 3> phases{"queued", "running", "done"};
    out << R"("user":"u-)";
    out.padded(draws.below(1'000'000), 6) << R"(","phase":")" << phases[draws.below(phases.size())]
                                          << R"(","latency_ms":)" << 1 + draws.below(5000) << "}}";
}

}  // namespace eventyard::cli
