// A POST: the lines of its head up to an empty one, then the body. Whatever it holds, each item is
// either taken or refused, and what is taken can be stored as it is.
#include "router/ingest/request.hpp"
#include "tests/fuzz/expect.hpp"

using namespace eventyard;
using namespace eventyard::router;
using fuzz::expect;

namespace {

const IngestLimits limits = [] {
    IngestLimits small;
    small.depth = 100;
    small.batch = 20;
    return small;
}();

/// "ce-id: 1" and "content-type: text/plain" count; other lines, a request line too, do not.
void add_header(BodyHeaders& headers, std::string_view line)
{
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    std::string_view value = line;
    std::string name{fuzz::take_until(value, ':')};
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    if (name == "content-type") headers.content_type = value;
    else if (name.starts_with("ce-")) headers.ce.push_back({name.substr(3), value});
}

void check_refusal(const Refusal& refusal, std::size_t body)
{
    expect(refusal.status >= 400 && refusal.status < 500, "a refusal is the client's fault");
    expect(*refusal.code != '\0' && !refusal.message.empty(), "a refusal has a code and a reason");
    expect(refusal.offset.value_or(0) <= body, "a fault lies in the body", refusal.message);
    expect((refusal.config == nullptr) == (refusal.limit == 0), "a limit has its key", refusal.message);
}

class Sink final : public ItemSink {
public:
    Sink(BodyForm form, std::string_view body) : form_(form), body_(body) {}

    void take(const Candidate& item) override
    {
        ++items;
        const json::Document& event = item.document;
        expect(event.root().kind == json::Kind::object, "an event is an object");
        expect(event.source() == item.text, "the document is that of the text to keep");
        static json::Document again;
        json::SyntaxError error;
        expect(again.parse(item.text, {limits.depth + 1}, error), "what is kept can be read again");
        expect((item.format == EventFormat::cloudevents) ==
                   (form_ != BodyForm::json && form_ != BodyForm::ndjson),
               "the format follows from the form");
        if (item.format == EventFormat::cloudevents)
            for (const char* name : {"specversion", "id", "source", "type"}) {
                const json::Value* value = event.member(0, name);
                expect(value != nullptr && value->kind == json::Kind::string && !value->text.empty(),
                       "a CloudEvent has its attributes", name);
            }
        if (item.whole_body) expect(item.text == body_, "a whole body is the body");
        const bool inside = item.text.data() >= body_.data() &&
                            item.text.data() + item.text.size() <= body_.data() + body_.size();
        expect(inside == (form_ != BodyForm::ce_binary), "kept byte for byte, unless built from headers");
        expect((item.line > 0) == (form_ == BodyForm::ndjson), "lines count in NDJSON");
    }
    void refuse(Refusal refusal) override
    {
        ++items;
        check_refusal(refusal, body_.size());
        expect((refusal.line > 0) == (form_ == BodyForm::ndjson), "lines count in NDJSON");
    }
    std::size_t items = 0;

private:
    BodyForm form_;
    std::string_view body_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view rest = fuzz::text_of(data, size);
    BodyHeaders headers;
    for (;;) {
        const std::string_view line = fuzz::take_until(rest, '\n');
        if (line.empty() || line == "\r") break;
        add_header(headers, line);
    }
    Refusal refusal;
    const auto form = body_form(headers, refusal);
    if (!form) {
        check_refusal(refusal, 0);
        return 0;
    }
    static ReadScratch scratch;
    Sink sink{*form, rest};
    if (!read_items(*form, headers, rest, limits, scratch, sink, refusal)) {
        expect(sink.items == 0, "a request that is refused as a whole hands out no item");
        check_refusal(refusal, rest.size());
    } else if (is_batch(*form)) {
        expect(sink.items <= limits.batch, "no more items than the limit");
    } else {
        expect(sink.items == 1, "one item");
    }
    return 0;
}
