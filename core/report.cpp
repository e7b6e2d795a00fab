#include "core/report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/secret.hpp"

namespace eventyard {
namespace {

std::string_view line_of(const std::string& text, std::uint32_t line)
{
    std::size_t begin = 0;
    for (std::uint32_t at = 1; at < line; ++at) {
        begin = text.find('\n', begin);
        if (begin == std::string::npos) return {};
        ++begin;
    }
    const std::size_t end = text.find('\n', begin);
    std::string_view found{text.data() + begin,
                           (end == std::string::npos ? text.size() : end) - begin};
    if (!found.empty() && found.back() == '\r') found.remove_suffix(1);
    return found;
}

/// Columns of a terminal, roughly: one a code point.
std::size_t width(std::string_view text)
{
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

/// Puts "***" in the place of each secret; `column` goes on pointing at what it pointed at.
void hide(std::string& line, std::size_t& column, const std::vector<std::string>& secrets)
{
    constexpr std::string_view hidden = "***";
    for (const std::string& secret : secrets)
        for (std::size_t at = line.find(secret); at != std::string::npos; at = line.find(secret, at + hidden.size())) {
            line.replace(at, secret.size(), hidden);
            if (column >= at + secret.size()) column = column - secret.size() + hidden.size();
            else if (column > at) column = at;
        }
}

std::string quote_line(std::string line_text, std::uint32_t column, const std::vector<std::string>& secrets)
{
    // Long lines (pasted JSON) are shown as a window round the column.
    constexpr std::size_t window = 100;
    std::size_t at = column > 0 ? std::min<std::size_t>(column - 1, line_text.size()) : 0;
    constexpr std::size_t searched = 4096;  // of a file in one line
    if (line_text.size() > searched) {
        const std::size_t from = at > searched / 2 ? at - searched / 2 : 0;
        line_text = line_text.substr(from, searched);
        at -= from;
    }
    hide(line_text, at, secrets);  // before a window could show a part of one
    std::string_view line = line_text;
    std::size_t begin = 0;
    std::string prefix;
    if (line.size() > window) {
        begin = at > window / 2 ? at - window / 2 : 0;
        while (begin > 0 && (line[begin] & 0xc0) == 0x80) --begin;
        std::size_t end = std::min(line.size(), begin + window);
        while (end < line.size() && (line[end] & 0xc0) == 0x80) ++end;
        line = line.substr(begin, end - begin);
        if (begin > 0) prefix = "...";
    }
    at -= begin;
    std::string shown = prefix + std::string(line);
    std::replace(shown.begin(), shown.end(), '\t', ' ');
    return "    " + shown + "\n    " +
           std::string(prefix.size() + width(line.substr(0, std::min(at, line.size()))), ' ') +
           "^\n";
}

const char* word(Severity severity)
{
    switch (severity) {
        case Severity::error: return "error";
        case Severity::warning: return "warning";
        case Severity::note: break;
    }
    return "note";
}

void replace_all(std::string& text, const std::string& from, std::string_view to)
{
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
}

/// So that one inside another does not leave a rest behind.
std::vector<std::string> longest_first(std::vector<std::string> secrets)
{
    std::sort(secrets.begin(), secrets.end(), [](const auto& a, const auto& b) { return a.size() != b.size() ? a.size() > b.size() : a < b; });
    secrets.erase(std::unique(secrets.begin(), secrets.end()), secrets.end());
    return secrets;
}

}  // namespace

void Report::error(Place place, std::string message)
{
    all_.push_back({Severity::error, std::move(place), std::move(message)});
}

void Report::warning(Place place, std::string message)
{
    all_.push_back({Severity::warning, std::move(place), std::move(message)});
}

void Report::add_source(const std::string& file, std::string text)
{
    if (sources_.emplace(file, std::move(text)).second) files_.push_back(file);
}

void Report::add_secret(std::string secret)
{
    if (secret.size() >= secret_min) secrets_.push_back(std::move(secret));
}

bool Report::has_errors() const noexcept { return errors() > 0; }

std::size_t Report::errors() const noexcept
{
    return static_cast<std::size_t>(std::count_if(
        all_.begin(), all_.end(), [](const auto& d) { return d.severity == Severity::error; }));
}

std::vector<Diagnostic> Report::sorted() const
{
    std::map<std::string, std::size_t> order;
    for (std::size_t i = 0; i < files_.size(); ++i) order[files_[i]] = i;
    const auto key = [&](const Diagnostic& d) {
        const std::string name = d.place.file ? *d.place.file : std::string();
        const auto found = order.find(name);
        return std::make_tuple(found == order.end() ? order.size() : found->second, name,
                               d.place.line, d.place.column);
    };
    std::vector<Diagnostic> list = all_;
    std::stable_sort(list.begin(), list.end(),
                     [&](const auto& a, const auto& b) { return key(a) < key(b); });
    return list;
}

std::string Report::text() const
{
    std::string out;
    const std::vector<std::string> secrets = longest_first(secrets_);
    for (const Diagnostic& d : sorted()) {
        std::string entry;
        if (d.place.file) entry += *d.place.file + ":";
        if (d.place.line > 0)
            entry += std::to_string(d.place.line) + ":" + std::to_string(d.place.column) + ":";
        if (!entry.empty()) entry += " ";
        std::string message = d.message;
        for (const std::string& secret : secrets) replace_all(message, secret, "***");
        entry += std::string(word(d.severity)) + ": " + message + "\n";
        if (d.place.file && d.place.line > 0)
            if (const auto source = sources_.find(*d.place.file); source != sources_.end())
                entry += quote_line(std::string(line_of(source->second, d.place.line)), d.place.column, secrets);
        out += entry;
    }
    return out;
}

std::string Report::json() const
{
    nlohmann::json list = nlohmann::json::array();
    const std::vector<std::string> secrets = longest_first(secrets_);
    for (const Diagnostic& d : sorted()) {
        std::string message = d.message;
        for (const std::string& secret : secrets) replace_all(message, secret, "***");
        nlohmann::json one{{"severity", word(d.severity)}, {"message", message}};
        if (d.place.file) one["file"] = *d.place.file;
        if (d.place.line > 0) {
            one["line"] = d.place.line;
            one["column"] = d.place.column;
        }
        list.push_back(std::move(one));
    }
    return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates)
{
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        std::vector<std::size_t> row(candidate.size() + 1);
        for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
        for (std::size_t i = 1; i <= word.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i;
            for (std::size_t j = 1; j <= candidate.size(); ++j) {
                const std::size_t above = row[j];
                row[j] = std::min({row[j] + 1, row[j - 1] + 1,
                                   diagonal + (word[i - 1] == candidate[j - 1] ? 0U : 1U)});
                diagonal = above;
            }
        }
        if (row.back() < best_distance) {
            best_distance = row.back();
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates)
{
    const std::string near = nearest(word, candidates);
    return near.empty() ? std::string() : "; did you mean '" + near + "'?";
}

}  // namespace eventyard
