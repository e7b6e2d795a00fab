#include "cli/bench_events.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "cli/event_reader.hpp"
#include "core/json.hpp"

namespace eventyard::cli {

void EventBlock::clear()
{
    text_.clear();
    ends_.clear();
    lines_.clear();
    bytes_ = 0;
}

void EventBlock::append(std::string_view event, std::uint64_t line)
{
    text_ += event;
    ends_.push_back(text_.size());
    lines_.push_back(line);
    text_ += '\n';
    bytes_ += event.size();
}

void EventBlock::seal() { text_.append(json::Document::padding, ' '); }

namespace {

constexpr std::size_t event_max = 64U << 20;

class FileEvents final : public EventSource {
public:
    FileEvents(std::string path, int fd) : path_(std::move(path)), fd_(fd) { start(); }
    FileEvents(const FileEvents&) = delete;
    FileEvents& operator=(const FileEvents&) = delete;
    ~FileEvents() override
    {
        if (fd_ != STDIN_FILENO) ::close(fd_);
    }

    [[nodiscard]] std::string name() const override { return path_ == "-" ? "standard input" : path_; }

    [[nodiscard]] Result<bool> next(EventBlock& block) override
    {
        block.clear();
        std::string text;
        while (!block.full()) {
            const auto status = reader_->next(text, std::chrono::hours(1));
            if (status == LineReader::Status::end) break;
            if (status == LineReader::Status::idle) continue;
            ++line_;
            const std::string place = name() + ":" + std::to_string(line_) + ": ";
            if (status == LineReader::Status::too_long)
                return fail(Errc::too_large, place + "an event of more than 64 MiB");
            if (status != LineReader::Status::line) return fail_errno("read", name(), errno);
            if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
            block.append(text, line_);
        }
        if (fd_ == STDIN_FILENO && block.full())
            return fail(Errc::too_large, "standard input holds more than 256 MiB; give a file");
        block.seal();
        return block.size() > 0;
    }

    [[nodiscard]] Result<void> rewind() override
    {
        if (::lseek(fd_, 0, SEEK_SET) != 0) return fail_errno("lseek", name(), errno);
        start();
        return {};
    }

private:
    void start()
    {
        reader_.emplace(fd_, event_max);
        line_ = 0;
    }

    std::string path_;
    int fd_;
    std::optional<LineReader> reader_;
    std::uint64_t line_ = 0;
};

class GeneratedEvents final : public EventSource {
public:
    GeneratedEvents(const Family& family, const Scale& scale, std::uint64_t count)
        : family_(family), scale_(scale), count_(count)
    {
    }

    [[nodiscard]] std::string name() const override { return std::string("family ") + family_.name; }

    [[nodiscard]] Result<bool> next(EventBlock& block) override
    {
        block.clear();
        std::string text;
        while (next_ < count_ && !block.full()) {
            text.clear();
            family_.event(scale_, next_++, text);
            block.append(text, next_);
        }
        block.seal();
        return block.size() > 0;
    }

    [[nodiscard]] Result<void> rewind() override
    {
        next_ = 0;
        return {};
    }

private:
    const Family& family_;
    Scale scale_;
    std::uint64_t count_;
    std::uint64_t next_ = 0;
};

}  // namespace

Result<std::unique_ptr<EventSource>> open_events(const std::string& path)
{
    const int fd = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno("open", path, errno);
    return std::unique_ptr<EventSource>(std::make_unique<FileEvents>(path, fd));
}

std::unique_ptr<EventSource> generated_events(const Family& family, const Scale& scale,
                                              std::uint64_t count)
{
    return std::make_unique<GeneratedEvents>(family, scale, count);
}

}  // namespace eventyard::cli
