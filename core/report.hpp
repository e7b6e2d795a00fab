// core/report.hpp — every mistake in what a person wrote, each with its place.
//
// Configuration, rule files and patterns are read to the end; each mistake adds a Diagnostic, so
// that a person sees all of them at once:
//
//     rules/orders.yaml:3:5: error: unknown key 'target'; did you mean 'targets'?
//         target: [billing]
//         ^
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace eventyard {

/// Where something stands; lines and columns count from 1, column in bytes. line 0: unknown.
struct Place {
    std::shared_ptr<const std::string> file;  // as the person named it; null: no file
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

enum class Severity : std::uint8_t { error, warning, note };

struct Diagnostic {
    Severity severity = Severity::error;
    Place place;
    std::string message;  // one line, no trailing dot
};

class Report {
public:
    void error(Place place, std::string message);
    void warning(Place place, std::string message);
    /// The text of a file that diagnostics may quote. Named as in Place::file.
    void add_source(const std::string& file, std::string text);
    /// Secrets that must not appear in quoted lines: each is shown as "***". Below secret_min they are none.
    void add_secret(std::string secret);

    [[nodiscard]] bool has_errors() const noexcept;
    [[nodiscard]] std::size_t errors() const noexcept;
    [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const noexcept { return all_; }
    /// In order of file (as met), line and column; each with its source line and a caret.
    [[nodiscard]] std::string text() const;
    /// [{"severity","file","line","column","message"}] as JSON text.
    [[nodiscard]] std::string json() const;

private:
    std::vector<Diagnostic> sorted() const;
    std::vector<Diagnostic> all_;
    std::vector<std::string> files_;  // order of first add_source
    std::map<std::string, std::string> sources_;
    std::vector<std::string> secrets_;
};

/// The candidate nearest to `word` by edit distance, or empty when none is near enough to be meant.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "; did you mean 'x'?" or "".
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string>& candidates);

}  // namespace eventyard
