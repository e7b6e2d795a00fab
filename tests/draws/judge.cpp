#include "tests/draws/judge.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>

namespace eventyard::draws {
namespace {

std::optional<rules::Pattern> compile(const std::string& text, std::string& why)
{
    Report report;
    const auto tree = rules::read_pattern_text(text, {}, report);
    auto pattern = tree ? rules::compile_pattern(*tree, report) : std::nullopt;
    if (!pattern) why = report.text();
    return pattern;
}

std::string show(const std::vector<std::uint32_t>& ids)
{
    return ids.size() <= 20 ? fmt::format("[{}]", fmt::join(ids, ",")) : fmt::format("{} rules", ids.size());
}

}  // namespace

Rules::Rules(const std::vector<Tree>& wanted, std::size_t alone)
{
    for (const Tree& text : wanted) {
        std::string why;
        if (auto pattern = compile(text.json(), why)) {
            texts.push_back(text);
            patterns.push_back(std::move(*pattern));
        } else {
            refused.push_back(text.json() + "\n" + why);
            rules::RuleSetBuilder builder;
            if (builder.add_plain(text.json())) refused.back() += "\nbut it was taken for a plain pattern";
        }
    }
    // Forwards from texts where they are plain, backwards from compiled patterns.
    rules::RuleSetBuilder builder;
    for (std::size_t i = 0; i < patterns.size(); ++i)
        if (!builder.add_plain(texts[i].json())) builder.add(patterns[i]);
    all_ = builder.build();
    backwards_ = rules::RuleSet({patterns.rbegin(), patterns.rend()});
    for (std::size_t i = 0; i < patterns.size() && i < alone; ++i) {
        const std::size_t at = i * patterns.size() / std::max<std::size_t>(alone, 1);
        alone_.emplace_back(static_cast<std::uint32_t>(at), rules::RuleSet({patterns[at]}));
    }
}

std::string Rules::compare(const Tree& event, rules::Matching& used, std::vector<bool>& expected, bool every)
{
    const std::uint64_t turn = asked_++;
    const auto now = [&](std::uint64_t often) { return every || turn % often == 0; };
    const std::string text = event.json();
    // What follows an event in memory must not matter.
    padded_ = text;
    padded_ += R"(,"a":"a"}]"\)";
    padded_.resize(text.size() + json::Document::padding, '"');
    json::SyntaxError error;
    if (!event_.parse_padded(std::string_view(padded_).substr(0, text.size()), {}, error))
        return "the event is no JSON: " + error.message;

    expected.assign(patterns.size(), false);
    wanted_.clear();
    for (std::uint32_t i = 0; i < patterns.size(); ++i) {
        expected[i] = rules::matches(patterns[i], event_);
        if (expected[i]) wanted_.push_back(i);
    }
    const auto differs = [&](const char* what) -> std::string {
        if (out_ == wanted_) return {};
        std::vector<std::uint32_t> missing, wrong;
        std::vector<std::uint32_t> sorted = out_;
        std::sort(sorted.begin(), sorted.end());
        std::set_difference(wanted_.begin(), wanted_.end(), sorted.begin(), sorted.end(), std::back_inserter(missing));
        std::set_difference(sorted.begin(), sorted.end(), wanted_.begin(), wanted_.end(), std::back_inserter(wrong));
        return fmt::format("{}: missing {}, wrong or repeated {}{}", what, show(missing), show(wrong),
                           sorted != out_ ? ", not ascending" : "");
    };

