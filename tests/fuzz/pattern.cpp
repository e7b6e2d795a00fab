// A pattern and an event, parted by a zero byte: refusals have a place and a reason, matching ends,
// and the explanation agrees with the answer.
#include <cstdlib>

#include "rules/explain.hpp"
#include "rules/pattern.hpp"
#include "rules/portable.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace eventyard;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto zero = text.find('\0');
    Report report;
    const auto node = rules::read_pattern_text(std::string(text.substr(0, zero)), {}, report);
    if (!node) {
        if (!report.has_errors()) std::abort();
        return 0;
    }
    const auto pattern = rules::compile_pattern(*node, report);
    if (pattern.has_value() == report.has_errors()) std::abort();
    (void)rules::portability(*node);
    (void)report.text();
    if (!pattern || zero == std::string_view::npos) return 0;
    json::Document event;
    json::SyntaxError error;
    if (!event.parse(text.substr(zero + 1), {}, error)) return 0;
    if (event.root().kind != json::Kind::object) return 0;
    if (rules::explain(*pattern, event).matched != rules::matches(*pattern, event)) std::abort();
    return 0;
}
