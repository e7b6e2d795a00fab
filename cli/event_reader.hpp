// cli/event_reader.hpp — events out of files and stdin, one JSON text after the other.
//
// NDJSON is read line by line, however long the input; a JSON document (an object, or an array of
// events) is read whole, up to a limit.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"

namespace eventyard::cli {

enum class FileFormat : std::uint8_t { by_name, json, ndjson };

/// One event's JSON text on one line, and where it stood ("file:line", or "file" and an index).
struct InputEvent {
    std::string text;
    std::string place;
};

/// Lines of a descriptor. Not thread-safe.
class LineReader {
public:
    /// @param fd  stays the caller's
    LineReader(int fd, std::size_t line_max) : fd_(fd), line_max_(line_max) {}
    enum class Status : std::uint8_t { line, end, idle, too_long, failed };
    /// The next line without its end. `idle` when no whole line came within `patience`; `too_long`
    /// once for a line above the limit, which is skipped.
    Status next(std::string& line, Duration patience);

private:
    int fd_;
    std::size_t line_max_;
    std::string buffer_;
    std::size_t begin_ = 0;
    bool skipping_ = false;
    bool ended_ = false;
};

/// The events of one JSON document: each element of an array, or the document itself; blanks between
/// tokens that would break a line become spaces.
Result<std::vector<std::string>> split_document(const std::string& text);

/// Whether `path` holds NDJSON: by its name, "-" included; .json is a document, all else NDJSON.
[[nodiscard]] bool is_ndjson(const std::string& path, FileFormat format);

}  // namespace eventyard::cli
