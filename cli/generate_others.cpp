// Families where the output dominates, where no bound can hold, and with unusual events; see
// cli/generate.hpp.
#include "cli/generate_text.hpp"

namespace eventyard::cli {
namespace {

void all_true_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text(out) << R"({"detail":{"state":[{"anything-but":["x-)" << i << R"("]}]}})";
}

void all_true_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    text << R"("state":"ok-)" << draws.below(1000) << R"(",)";
    close_event(draws, text);
}

/// Ranges of up to half the domain: an amount lies in about a quarter of them.
void overlap_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Draws draws(0x72616e67, i);
    const std::uint64_t low = draws.below(1'000'000);
    Text(out) << R"({"detail":{"amount":[{"numeric":[">=",)" << low << R"(,"<",)"
              << low + 1 + draws.below(500'000) << "]}]}}";
}

void overlap_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    text << R"("amount":)";
    text.cents(draws.below(100'000'000)) << ",";
    close_event(draws, text);
}

/// Three ranges, each true of a tenth of the values: no field alone selects.
void three_ranges_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    Draws draws(0x33726e67, i);
    text << R"({"detail":{)";
    for (const std::string_view field : {"x", "y", "z"}) {
        const std::uint64_t low = draws.below(900'000);
        text << (field == "x" ? "" : ",") << "\"" << field << R"(":[{"numeric":[">=",)" << low << R"(,"<",)"
             << low + 100'000 << "]}]";
    }
    text << "}}";
}

void three_ranges_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    for (const std::string_view field : {"x", "y", "z"}) {
        text << "\"" << field << R"(":)";
        text.cents(draws.below(100'000'000)) << ",";
    }
    close_event(draws, text);
}

/// Pieces of two letters, all of which the values hold, in orders that few rules ask for.
void pieces_occur_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    Draws draws(0x70696563, i);
    text << R"({"detail":{"key":[{"wildcard":")";
    for (int piece = 0; piece < 6; ++piece) {
        const std::uint64_t letter = draws.below(16);
        text << "*";
        text << std::string_view("abcdefghijklmnop").substr(letter, 1) << ".";
    }
    text << R"(*"}]}})";
}

void pieces_occur_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    std::string letters = "abcdefghijklmnop";
    for (std::size_t i = letters.size() - 1; i > 0; --i) std::swap(letters[i], letters[draws.below(i + 1)]);
    text << R"("key":")";
    for (std::size_t i = 0; i < letters.size(); ++i) text << std::string_view(letters).substr(i, 1) << ".";
    text << R"(",)";
    close_event(draws, text);
}

void two_pieces_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text(out) << R"({"detail":{"key":[{"wildcard":"*w)" << i << "*x" << i << R"(*"}]}})";
}

/// At most five of the rules' pieces: w12 also holds w1, so the digits of both numbers together are
/// at most five. One to three rules match.
void two_pieces_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    std::string number;
    Text(number) << draws.below(scale.rules);
    const std::string_view first = std::string_view(number).substr(0, 4);
    const std::string_view second = first.substr(0, 5 - first.size());
    const bool longer_first = draws.below(2) == 0;
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    text << R"("key":"a-)" << draws.below(1'000'000) << "-w" << (longer_first ? first : second) << "-x"
         << (longer_first ? second : first) << R"(-end",)";
    close_event(draws, text);
}

// Arrays of objects: four elements aim at rules, whatever the size.

void array_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text(out) << R"({"detail":{"items":{"sku":["g-)" << i << R"("],"count":[{"numeric":[">=",)" << i % 10
              << "]}]}}}";
}

void array_event(const Scale& scale, std::uint64_t k, std::uint64_t size, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    const std::uint64_t apart = size / 4;
    const std::uint64_t aimed = draws.below(apart);
    text << R"("items":[)";
    for (std::uint64_t element = 0; element < size; ++element) {
        text << (element == 0 ? "" : ",") << R"({"sku":"g-)";
        if (element % apart == aimed) text << draws.below(scale.rules);
        else text << "none" << draws.below(1'000'000);
        text << R"(","count":)" << draws.below(20) << "}";
    }
    text << "],";
    close_event(draws, text);
}

void array_1000_event(const Scale& scale, std::uint64_t k, std::string& out) { array_event(scale, k, 1000, out); }
void array_10000_event(const Scale& scale, std::uint64_t k, std::string& out) { array_event(scale, k, 10'000, out); }

// One key written nine times, each an array of objects with one field, under rules that want nine: who
// lets each array choose its own element tries every order of them. The rules differ in the last field.

constexpr std::string_view repeated_fields = "abcdefghz";

void repeated_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    text << R"({"k":{)";
    for (std::size_t f = 0; f < repeated_fields.size(); ++f) {
        const bool last = f + 1 == repeated_fields.size();
        text << (f == 0 ? "\"" : ",\"") << repeated_fields.substr(f, 1) << "\":[" << (last ? i : 1) << "]";
    }
    text << "}}";
}

void repeated_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    text << R"({"id":)" << draws.below(1'000'000'000'000);
    for (std::size_t key = 0; key < repeated_fields.size(); ++key) {
        text << R"(,"k":[)";
        for (std::size_t f = 0; f < repeated_fields.size(); ++f) {
            const bool last = f + 1 == repeated_fields.size();
            text << (f == 0 ? "{\"" : ",{\"") << repeated_fields.substr(f, 1)
                 << "\":" << (last ? draws.below(scale.rules) : 1) << "}";
        }
        text << "]";
    }
    // Every second event has one element that holds all fields, and matches.
    if (k % 2 == 1) {
        text << R"(,"k":[{)";
        for (std::size_t f = 0; f + 1 < repeated_fields.size(); ++f)
            text << "\"" << repeated_fields.substr(f, 1) << "\":1,";
        text << R"("z":)" << draws.below(scale.rules) << "}]";
    }
    text << "}";
}

}  // namespace

void add_other_families(std::vector<Family>& list)
{
    using G = FamilyGroup;
    list.insert(list.end(), {
        {"all-true", G::output, "anything-but that is true of every event", 2000, 1, all_true_rule,
         all_true_event},
        {"overlap", G::output, "ranges that overlap: a quarter holds each value", 2000, 1, overlap_rule,
         overlap_event},
        {"three-ranges", G::limit, "ranges over three fields, none selective", 20'000, 1, three_ranges_rule,
         three_ranges_event},
        {"pieces-occur", G::limit, "wildcards all of whose pieces occur in the value", 20'000, 1,
         pieces_occur_rule, pieces_occur_event},
        {"two-pieces", G::limit, "wildcards *w<i>*x<i>*, values with few of the pieces", 500'000, 1,
         two_pieces_rule, two_pieces_event},
        {"array-1000", G::event, "arrays of 1,000 objects", 2000, 1, array_rule, array_1000_event},
        {"array-10000", G::event, "arrays of 10,000 objects", 200, 1, array_rule, array_10000_event},
        {"repeated-key", G::event, "one key written nine times, each an array, under nine fields", 20'000, 1,
         repeated_rule, repeated_event},
    });
}

}  // namespace eventyard::cli
