#include "config/document.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "config/files.hpp"
#include "config/quotable.hpp"
#include "config/yaml_reader.hpp"
#include "core/units.hpp"
#include "rules/pattern.hpp"

namespace eventyard::config {
namespace {

/// JSON text whose first byte stands at `start`.
struct Piece {
    std::string_view json;
    Place start;
};

std::vector<std::string_view> split_lines(std::string_view text)
{
    std::vector<std::string_view> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        lines.push_back(line);
        at = end + 1;
    }
    return lines;
}

/// From the byte at line:column to the end; empty when there is no such place.
std::string_view from_place(std::string_view source, const Place& place)
{
    std::size_t at = 0;
    for (std::uint32_t line = 1; line < place.line; ++line) {
        at = source.find('\n', at);
        if (at == std::string_view::npos) return {};
        ++at;
    }
    return place.line == 0 || at + place.column - 1 > source.size()
               ? std::string_view()
               : source.substr(at + place.column - 1);
}

/// The source lines of a literal or folded block ("|", ">") that hold `text`, if they can be told.
std::optional<Piece> block_piece(const Node& node, std::string_view rest)
{
    const std::size_t header_end = rest.find('\n');
    if (header_end == std::string_view::npos) return std::nullopt;
    const std::string_view lines = rest.substr(header_end + 1);
    const auto wanted = split_lines(node.text);
    const auto found = split_lines(lines);
    if (found.size() < wanted.size()) return std::nullopt;
    std::size_t size = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const std::string_view line = found[i];
        if (line.size() < wanted[i].size() ||
            line.substr(line.size() - wanted[i].size()) != wanted[i])
            return std::nullopt;
        size = static_cast<std::size_t>(line.data() - lines.data()) + line.size();
    }
    // The blanks of the indentation are blanks in JSON too, so the lines can be read as they stand.
    return Piece{lines.substr(0, size), {node.place.file, node.place.line + 1, 1}};
}

std::optional<Piece> source_piece(const Node& node, std::string_view source)
{
    std::string_view rest = from_place(source, node.place);
    Place start = node.place;
    while (!rest.empty() && (rest.front() == '&' || rest.front() == '!')) {  // an anchor before it
        const std::size_t end = rest.find_first_of(" \n");
        if (end == std::string_view::npos || rest[end] == '\n') return std::nullopt;
        rest.remove_prefix(end + 1);
        start.column += static_cast<std::uint32_t>(end + 1);
    }
    if (rest.empty()) return std::nullopt;
    if (rest.front() == '|') return block_piece(node, rest);
    if (rest.front() != '\'' && rest.front() != '"') return std::nullopt;
    if (rest.substr(1, node.text.size()) != node.text) return std::nullopt;  // escapes, more lines
    ++start.column;
    return Piece{rest.substr(1, node.text.size()), start};
}

}  // namespace

std::optional<Document> read_document(const std::string& path, const Place& asked_by,
                                      Report& report, bool settings)
{
    const std::string ext = extension(path);
    const bool yaml = ext == ".yaml" || ext == ".yml";
    if (!yaml && ext != ".json") {
        report.error(asked_by, path + ": the name must end in .yaml, .yml or .json");
        return std::nullopt;
    }
    auto content = read_file(path, document_max);
    if (!content.has_value()) {
        report.error(asked_by, content.error().what);
        return std::nullopt;
    }
    Document document;
    document.file = std::make_shared<const std::string>(path);
    document.text = std::move(*content);
    if (document.text.rfind("\xef\xbb\xbf", 0) == 0) document.text.erase(0, 3);
    document.yaml = yaml;
    report.add_source(path, settings ? quotable(document.text) : document.text);
    auto root = yaml ? read_yaml(document.text, document.file, report)
                     : rules::read_pattern_text(document.text, {document.file, 1, 1}, report);
    if (!root) return std::nullopt;
    document.root = std::move(*root);
    return document;
}

void read_json_lines(const std::string& path, const Place& asked_by, Report& report,
                     const std::function<void(std::string_view line, const Place& start)>& take)
{
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        report.error(asked_by, path + ": cannot open: " + std::strerror(errno));
        return;
    }
    const auto file = std::make_shared<const std::string>(path);
    std::string line;
    for (std::uint32_t number = 1; std::getline(in, line); ++number) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        const Place start{file, number, 1};
        if (line.size() > json_line_max) {
            report.error(start, "this line is larger than " + format_size(json_line_max));
            continue;
        }
        take(line, start);
    }
    if (in.bad()) report.error(asked_by, path + ": cannot read: " + std::strerror(errno));
}

void quote_json_lines(const std::string& path, Report& report)
{
    std::set<std::uint32_t> wanted;
    for (const Diagnostic& d : report.diagnostics())
        if (d.place.file && *d.place.file == path) wanted.insert(d.place.line);
    if (wanted.empty()) return;
    std::ifstream in(path, std::ios::binary);
    std::string text;
    std::string line;
    for (std::uint32_t number = 1; number <= *wanted.rbegin() && std::getline(in, line); ++number)
        text += wanted.count(number) > 0 ? line + "\n" : "\n";
    report.add_source(path, std::move(text));
}

std::optional<Place> place_in_text(const Node& text, std::string_view source, std::size_t offset)
{
    const auto piece = source_piece(text, source);
    const std::string_view rest = from_place(source, text.place);
    if (!piece && (text.text.find('\n') != std::string::npos || rest.substr(0, text.text.size()) != text.text))
        return std::nullopt;
    Place place = piece ? piece->start : text.place;  // else it stands there without quotes
    const auto lines = split_lines(piece ? piece->json : rest.substr(0, text.text.size()));
    const std::string_view before = std::string_view(text.text).substr(0, offset);
    const auto line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    if (line >= lines.size()) return std::nullopt;
    const std::size_t begin = line == 0 ? 0 : before.rfind('\n') + 1;
    const std::size_t end = std::min(text.text.find('\n', begin), text.text.size());
    const std::size_t indent = lines[line].size() - std::min(lines[line].size(), end - begin);
    place.line += static_cast<std::uint32_t>(line);
    place.column = static_cast<std::uint32_t>((line == 0 ? place.column : 1) + indent + offset - begin);
    return place;
}

std::optional<Node> read_embedded_json(const Node& text, std::string_view source, Report& report)
{
    Report direct;
    if (const auto piece = source_piece(text, source)) {
        auto node = rules::read_pattern_text(piece->json, piece->start, direct);
        for (const Diagnostic& d : direct.diagnostics()) report.error(d.place, d.message);
        return node;
    }
    return rules::read_pattern_text(text.text, text.place, report);
}

}  // namespace eventyard::config
