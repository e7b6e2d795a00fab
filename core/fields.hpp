// core/fields.hpp — reads the settings of one component from one located map.
//
// Each call names a key, its kind and its default; a wrong kind or value is reported at its place
// and the default returned, so reading goes on and all mistakes are found at once. finish() then
// reports every key nobody asked for, with a suggestion among those that were.
//
//     Fields fields{node, report, secrets};
//     const std::string url = fields.required_text("url");
//     const Duration timeout = fields.duration("timeout", 10s, {.min = 1ms, .max = 1h});
//     fields.finish("a webhook target");
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "core/node.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"

namespace eventyard {

/// Resolves "${env:NAME}" and "${file:PATH}" in scalar text. Implemented in config/.
class SecretSource {
public:
    virtual ~SecretSource() = default;
    /// The text with every reference replaced; mistakes are reported at `place`.
    /// `found_any` tells whether there was a reference (its value is then a secret).
    virtual std::string resolve(const std::string& text, const Place& place, Report& report,
                                bool& found_any) = 0;
};

struct DurationRange {
    Duration min{0};
    Duration max = Duration::max();
};

struct IntegerRange {
    std::int64_t min = INT64_MIN;
    std::int64_t max = INT64_MAX;
};

class Fields {
public:
    /// @param node  must be a map (anything else is reported and read as empty); must outlive this.
    Fields(const Node& node, Report& report, SecretSource& secrets);

    [[nodiscard]] const Place& place() const noexcept { return node_.place; }
    [[nodiscard]] const Place& place_of(std::string_view key) const noexcept;
    [[nodiscard]] bool has(std::string_view key);
    [[nodiscard]] Report& report() noexcept { return report_; }
    [[nodiscard]] SecretSource& secrets() noexcept { return secrets_; }

    std::string text(std::string_view key, std::string fallback);
    std::optional<std::string> optional_text(std::string_view key);
    std::string required_text(std::string_view key);
    /// One of the words; anything else is reported with the list and a suggestion.
    std::string choice(std::string_view key, std::initializer_list<const char*> words,
                       std::string fallback);
    bool flag(std::string_view key, bool fallback);
    std::int64_t integer(std::string_view key, std::int64_t fallback, IntegerRange range = {});
    double number(std::string_view key, double fallback, double min, double max);
    Duration duration(std::string_view key, Duration fallback, DurationRange range = {});
    /// Bytes.
    std::uint64_t size(std::string_view key, std::uint64_t fallback, std::uint64_t min = 0,
                       std::uint64_t max = UINT64_MAX);
    /// Text whose references are resolved; the value is known to the report as a secret.
    std::optional<Secret> secret(std::string_view key);
    /// A list of texts; a single text counts as a list of one.
    std::vector<std::string> texts(std::string_view key);
    /// The members of a map of texts, in order (e.g. headers). References are resolved; values that
    /// had one are secrets.
    std::vector<std::pair<std::string, Secret>> text_map(std::string_view key);
    /// The raw node, marked as asked for; null when absent.
    const Node* node(std::string_view key);
    /// Settings of a nested map; nothing when absent.
    std::optional<Fields> section(std::string_view key);

    void error(std::string_view key, std::string message);

    /// Reports keys that were never asked for and keys given twice. @param what  e.g. "a webhook target".
    void finish(const std::string& what);

private:
    const Node* ask(std::string_view key, Node::Kind kind);
    /// Scalar text of any scalar kind with references resolved.
    std::optional<std::string> scalar(std::string_view key, const char* wanted);

    const Node& node_;
    Report& report_;
    SecretSource& secrets_;
    std::vector<std::string> asked_;
};

}  // namespace eventyard
