// Matching asks the heap for nothing once it has seen events of the kind.
//
// Not so, and by choice: events of more than 32,768 values, whose memory is given back, and events in
// which one path is an object and an array at once, which rules/evaluate_mixed.cpp decides.
#include <catch2/catch.hpp>

#include <array>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "cli/generate.hpp"
#include "core/json.hpp"
#include "core/report.hpp"
#include "rules/rule_set.hpp"
#include "tests/allocations/counting.hpp"

using namespace eventyard;
using support::CountedAllocations;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t slower = 50;
#else
constexpr std::uint64_t slower = 1;
#endif

rules::Pattern compiled(const std::string& text)
{
    Report report;
    const auto node = rules::read_pattern_text(text, {nullptr, 1, 1}, report);
    INFO(text << "\n" << report.text());
    REQUIRE(node);
    auto pattern = rules::compile_pattern(*node, report);
    REQUIRE(pattern);
    return std::move(*pattern);
}

/// Events one after the other in one text, each with the padding a parser needs behind it.
class Events {
public:
    void add(std::string_view text)
    {
        places_.emplace_back(bytes_.size(), text.size());
        bytes_ += text;
        bytes_.append(json::Document::padding, ' ');
    }
    [[nodiscard]] std::size_t size() const noexcept { return places_.size(); }
    [[nodiscard]] std::string_view at(std::size_t i) const
    {
        return std::string_view(bytes_).substr(places_[i].first, places_[i].second);
    }

private:
    std::string bytes_;
    std::vector<std::pair<std::size_t, std::size_t>> places_;
};

/// Rules of every operator on the fields of the events below, alone and under arrays.
constexpr std::array own_rules{
    R"~({"own": ["plain", 1, true, null, {"exists": false}], "detail": {"user": [{"regex": "u-[0-4]\\d*7"}]}})~",
    R"~({"detail": {"user": [{"anything-but": {"regex": "u-0.*|u-1.*"}}]}})~",
    R"~({"host": [{"regex": "(?i)web-\\d+\\.(eu|us)\\..*"}]})~",
    R"~({"host": [{"regex": ".*\\.example"}, {"anything-but": {"wildcard": "w*b-*"}}]})~",
    R"~({"host": [{"regex": "(.*)-(\\d*)\\.(.*)"}], "addr": [{"cidr": "10.0.0.0/9"}, {"cidr": "2001:db8::/33"}]})~",
    R"~({"host": [{"wildcard": "*7*.*u*"}, {"suffix": {"equals-ignore-case": ".EXAMPLE"}}]})~",
    R"~({"host": [{"equals-ignore-case": "WEB-12.eu.example"}, {"prefix": {"equals-ignore-case": "wEB-1"}}]})~",
    R"~({"lines": {"sku": [{"prefix": "s-1"}], "tags": [{"all-of": ["a", {"prefix": "t-1"}]}]}})~",
    R"~({"lines": {"sku": [{"regex": "s-\\d*3"}], "tags": [{"none-of": ["c", "t-12"]}]}})~",
    R"~({"lines": {"parts": {"weight": [{"numeric": [">", 10, "<=", 40]}], "name": [{"anything-but": ["p-1", "p-2"]}]}}})~",
    R"~({"lines": {"parts": {"weight": [{"numeric": ["=", 12345678901234567890.5]}, 17, 18.25]}}, "absent": [{"exists": false}]})~",
    R"~({"lines": {"$or": [{"sku": ["s-7"]}, {"parts": {"name": [{"suffix": "9"}]}}]}})~",
    R"~({"$or": [{"host": [{"prefix": "db-"}]}, {"addr": [{"exists": true}]}], "lines.sku": [{"wildcard": "s*"}]})~",
    R"~({"text": [{"wildcard": "*\u00e9*"}, {"equals-ignore-case": "\u00dcBER 7"}]})~",
};

/// Arrays two deep, escapes, addresses, long numbers, duplicate keys and dotted names.
std::string own_event(std::uint64_t k)
{
    const auto n = [](std::uint64_t v) { return std::to_string(v); };
    std::string out = R"({"own":)";
    constexpr std::array owns{R"("plain")", "1", "true", "null", "[]", R"({"x":1})", "1e0"};
    out += owns[k % owns.size()];
    out += R"(,"host":")" + std::string(k % 3 == 0 ? "db-" : "Web-") + n(k % 97) + (k % 2 == 0 ? ".eu" : ".us") + R"(.example")";
    out += R"(,"addr":")" + (k % 2 == 0 ? "10." + n(k % 256) + ".3." + n(k % 7) : "2001:db8:" + n(k % 9999) + "::1") + "\"";
    out += R"(,"text":"caf\u00e9 \ud83d\ude00 )" + n(k % 11) + R"(","text":"\u00fcber )" + n(k % 11) + "\"";
    out += R"(,"detail":{"user":"u-)" + n(k * 7 % 100000) + R"("},"lines":[)";
    for (std::uint64_t line = 0; line < 1 + k % 12; ++line) {
        if (line > 0) out += ',';
        out += R"({"sku":"s-)" + n((k + line) % 200) + R"(","tags":["a","t-)" + n(k % 20) + R"(",["b"]],"parts":[)";
        for (std::uint64_t part = 0; part < k % 4; ++part)
            out += std::string(part > 0 ? "," : "") + R"({"weight":)" + n((k + part) % 50) +
                   (part == 1 ? ".25" : part == 2 ? "45678901234567890.5" : "") + R"(,"name":"p-)" + n((k + part) % 30) + "\"}";
        out += "]}";
    }
    out += R"(],"many":[)";
    for (std::uint64_t i = 0; i < k % 40; ++i) out += (i > 0 ? "," : "") + n(i % 13);
    return out + "]}";
}

}  // namespace

