// targets/http_answer.hpp — HTTP/1 bytes from a server -> one final answer, within limits. No I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace eventyard::targets {

struct HttpAnswer {
    unsigned status = 0;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;     // its first bytes, as many as were asked for

    /// The first header of that name, whatever its case; empty when there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

/// Reads one answer; interim ones (100, 103) before it are skipped.
class AnswerReader {
public:
    static constexpr std::size_t head_max = 16U << 10;  // bytes of status line and headers
    static constexpr std::size_t body_max = 64U << 10;  // more is not read: State::capped
    static constexpr std::size_t body_kept = 1U << 10;  // for dead letters and people
    static constexpr unsigned interim_max = 8;

    enum class State : std::uint8_t {
        more,    // give more bytes
        done,    // the whole answer
        capped,  // status and headers are known, the body is longer than body_max
        broken,  // not HTTP, or cut short; see problem()
    };

    /// @param kept  bytes of the body that are kept
    explicit AnswerReader(std::size_t kept = body_kept);
    ~AnswerReader();
    AnswerReader(const AnswerReader&) = delete;
    AnswerReader& operator=(const AnswerReader&) = delete;

    [[nodiscard]] State feed(std::string_view bytes);
    /// The server closed the connection: done for bodies that end so, else broken.
    [[nodiscard]] State finish();
    /// After done or capped.
    [[nodiscard]] HttpAnswer take();
    /// After done: the connection may serve another request.
    [[nodiscard]] bool keep_alive() const;
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
    std::string pending_;
    std::string problem_;
    unsigned interim_ = 0;
};

}  // namespace eventyard::targets
