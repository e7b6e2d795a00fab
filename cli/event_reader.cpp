#include "cli/event_reader.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/json.hpp"

namespace eventyard::cli {

LineReader::Status LineReader::next(std::string& line, Duration patience)
{
    for (;;) {
        const std::size_t end = buffer_.find('\n', begin_);
        if (end != std::string::npos) {
            const bool skipped = std::exchange(skipping_, false);
            line.assign(buffer_, begin_, end - begin_);
            begin_ = end + 1;
            if (skipped) continue;
            if (!line.empty() && line.back() == '\r') line.pop_back();
            return Status::line;
        }
        buffer_.erase(0, begin_);
        begin_ = 0;
        if (skipping_) buffer_.clear();
        if (buffer_.size() > line_max_) {
            skipping_ = true;
            buffer_.clear();
            return Status::too_long;
        }
        if (ended_) {
            if (buffer_.empty()) return Status::end;
            line = std::move(buffer_);
            buffer_.clear();
            return Status::line;
        }
        pollfd ready{fd_, POLLIN, 0};
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
        const int polled = ::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(wait, 60'000)));
        if (polled == 0) return Status::idle;
        if (polled < 0 && errno == EINTR) continue;
        std::array<char, 65536> chunk;
        const auto got = ::read(fd_, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Status::failed;
        if (got == 0) ended_ = true;
        buffer_.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

Result<std::vector<std::string>> split_document(const std::string& text)
{
    json::Document document;
    json::SyntaxError error;
    // The daemon judges depth; here only the stack of braces has to be found.
    if (!document.parse(text, {.depth = 100'000}, error))
        return fail(Errc::invalid, "not one JSON document: " + error.message + " at byte " +
                                       std::to_string(error.offset) +
                                       " (for a file of lines use --file-format ndjson)");
    std::vector<std::string> events;
    const auto add = [&](const json::Value& value) {
        std::string event{document.source(value)};
        // Strings hold no raw line ends, so these stand between tokens.
        std::replace_if(event.begin(), event.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
        events.push_back(std::move(event));
    };
    const auto& values = document.values();
    if (document.root().kind != json::Kind::array) {
        add(document.root());
    } else {
        for (std::uint32_t i = 1; i < document.root().next; i = values[i].next) add(values[i]);
    }
    return events;
}

bool is_ndjson(const std::string& path, FileFormat format)
{
    if (format != FileFormat::by_name) return format == FileFormat::ndjson;
    constexpr std::string_view document = ".json";
    return path.size() < document.size() ||
           path.compare(path.size() - document.size(), document.size(), document) != 0;
}

}  // namespace eventyard::cli
