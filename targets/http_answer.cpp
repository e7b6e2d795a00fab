#include "targets/http_answer.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>

namespace eventyard::targets {
namespace http = boost::beast::http;
namespace {

/// A Beast body that counts all bytes and keeps the first few.
struct CappedBody {
    struct value_type {
        std::string kept;
        std::size_t kept_max = 0;
        std::uint64_t seen = 0;
    };
    class reader {
    public:
        template <bool is_request, class Fields>
        reader(http::header<is_request, Fields>&, value_type& value) : value_(value)
        {
        }
        void init(const boost::optional<std::uint64_t>&, boost::system::error_code& ec) { ec = {}; }
        template <class Buffers>
        std::size_t put(const Buffers& buffers, boost::system::error_code& ec)
        {
            ec = {};
            std::size_t total = 0;
            for (auto at = boost::asio::buffer_sequence_begin(buffers);
                 at != boost::asio::buffer_sequence_end(buffers); ++at) {
                const boost::asio::const_buffer piece = *at;
                const std::size_t room = value_.kept_max - value_.kept.size();
                value_.kept.append(static_cast<const char*>(piece.data()),
                                   std::min(room, piece.size()));
                total += piece.size();
            }
            value_.seen += total;
            return total;
        }
        void finish(boost::system::error_code& ec) { ec = {}; }

    private:
        value_type& value_;
    };
};

}  // namespace

struct AnswerReader::Parser {
    using Type = http::response_parser<CappedBody>;
    std::size_t kept = body_kept;
    std::optional<Type> http;
    void reset()
    {
        http.emplace();
        http->get().body().kept_max = kept;
        http->header_limit(head_max);
        http->body_limit(boost::none);
        http->eager(true);
    }
};

std::string_view HttpAnswer::header(std::string_view name) const noexcept
{
    for (const auto& [key, value] : headers)
        if (boost::beast::iequals(key, name)) return value;
    return {};
}

AnswerReader::AnswerReader(std::size_t kept) : parser_(std::make_unique<Parser>())
{
    parser_->kept = kept;
    parser_->reset();
}
AnswerReader::~AnswerReader() = default;

AnswerReader::State AnswerReader::feed(std::string_view bytes)
{
    pending_.append(bytes);
    while (true) {
        auto& parser = *parser_->http;
        boost::system::error_code ec;
        const std::size_t used = parser.put(boost::asio::buffer(pending_), ec);
        pending_.erase(0, used);
        if (ec == http::error::need_more) return State::more;
        if (ec) {
            problem_ = ec.message();
            return State::broken;
        }
        if (parser.is_header_done() && parser.get().body().seen > body_max) return State::capped;
        if (parser.is_done()) {
            const unsigned status = parser.get().result_int();
            if (status >= 200 || status == 101) return State::done;
            if (++interim_ > interim_max) {
                problem_ = "too many interim answers";
                return State::broken;
            }
            parser_->reset();
        }
        if (pending_.empty() || used == 0) return State::more;
    }
}

AnswerReader::State AnswerReader::finish()
{
    auto& parser = *parser_->http;
    boost::system::error_code ec;
    if (parser.got_some()) parser.put_eof(ec);
    if (parser.got_some() && !ec && parser.is_done()) return State::done;
    problem_ = parser.got_some() ? "the answer was cut short" : "no answer";
    return State::broken;
}

HttpAnswer AnswerReader::take()
{
    auto& message = parser_->http->get();
    HttpAnswer answer;
    answer.status = message.result_int();
    for (const auto& field : message)
        answer.headers.emplace_back(field.name_string(), field.value());
    answer.body = std::move(message.body().kept);
    return answer;
}

bool AnswerReader::keep_alive() const
{
    return pending_.empty() && parser_->http->keep_alive() && parser_->http->get().result_int() != 101;
}

}  // namespace eventyard::targets
