#include "cli/bench_rules.hpp"

#include <malloc.h>

#include <array>
#include <algorithm>
#include <fstream>

#include "cli/progress.hpp"
#include "config/files.hpp"
#include "config/load.hpp"

namespace eventyard::cli {
namespace {

constexpr std::size_t rules_bytes_max = std::size_t{4} << 30;
constexpr std::size_t errors_shown = 50;

/// What may stand beside `pattern`: the keys of a rule file, and `set`.
bool is_rule_key(std::string_view key)
{
    constexpr std::array<std::string_view, 8> keys{"pattern", "name", "set",     "targets",
                                                   "bus",     "tests", "enabled", "description"};
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// The pattern of a line that is a rule; null when the line is a bare pattern, whose fields are all
/// objects or lists.
const json::Value* pattern_member(const json::Document& line)
{
    if (line.root().kind != json::Kind::object) return nullptr;
    const auto& values = line.values();
    const json::Value* pattern = nullptr;
    for (std::uint32_t i = 1; i < line.root().next; i = values[i].next) {
        if (!is_rule_key(values[i].key)) return nullptr;
        if (values[i].key == "pattern") pattern = &values[i];
    }
    const bool may_be = pattern != nullptr && (pattern->kind == json::Kind::object || pattern->kind == json::Kind::string);
    return may_be ? pattern : nullptr;
}

bool is_off(const json::Document& line)
{
    const json::Value* enabled = line.member(0, "enabled");
    return enabled != nullptr && enabled->kind == json::Kind::boolean && !enabled->truth;
}

/// Adds the pattern of one line; what is no JSON is left for the compiler to report.
void add_line(std::string_view text, std::uint32_t number, json::Document& line, PatternTexts& out)
{
    json::SyntaxError error;
    const json::Value* pattern = line.parse(text, {}, error) ? pattern_member(line) : nullptr;
    if (pattern == nullptr) {
        out.patterns.push_back({text, number, 1});
    } else if (!is_off(line)) {
        const std::uint32_t column = pattern->begin + 1;
        if (pattern->kind == json::Kind::string)
            out.patterns.push_back({out.decoded.emplace_back(pattern->text), number, column + 1});
        else
            out.patterns.push_back({text.substr(pattern->begin, pattern->end - pattern->begin), number, column});
    }
}

/// Takes the time and the memory of what runs while it lives.
class Costs {
public:
    Costs() : before_((::malloc_trim(0), resident().now)), start_(SystemClock{}.steady()) {}
    void write(CompiledRules& out) const
    {
        out.compile = SystemClock{}.steady() - start_;
        ::malloc_trim(0);
        out.resident_growth = resident().now - before_;
    }

private:
    std::int64_t before_;
    SteadyTime start_;
};

}  // namespace

std::unique_ptr<PatternTexts> read_pattern_lines(const std::string& path, Report& report)
{
    auto out = std::make_unique<PatternTexts>();
    out->name = path;
    auto content = config::read_file(path, rules_bytes_max);
    if (!content.has_value()) {
        report.error({}, content.error().what);
        return out;
    }
    out->content = std::move(*content);
    const std::string_view all = out->content;
    json::Document line;
    std::uint32_t number = 0;
    for (std::size_t begin = 0; begin < all.size();) {
        const std::size_t end = std::min(all.find('\n', begin), all.size());
        const std::string_view text = all.substr(begin, end - begin);
        begin = end + 1;
        ++number;
        if (text.find_first_not_of(" \t\r") != std::string_view::npos) add_line(text, number, line, *out);
    }
    if (out->patterns.empty()) report.error({}, path + ": holds no rules");
    return out;
}

std::unique_ptr<PatternTexts> generate_patterns(const Family& family, const Scale& scale)
{
    auto out = std::make_unique<PatternTexts>();
    out->name = std::string("family ") + family.name;
    std::vector<std::size_t> ends;
    ends.reserve(scale.rules);
    Progress progress("writing rules", scale.rules);
    for (std::uint64_t i = 0; i < scale.rules; ++i) {
        family.rule(scale, i, out->content);
        ends.push_back(out->content.size());
        progress.at(i);
    }
    out->patterns.reserve(ends.size());
    std::size_t begin = 0;
    std::uint32_t line = 0;
    for (const std::size_t end : ends) {
        out->patterns.push_back({std::string_view(out->content).substr(begin, end - begin), ++line, 1});
        begin = end;
    }
    return out;
}

CompiledRules compile(const PatternTexts& texts, Report& report)
{
    CompiledRules out;
    const auto file = std::make_shared<const std::string>(texts.name);
    const Costs costs;
    {
        Progress progress("compiling rules", texts.patterns.size());
        rules::RuleSetBuilder builder;
        std::size_t done = 0;
        for (const PatternText& text : texts.patterns) {
            progress.at(++done);
            if (!report.has_errors() && builder.add_plain(text.text)) continue;
            if (const auto node = rules::read_pattern_text(text.text, {file, text.line, text.column}, report))
                if (auto pattern = rules::compile_pattern(*node, report)) builder.add(std::move(*pattern));
            if (report.errors() >= errors_shown) break;
        }
        if (report.has_errors()) {
            report.add_source(texts.name, texts.content);
            return out;
        }
        out.set = builder.build();
    }
    costs.write(out);
    return out;
}

CompiledRules compile_rule_file(const std::string& path, Report& report)
{
    CompiledRules out;
    out.from_texts = false;
    const Costs costs;
    {
        std::vector<rules::Pattern> patterns;
        for (const router::Rule& rule : config::load_rules({path}, report))
            if (rule.enabled) patterns.push_back(rule.details->pattern);
        if (patterns.empty() && !report.has_errors()) report.error({}, path + ": holds no rules");
        if (report.has_errors()) return out;
        out.set = rules::RuleSet(std::move(patterns));
    }
    costs.write(out);
    return out;
}

std::vector<std::pair<std::string, std::uint64_t>> figures_of(const rules::RuleSet& set)
{
    const rules::RuleSetFigures figures = set.figures();
    return {{"rules", figures.rules},
            {"predicates", figures.predicates},
            {"keys", figures.keys},
            {"bytes", figures.bytes}};
}

Resident resident()
{
    Resident out;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmRSS:", 0) == 0) out.now = std::stoll(line.substr(6)) * 1024;
        if (line.rfind("VmHWM:", 0) == 0) out.peak = std::stoll(line.substr(6)) * 1024;
    }
    return out;
}

}  // namespace eventyard::cli
