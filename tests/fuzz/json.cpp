// Any bytes as JSON, beside nlohmann's reader: both take the same texts and read the same values in
// them. The places of values and faults are checked against what core/json.hpp says of them.
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/json.hpp"
#include "tests/fuzz/expect.hpp"

using namespace eventyard;
using fuzz::expect;

namespace {

constexpr json::Limits limits{.depth = 200};

bool is_integer(std::string_view text) { return text.find_first_of(".eE") == std::string_view::npos; }

/// Walks our values in step with what nlohmann reads.
class Beside final : public nlohmann::json_sax<nlohmann::json> {
public:
    explicit Beside(const json::Document& ours) : ours_(ours.values()) {}

    bool null() override { return next(json::Kind::null) != nullptr; }
    bool boolean(bool value) override
    {
        expect(next(json::Kind::boolean)->truth == value, "the same truth value");
        return true;
    }
    bool number_integer(number_integer_t value) override
    {
        expect(next(json::Kind::number)->text == (value == 0 ? "-0" : std::to_string(value)),
               "the same negative integer");
        return true;
    }
    bool number_unsigned(number_unsigned_t value) override
    {
        expect(next(json::Kind::number)->text == std::to_string(value), "the same integer");
        return true;
    }
    bool number_float(number_float_t, const string_t& text) override
    {
        expect(next(json::Kind::number)->text == text, "the same number");
        return true;
    }
    bool string(string_t& value) override
    {
        expect(next(json::Kind::string)->text == value, "the same string");
        return true;
    }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return next(json::Kind::object) != nullptr; }
    bool key(string_t& value) override
    {
        expect(at_ < ours_.size() && ours_[at_].key == value, "the same member name");
        return true;
    }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override { return next(json::Kind::array) != nullptr; }
    bool end_array() override { return close(); }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override
    {
        return false;
    }
    [[nodiscard]] bool whole() const { return at_ == ours_.size() && open_.empty(); }

private:
    const json::Value* next(json::Kind kind)
    {
        expect(at_ < ours_.size(), "no fewer values than nlohmann reads");
        const json::Value& value = ours_[at_];
        expect(value.kind == kind, "the same kind of value");
        if (kind == json::Kind::object || kind == json::Kind::array) open_.push_back(at_);
        ++at_;
        return &value;
    }
    bool close()
    {
        expect(ours_[open_.back()].next == at_, "`next` is just past the last descendant");
        open_.pop_back();
        return true;
    }

    std::span<const json::Value> ours_;
    std::size_t at_ = 0;
    std::vector<std::size_t> open_;
};

/// nlohmann refuses lone surrogates and numbers beyond a double; we do not.
bool beyond_nlohmann(const json::Document& document)
{
    for (const json::Value& value : document.values()) {
        if (value.lone_surrogate || value.key_lone_surrogate) return true;
        if (value.kind == json::Kind::number && !is_integer(value.text) &&
            !std::isfinite(std::strtod(std::string(value.text).c_str(), nullptr)))
            return true;
        if (value.kind == json::Kind::number && value.text.size() > 300) return true;
    }
    return false;
}

void check_places(const json::Document& document, std::string_view text)
{
    const auto& values = document.values();
    static json::Document alone;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const json::Value& value = values[i];
        expect(value.begin < value.end && value.end <= text.size(), "a value stands in the text");
        expect(value.next > i && value.next <= values.size(), "`next` moves on, within the document");
        for (std::uint32_t child = static_cast<std::uint32_t>(i) + 1; child < value.next;
             child = values[child].next)
            expect(value.begin < values[child].begin && values[child].end < value.end,
                   "a child stands inside its container");
        if (value.kind != json::Kind::string) continue;
        std::string quoted;
        json::append_quoted(quoted, value.text);
        json::SyntaxError error;
        expect(alone.parse(quoted, limits, error) && alone.root().text == value.text &&
                   alone.root().lone_surrogate == value.lone_surrogate,
               "a string that is written again reads the same", quoted);
    }
    // A value's source is a JSON text of its own with the same number of values.
    const json::Value& some = values[values.size() / 2];
    json::SyntaxError error;
    expect(alone.parse(document.source(some), limits, error), "a value's source is JSON");
    expect(alone.values().size() == some.next - values.size() / 2, "of as many values");
}

bool has_byte_order_mark(std::string_view text) { return text.substr(0, 3) == "\xef\xbb\xbf"; }

/// Up to the fault the text is the beginning of a valid one; with the byte at the fault it is not.
void check_fault(std::string_view text, const json::SyntaxError& fault)
{
    expect(fault.offset <= text.size() && !fault.message.empty(), "a fault has a place and a reason");
    static json::Document part;
    json::SyntaxError error;
    if (!part.parse(text.substr(0, fault.offset), limits, error))
        expect(error.offset == fault.offset, "what stands before the fault is the beginning of a text");
    if (fault.offset < text.size() && !has_byte_order_mark(text)) {  // named by its three bytes
        error = {};
        expect(!part.parse(text.substr(0, fault.offset + 1), limits, error) &&
                   error.offset == fault.offset && error.message == fault.message,
               "the fault does not depend on what follows it", error.message);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static json::Document document;
    const std::string_view text = fuzz::text_of(data, size);
    json::SyntaxError fault;
    if (!document.parse(text, limits, fault)) {
        expect(document.empty(), "a refused text leaves the document empty");
        check_fault(text, fault);
        // nlohmann takes a zero byte for the end of the text, skips a byte order mark, has no depth.
        const bool ours_alone = fault.too_deep || has_byte_order_mark(text) ||
                                (fault.offset < text.size() && text[fault.offset] == '\0') ||
                                fault.message.find("exponent has more than") != std::string::npos;
        expect(ours_alone || !nlohmann::json::accept(text), "nlohmann refuses it too", fault.message);
        return 0;
    }
    expect(!document.empty() && document.root().next == document.values().size(), "one root holds all");
    check_places(document, text);
    Beside beside{document};
    if (nlohmann::json::sax_parse(text, &beside)) expect(beside.whole(), "as many values as nlohmann");
    else expect(beyond_nlohmann(document), "nlohmann takes it too");
    return 0;
}
