#include "rules/rule_set.hpp"

#include "rules/engine/builder.hpp"
#include "rules/engine/engine.hpp"

namespace eventyard::rules {

Matching::Matching() : memory_(std::make_unique<EngineMemory>()) {}
Matching::~Matching() = default;
Matching::Matching(Matching&&) noexcept = default;
Matching& Matching::operator=(Matching&&) noexcept = default;

RuleSet::RuleSet() : RuleSet(std::vector<Pattern>{}) {}
RuleSet::RuleSet(std::vector<Pattern> patterns)
{
    RuleSetBuilder builder;
    for (Pattern& pattern : patterns) builder.add(std::move(pattern));
    *this = builder.build();
}

RuleSetBuilder::RuleSetBuilder() : engine_(std::make_shared<Engine>()), builder_(std::make_unique<Builder>(*engine_)) {}
RuleSetBuilder::~RuleSetBuilder() = default;

void RuleSetBuilder::add(Pattern pattern)
{
    builder_->add(size(), pattern);
    engine_->references_.add(std::move(pattern));
}

bool RuleSetBuilder::add_plain(std::string_view json)
{
    json::SyntaxError error;
    return text_.parse(json, {}, error) && add_plain(text_, 0);
}

bool RuleSetBuilder::add_plain(const json::Document& text, std::uint32_t index)
{
    if (!builder_->add(size(), text, index)) return false;
    engine_->references_.add(text.source(text.values()[index]));
    return true;
}

std::uint32_t RuleSetBuilder::size() const noexcept { return static_cast<std::uint32_t>(engine_->references_.size()); }

RuleSet RuleSetBuilder::build()
{
    builder_->finish();
    engine_->references_.finish();
    builder_.reset();
    return RuleSet(std::shared_ptr<const Engine>(std::move(engine_)));
}

void RuleSet::match(const json::Document& event, Matching& matching, std::vector<std::uint32_t>& out) const
{
    engine_->match(event, *matching.memory_, matching.cost, out);
}

void RuleSet::match(const json::Document& event, Matching& matching, std::vector<std::uint32_t>& out,
                    MatchSample& sample) const
{
    sample.rows.clear();
    engine_->match(event, *matching.memory_, matching.cost, out, &sample);
}

void RuleSet::match(const json::Document& event, std::vector<std::uint32_t>& out) const
{
    thread_local Matching matching;
    match(event, matching, out);
}

void RuleSet::match_unchecked(std::string_view event, Matching& matching, std::vector<std::uint32_t>& out) const
{
    engine_->match_unchecked(event, *matching.memory_, matching.cost, out);
}

std::size_t RuleSet::size() const noexcept { return engine_->size(); }
std::string_view RuleSet::plain_text(std::uint32_t index) const noexcept { return engine_->plain_text(index); }
RuleSetFigures RuleSet::figures() const noexcept { return engine_->figures(); }
std::string RuleSet::path(std::uint32_t number) const { return engine_->path(number); }

}  // namespace eventyard::rules
