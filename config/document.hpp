// config/document.hpp — one file of YAML, JSON or JSON Lines as located trees.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/node.hpp"
#include "core/report.hpp"

namespace eventyard::config {

inline constexpr std::size_t document_max = 64U << 20;   // bytes of one YAML or JSON file
inline constexpr std::size_t json_line_max = 1U << 20;   // bytes of one line of a .jsonl file

struct Document {
    std::shared_ptr<const std::string> file;
    std::string text;
    Node root;          // a null without text: an empty file
    bool yaml = false;
};

/// Reads a .yaml, .yml or .json file whole; the report may quote it from then on. Mistakes are
/// reported; one of the file itself (missing, no such format) at `asked_by`.
/// @param settings  it may hold secrets: of its values only those are quoted that are none, see quotable()
[[nodiscard]] std::optional<Document> read_document(const std::string& path, const Place& asked_by,
                                                    Report& report, bool settings = false);

/// Gives the lines of a .jsonl file one by one, in bounded memory; blank lines are skipped.
void read_json_lines(const std::string& path, const Place& asked_by, Report& report,
                     const std::function<void(std::string_view line, const Place& start)>& take);

/// Lets the report quote those lines of a .jsonl file that it speaks of.
void quote_json_lines(const std::string& path, Report& report);

/// The tree that a text value holds as JSON ("pattern: |" with pasted JSON). Places are those of
/// the file where its lines can be told from `source` (a literal block, a quoted line); where not,
/// they count from the value's start. `source` may be empty.
[[nodiscard]] std::optional<Node> read_embedded_json(const Node& text, std::string_view source,
                                                     Report& report);

/// Where byte `offset` of a text value stands in the file, told as above; nothing where it cannot be told.
[[nodiscard]] std::optional<Place> place_in_text(const Node& text, std::string_view source, std::size_t offset);

}  // namespace eventyard::config