TEST_CASE("the counter sees every way to the heap")
{
    CountedAllocations counted;
    int* volatile number = new int;  // volatile: compilers may leave out what is of no use
    char* volatile characters = new char[3];
    delete number;
    delete[] characters;
    ::operator delete(::operator new(64, std::align_val_t{64}), std::align_val_t{64});
    ::operator delete(::operator new(8, std::nothrow), std::nothrow);
    const std::string text(100, 'x');
    const std::uint64_t by_new = counted.stop();
    CHECK(by_new == 5);
    CHECK(text.size() == 100);
    CHECK_FALSE(CountedAllocations::first_caller().empty());
    if (!support::counts_malloc()) return;
    CountedAllocations more;
    void* volatile one = std::malloc(10);
    one = std::realloc(one, 1000);
    void* volatile two = std::calloc(2, 8);
    void* volatile three = std::aligned_alloc(64, 64);
    const std::uint64_t by_malloc = more.stop();
    std::free(one);
    std::free(two);
    std::free(three);
    CHECK(by_malloc == 4);
}

TEST_CASE("matching a million events allocates nothing after one pass")
{
    struct Part {
        const char* family;
        std::uint64_t rules, events;
    };
    constexpr std::array parts{
        Part{"mixed", 5000, 800},           Part{"zipf", 5000, 800},         Part{"suffix-wildcard", 5000, 800},
        Part{"negatives", 5000, 800},       Part{"numeric", 5000, 800},      Part{"prefix", 5000, 800},
        Part{"fold", 5000, 800},            Part{"two-pieces", 5000, 800},   Part{"absent", 5000, 800},
        Part{"all-but-one", 5000, 800},     Part{"anything-but", 5000, 780}, Part{"array-1000", 100, 20},
    };
    constexpr std::uint64_t events_in_all = 1'000'000 / slower;
    std::vector<rules::Pattern> patterns;
    Events events;
    std::string text;
    for (const Part& part : parts) {
        const cli::Family* family = cli::find_family(part.family);
        REQUIRE(family != nullptr);
        const cli::Scale scale{part.rules / slower, 1};
        for (std::uint64_t i = 0; i < scale.rules; ++i) {
            text.clear();
            family->rule(scale, i, text);
            patterns.push_back(compiled(text));
        }
        for (std::uint64_t k = 0; k < part.events; ++k) {
            text.clear();
            family->event(scale, k, text);
            events.add(text);
        }
    }
    for (const char* const rule : own_rules) patterns.push_back(compiled(rule));
    for (std::uint64_t k = 0; k < 1200; ++k) events.add(own_event(k));
    REQUIRE(events.size() == 10'000);

    const rules::RuleSet set(std::move(patterns));
    json::Document document;
    rules::Matching matching;
    std::vector<std::uint32_t> out;
    json::SyntaxError error;
    std::vector<bool> held(set.size());
    const auto match = [&](std::size_t i) {
        const bool parsed = document.parse_padded(events.at(i), {}, error);
        out.clear();
        if (parsed) set.match(document, matching, out);
        return parsed;
    };
    for (std::size_t i = 0; i < events.size(); ++i) {
        INFO(events.at(i));
        REQUIRE(match(i));
        for (const std::uint32_t rule : out) held[rule] = true;
    }
    for (std::size_t i = 0; i < own_rules.size(); ++i) {
        INFO(own_rules[i]);
        CHECK(held[set.size() - own_rules.size() + i]);  // each rule is there for a purpose
    }

    const std::uint64_t matches_before = matching.cost.matches;
    bool all_parsed = true;
    CountedAllocations counted;
    for (std::uint64_t done = 0; done < events_in_all; ++done) all_parsed &= match(done % events.size());
    const std::uint64_t allocations = counted.stop();
    CHECK(all_parsed);
    CHECK(matching.cost.matches - matches_before > events_in_all / 2);
    INFO(CountedAllocations::first_caller());
    CHECK(allocations == 0);
}
