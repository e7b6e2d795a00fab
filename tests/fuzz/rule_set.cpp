// RuleSet against the reference evaluator. An even first byte: the rest is the source of draws of
// rules and events. An odd one: the rest is patterns and, last, an event, parted by zero bytes.
#include <cstdio>
#include <cstdlib>

#include "tests/draws/session.hpp"

namespace {

using namespace eventyard;

void fail(const std::string& what)
{
    std::fprintf(stderr, "%s\n", what.c_str());
    std::abort();
}

void drawn(std::string_view bytes)
{
    static rules::Matching used;
    draws::Dice random(bytes);
    draws::Tally tally;
    draws::SetOptions options;
    options.rules_max = 24;
    options.events = 3;
    if (const std::string wrong = draws::draw_and_judge_set(options, random, used, tally); !wrong.empty()) fail(wrong);
}

void written(std::string_view text)
{
    static rules::Matching used;
    std::vector<rules::Pattern> patterns;
    for (auto zero = text.find('\0'); zero != std::string_view::npos && patterns.size() < 50; zero = text.find('\0')) {
        Report report;
        const auto tree = rules::read_pattern_text(text.substr(0, zero), {}, report);
        auto pattern = tree ? rules::compile_pattern(*tree, report) : std::nullopt;
        if (pattern) patterns.push_back(std::move(*pattern));
        text.remove_prefix(zero + 1);
    }
    json::Document event;
    json::SyntaxError error;
    if (!event.parse(text, {}, error) || event.root().kind != json::Kind::object) return;
    std::vector<std::uint32_t> wanted, got;
    for (std::uint32_t i = 0; i < patterns.size(); ++i)
        if (rules::matches(patterns[i], event)) wanted.push_back(i);
    rules::RuleSet(patterns).match(event, used, got);
    if (got != wanted) fail("match() differs from the reference");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
    if (data[0] % 2 == 0) drawn(rest);
    else written(rest);
    return 0;
}
