// The shapes of rule sets that people load; see cli/generate.hpp.
#include "cli/generate_text.hpp"

namespace eventyard::cli {
namespace {

// mixed: a tenant of its own under a shared source and detail-type, a number and a prefix beside it.

void mixed_head(std::uint64_t i, Text& text)
{
    text << R"({"source":["svc.)" << i % 500 << R"("],"detail-type":["T)" << i % 50
         << R"("],"detail":{"tenant":["t-)" << i << R"("])";
}

void mixed_exact_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    mixed_head(i, text);
    text << "}}";
}

void mixed_prefix_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    mixed_head(i, text);
    text << R"(,"region":[{"prefix":"eu-"}]}})";
}

void mixed_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    mixed_head(i, text);
    text << R"(,"amount":[{"numeric":[">=",)" << i % 1000 << R"(]}],"region":[{"prefix":"eu-"}]}})";
}

/// Three tenants of one source, so that an event can hit up to three rules.
void mixed_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t i = draws.below(scale.rules);
    const std::string_view region = draw_region(draws);
    std::string source;
    std::string type;
    Text(source) << "svc." << i % 500;
    Text(type) << "T" << i % 50;
    open_event(draws, source, type, region, text);
    text << R"("tenant":["t-)" << i;
    for (const std::uint64_t step : {500U, 1000U}) {
        if (scale.rules > step) text << R"(","t-)" << (i + step) % scale.rules;
        else text << R"(","t-none)" << draws.below(999);
    }
    text << R"("],"amount":)";
    text.cents(draws.below(140'000)) << R"(,"region":")" << region << R"(",)";
    close_event(draws, text);
}

// no-unique-field: three fields of about cbrt(N) values each; only together they name a rule.

std::uint64_t cube_side(std::uint64_t rules)
{
    std::uint64_t side = 1;
    while (side * side * side < rules) ++side;
    return side;
}

void no_unique_rule(const Scale& scale, std::uint64_t i, std::string& out)
{
    const std::uint64_t side = cube_side(scale.rules);
    Text(out) << R"({"source":["svc.)" << i % side << R"("],"detail-type":["T)" << i / side % side
              << R"("],"detail":{"kind":["k-)" << i / side / side << R"("],"amount":[{"numeric":[">=",)"
              << i % 1000 << R"(]}],"region":[{"prefix":"eu-"}]}})";
}

void no_unique_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t side = cube_side(scale.rules);
    const std::uint64_t i = draws.below(scale.rules);
    const std::string_view region = draw_region(draws);
    std::string source;
    std::string type;
    Text(source) << "svc." << i % side;
    Text(type) << "T" << i / side % side;
    open_event(draws, source, type, region, text);
    text << R"("kind":"k-)" << i / side / side << R"(","amount":)";
    text.cents(draws.below(140'000)) << R"(,"region":")" << region << R"(",)";
    close_event(draws, text);
}

// prefix: folders, and three below each; a value lies in at most two prefixes.

void folder_of(std::uint64_t i, Text& text)
{
    text << "dir-";
    text.hex(scrambled(i / 4), 8) << "/";
    if (i % 4 != 0) text << "sub" << i % 4 << "/";
}

void prefix_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    text << R"({"detail":{"key":[{"prefix":")";
    folder_of(i, text);
    text << R"("}]}})";
}

void prefix_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t i = draws.below(scale.rules);
    open_event(draws, "store.files", "Written", draw_region(draws), text);
    text << R"("key":")";
    folder_of(i, text);
    text << "part-" << draws.below(100'000) << R"(.parquet",)";
    close_event(draws, text);
}

// suffix-wildcard: every other rule a suffix, the others wildcards with stars at both ends.

void suffix_wildcard_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    if (i % 2 == 0) {
        text << R"({"detail":{"key":[{"suffix":".)";
        text.hex(scrambled(i), 8) << R"(.log"}]}})";
    } else {
        text << R"({"detail":{"key":[{"wildcard":"*/job-)";
        text.hex(scrambled(i), 8) << R"(/*.log"}]}})";
    }
}

void suffix_wildcard_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t first = draws.below(scale.rules);
    const std::uint64_t second = draws.below(scale.rules);
    open_event(draws, "store.files", "Written", draw_region(draws), text);
    text << R"("key":"cluster/job-)";
    text.hex(scrambled(first | 1U), 8) << "/node" << draws.below(1000) << ".";
    text.hex(scrambled(second & ~std::uint64_t{1}), 8) << R"(.log",)";
    close_event(draws, text);
}

// numeric: ranges of width 25 that start every 10, each tenth rule one number; a quarter has a second field.

void numeric_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text text(out);
    text << R"({"detail":{"amount":[{"numeric":[)";
    if (i % 10 == 9) text << R"("=",)" << 10 * i << ".5";
    else text << R"(">=",)" << 10 * i << R"(,"<",)" << 10 * i + 25;
    text << "]}]";
    if (i % 4 == 3) text << R"(,"latency_ms":[{"numeric":["<=",)" << 1000 + i % 4000 << "]}]";
    text << "}}";
}

void numeric_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t i = draws.below(scale.rules);
    open_event(draws, "shop.orders", "OrderPaid", draw_region(draws), text);
    text << R"("amount":)";
    if (i % 10 == 9) text << 10 * i << ".50,";
    else text.cents(1000 * i + draws.below(2500)) << ",";
    close_event(draws, text);
}