    out_.clear();
    const std::uint64_t matches_before = used.cost.matches;
    all_.match(event_, used, out_);
    if (auto found = differs("match() with memory used before"); !found.empty()) return found;
    if (used.cost.matches - matches_before != wanted_.size()) return "match() counts other matches than it returns";
    if (now(4)) {
        rules::Matching fresh;
        out_.clear();
        all_.match(event_, fresh, out_);
        if (auto found = differs("match() with fresh memory"); !found.empty()) return found;
    }
    if (now(8)) {
        out_ = {7, 7};
        all_.match(event_, out_);
        if (out_.size() < 2 || out_[0] != 7 || out_[1] != 7) return "match() does not append";
        out_.erase(out_.begin(), out_.begin() + 2);
        if (auto found = differs("match() with the thread's memory"); !found.empty()) return found;
    }
    if (!spelling_of(event).repeated) {
        out_.clear();
        all_.match_unchecked(std::string_view(padded_).substr(0, text.size()), used, out_);
        if (auto found = differs("match_unchecked()"); !found.empty()) return found;
    }
    if (now(2)) {
        out_.clear();
        backwards_.match(event_, used, out_);
        for (auto& id : out_) id = static_cast<std::uint32_t>(patterns.size() - 1) - id;
        std::reverse(out_.begin(), out_.end());
        if (auto found = differs("match() of the rules in reverse order"); !found.empty()) return found;
    }
    for (const auto& [rule, alone] : alone_) {
        out_.clear();
        alone.match(event_, used, out_);
        if (out_.size() != (expected[rule] ? 1U : 0U) || (expected[rule] && out_[0] != 0))
            return fmt::format("rule {} alone answers otherwise", rule);
    }
    return {};
}

namespace {

/// Leaves out parts of `tree` as long as `still` holds. True when something went.
bool prune(Tree& tree, const std::function<bool()>& still)
{
    bool any = false;
    for (std::size_t size = std::max<std::size_t>(tree.items.size() / 2, 1); size > 0; size /= 2) {
        for (std::size_t at = 0; at < tree.items.size();) {
            const std::vector<Tree> before = tree.items;
            const std::size_t end = std::min(at + size, tree.items.size());
            tree.items.erase(tree.items.begin() + static_cast<std::ptrdiff_t>(at),
                             tree.items.begin() + static_cast<std::ptrdiff_t>(end));
            if (still()) {
                any = true;
            } else {
                tree.items = before;
                at += size;
            }
        }
    }
    for (Tree& item : tree.items) any = prune(item, still) || any;
    for (Tree& item : tree.items) {
        if (item.items.size() != 1 || (item.is(Tree::Kind::object) && tree.is(Tree::Kind::object))) continue;
        const Tree before = item;  // an array around one thing
        if (!item.is(Tree::Kind::array)) continue;
        Tree inner = item.items.front();
        inner.key = before.key;
        item = std::move(inner);
        if (still()) any = true;
        else item = before;
    }
    return any;
}

/// @param effort  rules that may still be compiled; when it is used up nothing goes wrong any more
bool goes_wrong(const std::vector<Tree>& patterns, const Tree& event, std::string& what, std::size_t& effort)
{
    if (effort < patterns.size()) return false;
    effort -= patterns.size();
    Rules rules(patterns, patterns.size() < 50 ? patterns.size() : 2);
    if (!rules.refused.empty()) return false;
    rules::Matching used;
    std::vector<bool> expected;
    for (int i = 0; i < 2; ++i) {  // the second time with memory used before
        what = rules.compare(event, used, expected, true);
        if (!what.empty()) return what.find("no JSON") == std::string::npos;
    }
    return false;
}

}  // namespace

std::string shrink(std::vector<Tree> patterns, Tree event)
{
    std::string what;
    std::size_t effort = 400'000;
    if (!goes_wrong(patterns, event, what, effort)) return "not found again by itself: the memory of earlier events matters";
    for (std::size_t size = std::max<std::size_t>(patterns.size() / 2, 1); size > 0; size /= 2) {
        for (std::size_t at = 0; at < patterns.size();) {
            std::vector<Tree> fewer = patterns;
            fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at),
                        fewer.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, fewer.size())));
            if (!fewer.empty() && goes_wrong(fewer, event, what, effort)) patterns = std::move(fewer);
            else at += size;
        }
    }
    const auto still = [&] { return goes_wrong(patterns, event, what, effort); };
    for (int round = 0; round < 5; ++round) {
        bool any = prune(event, still);
        for (std::size_t i = 0; i < patterns.size(); ++i) any = prune(patterns[i], still) || any;
        if (!any) break;
    }
    effort = patterns.size();
    (void)goes_wrong(patterns, event, what, effort);
    std::string out = what + "\n";
    constexpr std::size_t shown = 40;
    for (std::size_t i = 0; i < patterns.size() && i < shown; ++i)
        out += fmt::format("pattern {}: {}\n", i, patterns[i].json());
    if (patterns.size() > shown) out += fmt::format("and {} patterns more\n", patterns.size() - shown);
    return out + "event: " + event.json() + "\n";
}

}  // namespace eventyard::draws
