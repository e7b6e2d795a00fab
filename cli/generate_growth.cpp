// Families that grow while an event keeps touching as much as before; see cli/generate.hpp.
#include "cli/generate_text.hpp"

namespace eventyard::cli {
namespace {

/// An event whose detail.key is what `put` writes about a rule drawn for it.
template <class Put>
void keyed_event(const Scale& scale, std::uint64_t k, std::string& out, Put put)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t i = draws.below(scale.rules);
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    text << R"("key":")";
    put(i, draws, text);
    text << R"(",)";
    close_event(draws, text);
}

void exact_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    text << R"({"detail":{"key":["v-)";
    text.hex(scrambled(i), 8) << R"("]}})";
}

void exact_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    keyed_event(scale, k, out, [](std::uint64_t i, Draws&, Text& text) {
        text << "v-";
        text.hex(scrambled(i), 8);
    });
}

void suffix_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    text << R"({"detail":{"key":[{"suffix":"-)";
    text.hex(scrambled(i), 8) << R"(.json"}]}})";
}

void suffix_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    keyed_event(scale, k, out, [](std::uint64_t i, Draws& draws, Text& text) {
        text << "inbox/" << draws.below(1'000'000) << "-";
        text.hex(scrambled(i), 8) << ".json";
    });
}

/// One letter more than ASCII, so that folding is more than a bit.
void fold_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    constexpr std::string_view forms[] = {R"({"equals-ignore-case":"Ärger-)",
                                          R"({"prefix":{"equals-ignore-case":"Über-)",
                                          R"({"suffix":{"equals-ignore-case":"-ÉCOLE-)"};
    text << R"({"detail":{"key":[)" << forms[i % 3];
    text.hex(scrambled(i), 8) << (i % 3 == 0 ? R"("}]}})" : R"("}}]}})");
}

void fold_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    keyed_event(scale, k, out, [](std::uint64_t i, Draws& draws, Text& text) {
        constexpr std::string_view starts[] = {"äRGER-", "üBER-", "x-École-"};
        text << starts[i % 3];
        text.hex(scrambled(i), 8);
        if (i % 3 == 1) text << "-" << draws.below(1000);
    });
}

/// The star-bound piece in the middle is in no other rule's values.
void wildcard_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    text << R"({"detail":{"key":[{"wildcard":"in*-w)";
    text.hex(scrambled(i), 8) << R"(-*.c*v"}]}})";
}

void wildcard_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    keyed_event(scale, k, out, [](std::uint64_t i, Draws& draws, Text& text) {
        text << "inbox/a-w";
        text.hex(scrambled(i), 8) << "-" << draws.below(1'000'000) << ".csv";
    });
}

// or-1000: N branches in N / 1,000 rules.

constexpr std::uint64_t branches = 1000;

void or_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    text << R"({"source":["svc.)" << i % 10 << R"("],"$or":[)";
    for (std::uint64_t b = 0; b < branches; ++b) {
        text << (b == 0 ? "" : ",") << (b % 2 == 0 ? R"({"detail":{"key":["v-)" : R"({"detail":{"kind":["v-)");
        text.hex(scrambled(i * branches + b), 8) << R"("]}})";
    }
    text << "]}";
}

void or_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t i = draws.below(scale.rules);
    std::string source;
    Text(source) << "svc." << i % 10;
    open_event(draws, source, "OrderPaid", draw_region(draws), text);
    text << R"("key":"v-)";
    text.hex(scrambled(i * branches + draws.below(branches)), 8) << R"(","kind":"v-)";
    text.hex(scrambled(i * branches + draws.below(branches)), 8) << R"(",)";
    close_event(draws, text);
}

// One selective field, and a negation that almost every event satisfies.

void absent_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text(out) << R"({"detail":{"tenant":["t-)" << i << R"("],"error":[{"exists":false}]}})";
}

void anything_but_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text(out) << R"({"detail":{"tenant":["t-)" << i << R"("],"state":[{"anything-but":["s-)" << i % 7
              << R"("]}]}})";
}

void tenant_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    text << R"("tenant":"t-)" << draws.below(scale.rules) << R"(","state":"s-)" << draws.below(7) << R"(",)";
    if (draws.below(8) == 0) text << R"("error":"e-)" << draws.below(100) << R"(",)";
    close_event(draws, text);
}

void all_but_one_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text(out) << R"({"source":["shop.orders"],"detail-type":["OrderPaid"],"detail":{"region":[{"prefix":"eu-"}],)"
              << R"("amount":[{"numeric":[">=",100]}],"state":[{"anything-but":["s-0"]}],"tenant":["t-)" << i
              << R"("]}})";
}

void all_but_one_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::string_view region = draw_region(draws);
    open_event(draws, "shop.orders", "OrderPaid", region, text);
    text << R"("tenant":"t-)" << draws.below(scale.rules) << R"(","state":"s-)" << draws.below(7)
         << R"(","amount":)";
    text.cents(draws.below(140'000)) << R"(,"region":")" << region << R"(",)";
    close_event(draws, text);
}

// pairs: sqrt(N) values in each of two fields; each pair is one rule.

std::uint64_t square_side(std::uint64_t rules)
{
    std::uint64_t side = 1;
    while (side * side < rules) ++side;
    return side;
}

void pair_rule(const Scale& scale, std::uint64_t i, std::string& out)
{
    const std::uint64_t side = square_side(scale.rules);
    Text(out) << R"({"detail":{"buyer":["b-)" << i % side << R"("],"seller":["s-)" << i / side << R"("]}})";
}

void pair_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t side = square_side(scale.rules);
    const std::uint64_t i = draws.below(scale.rules);
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    text << R"("buyer":"b-)" << i % side << R"(","seller":"s-)" << i / side << R"(",)";
    close_event(draws, text);
}

constexpr std::uint64_t many = 500'000;

}  // namespace

void add_growth_families(std::vector<Family>& list)
{
    using G = FamilyGroup;
    list.insert(list.end(), {
        {"exact", G::growth, "one exact value a rule", many, 1, exact_rule, exact_event},
        {"suffix", G::growth, "one suffix a rule", many, 1, suffix_rule, suffix_event},
        {"fold", G::growth, "equals, prefix and suffix without regard to case", many, 1, fold_rule, fold_event},
        {"wildcard", G::growth, "wildcards with a piece that other values lack", many, 1, wildcard_rule,
         wildcard_event},
        {"or-1000", G::growth, "$or of 1,000 branches a rule", many, branches, or_rule, or_event},
        {"absent", G::growth, "exists: false beside one exact field", many, 1, absent_rule, tenant_event},
        {"anything-but", G::growth, "anything-but beside one exact field", many, 1, anything_but_rule,
         tenant_event},
        {"all-but-one", G::growth, "rules that share every field but one", many, 1, all_but_one_rule,
         all_but_one_event},
        {"pairs", G::growth, "pairs of exact values, sqrt(N) of each", many, 1, pair_rule, pair_event},
    });
}

}  // namespace eventyard::cli