// negatives: four negations beside one exact field.

void negatives_rule(const Scale&, std::uint64_t i, std::string& out)
{
    Text(out) << R"({"detail":{"tenant":["t-)" << i << R"("],"state":[{"anything-but":["s-)" << i % 7
              << R"("]}],"error":[{"exists":false}],"region":[{"anything-but":{"prefix":"us-"}}],)"
              << R"("user":[{"anything-but":{"suffix":")" << i % 10 << R"("}}]}})";
}

void negatives_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t i = draws.below(scale.rules);
    const std::string_view region = draw_region(draws);
    open_event(draws, "shop.orders", "OrderPaid", region, text);
    text << R"("tenant":"t-)" << i << R"(","state":"s-)" << draws.below(7) << R"(","region":")" << region
         << R"(",)";
    if (draws.below(4) == 0) text << R"("error":"e-)" << draws.below(100) << R"(",)";
    close_event(draws, text);
}

// zipf: few values are in most rules; every fifth rule has a $or, and items lie in arrays two deep.

void zipf_rule(const Scale& scale, std::uint64_t i, std::string& out)
{
    Text text(out);
    Draws draws(0x7a697066, i);
    const std::uint64_t goods = scale.rules / 10 + 10;
    text << R"({"source":["svc.)" << draws.zipf(500) << R"("],"detail-type":["T)" << draws.zipf(200) << R"("],)";
    const std::uint64_t sku = draws.zipf(goods);
    const std::uint64_t shelf = draws.zipf(1000);
    const std::uint64_t third = draws.zipf(1000);
    if (i % 5 == 0)
        text << R"("detail":{"lots":{"$or":[{"shelf":["h-)" << shelf << R"("]},{"items":{"lot":["l-)"
             << third << R"("]}}]},"order":["o-)" << sku << R"("]}})";
    else
        text << R"("detail":{"lots":{"shelf":["h-)" << shelf << R"("],"items":{"sku":["g-)" << sku
             << R"("],"count":[{"numeric":[">=",)" << i % 20 << R"(]}]}}}})";
}

/// Aims at one rule: its draws again, and other lots beside the one that fits.
void zipf_event(const Scale& scale, std::uint64_t k, std::string& out)
{
    Text text(out);
    Draws draws(scale.seed, k);
    const std::uint64_t i = draws.below(scale.rules);
    Draws rule(0x7a697066, i);
    const std::uint64_t goods = scale.rules / 10 + 10;
    std::string source;
    std::string type;
    Text(source) << "svc." << rule.zipf(500);
    Text(type) << "T" << rule.zipf(200);
    const std::uint64_t sku = rule.zipf(goods);
    const std::uint64_t shelf = rule.zipf(1000);
    const std::uint64_t third = rule.zipf(1000);
    open_event(draws, source, type, draw_region(draws), text);
    text << R"("order":"o-)" << (i % 5 == 0 ? sku : draws.zipf(goods)) << R"(","lots":[)";
    const std::uint64_t fitting = draws.below(3);
    for (std::uint64_t lot = 0; lot < 3; ++lot) {
        const bool fits = lot == fitting;
        text << (lot == 0 ? "" : ",") << R"({"shelf":"h-)" << (fits ? shelf : draws.zipf(1000)) << R"(","items":[)"
             << R"({"sku":"g-)" << draws.zipf(goods) << R"(","lot":"l-)" << draws.zipf(1000) << R"(","count":)"
             << draws.below(30) << R"(},{"sku":"g-)" << (fits ? sku : draws.zipf(goods)) << R"(","lot":"l-)"
             << (fits ? third : draws.zipf(1000)) << R"(","count":)" << draws.below(30) << "}]}";
    }
    text << "],";
    close_event(draws, text);
}

constexpr std::uint64_t many = 500'000;

}  // namespace

void add_shape_families(std::vector<Family>& list)
{
    using G = FamilyGroup;
    list.insert(list.end(), {
        {"mixed", G::shape, "source, detail-type and tenant exact, amount numeric, region prefix", many, 1,
         mixed_rule, mixed_event},
        {"mixed-prefix", G::shape, "mixed without amount", many, 1, mixed_prefix_rule, mixed_event},
        {"mixed-exact", G::shape, "mixed without amount and region", many, 1, mixed_exact_rule, mixed_event},
        {"no-unique-field", G::shape, "three exact fields that name a rule only together", many, 1,
         no_unique_rule, no_unique_event},
        {"prefix", G::shape, "one prefix a rule, nested two deep", many, 1, prefix_rule, prefix_event},
        {"suffix-wildcard", G::shape, "suffixes and wildcards only", many, 1, suffix_wildcard_rule,
         suffix_wildcard_event},
        {"numeric", G::shape, "ranges of bounded overlap and single numbers", many, 1, numeric_rule,
         numeric_event},
        {"negatives", G::shape, "four negations beside one exact field", many, 1, negatives_rule,
         negatives_event},
        {"zipf", G::shape, "few values in most rules, a fifth with $or, arrays two deep", many, 1, zipf_rule,
         zipf_event},
    });
}

}  // namespace eventyard::cli
