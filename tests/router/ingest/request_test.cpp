#include "router/ingest/request.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace eventyard;
using router::BodyForm;
using router::BodyHeaders;
using router::Refusal;

namespace {

struct Taken {
    EventFormat format;
    std::string text;
    std::uint64_t line;
};

struct Sink : router::ItemSink {
    void take(const router::Candidate& item) override
    {
        CHECK(!item.document.empty());
        taken.push_back({item.format, std::string(item.text), item.line});
    }
    void refuse(Refusal refusal) override { refused.push_back(std::move(refusal)); }
    std::vector<Taken> taken;
    std::vector<Refusal> refused;
};

struct Read {
    bool whole = false;
    Refusal refusal;
    Sink sink;
};

Read read(const BodyHeaders& headers, std::string_view body, router::IngestLimits limits = {})
{
    Read out;
    router::ReadScratch scratch;
    const auto form = router::body_form(headers, out.refusal);
    if (!form) return out;
    out.whole = router::read_items(*form, headers, body, limits, scratch, out.sink, out.refusal);
    return out;
}

Read read(std::string_view type, std::string_view body, router::IngestLimits limits = {})
{
    return read(BodyHeaders{type, {}}, body, limits);
}

/// A recorded request's headers and body.
struct Recording {
    std::string head, body;
    BodyHeaders headers;

    explicit Recording(const std::string& name)
    {
        std::ifstream file(EVENTYARD_SOURCE_DIR "/tests/cases/http/" + name, std::ios::binary);
        std::stringstream text;
        text << file.rdbuf();
        head = text.str();
        const std::size_t end = head.find("\r\n\r\n");
        REQUIRE(end != std::string::npos);
        body = head.substr(end + 4);
        head.resize(end + 2);
        for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
            const std::size_t line_end = head.find("\r\n", at);
            const std::string_view line = std::string_view{head}.substr(at, line_end - at);
            const std::size_t colon = line.find(": ");
            const std::string_view name_of = line.substr(0, colon);
            if (name_of == "content-type") headers.content_type = line.substr(colon + 2);
            if (name_of.substr(0, 3) == "ce-")
                headers.ce.push_back({std::string(name_of.substr(3)), line.substr(colon + 2)});
            at = line_end + 2;
        }
    }
};

const std::string event = R"({"specversion":"1.0","id":"1","source":"/s","type":"t"})";

/// `event` with one more member.
std::string with(const std::string& member) { return event.substr(0, event.size() - 1) + "," + member + "}"; }

}  // namespace

TEST_CASE("The head says which form the body has")
{
    struct Case {
        const char* type;
        std::vector<const char*> ce;
        std::optional<BodyForm> form;
    };
    const std::vector<const char*> all = {"id", "source", "type", "specversion"};
    const Case cases[] = {
        {nullptr, {}, BodyForm::json},
        {"application/json", {}, BodyForm::json},
        {"Application/JSON; charset=UTF-8", {}, BodyForm::json},
        {"application/vnd.github+json", {}, BodyForm::json},
        {"text/json", {}, BodyForm::json},
        {"application/x-ndjson", {}, BodyForm::ndjson},
        {"application/ndjson;charset=utf-8", {}, BodyForm::ndjson},
        {"application/jsonl", {}, BodyForm::ndjson},
        {"application/cloudevents+json", {}, BodyForm::ce_structured},
        {"application/cloudevents+json; charset=utf-8", all, BodyForm::ce_structured},
        {"application/cloudevents", {}, BodyForm::ce_structured},
        {"APPLICATION/CLOUDEVENTS-BATCH+JSON", {}, BodyForm::ce_batch},
        {"application/cloudevents+avro", {}, std::nullopt},
        {"application/cloudevents+xml", all, std::nullopt},
        {"application/json", all, BodyForm::ce_binary},
        {"image/png", all, BodyForm::ce_binary},
        {nullptr, all, BodyForm::ce_binary},
        {"application/json", {"specversion"}, BodyForm::ce_binary},
        {"application/json", {"traceparent"}, BodyForm::json},
        {"image/png", {"traceparent"}, std::nullopt},
        {"application/x-www-form-urlencoded", {}, std::nullopt},
        {"text/plain", {}, std::nullopt},
        {"", {}, std::nullopt},
        {"json", {}, std::nullopt},
        {"application/", {}, std::nullopt},
        {"application/json; charset", {}, std::nullopt},
        {"application/json, text/plain", {}, std::nullopt},
    };
    for (const Case& c : cases)
        DYNAMIC_SECTION((c.type ? c.type : "no type") << " and " << c.ce.size())
        {
            BodyHeaders headers;
            if (c.type) headers.content_type = c.type;
            for (const char* name : c.ce) headers.ce.push_back({name, "x"});
            Refusal refusal;
            const auto form = router::body_form(headers, refusal);
            CHECK(form == c.form);
            if (!form) {
                CHECK(refusal.status == 415);
                CHECK(refusal.message.find("application/x-ndjson") != std::string::npos);
            }
        }
}

TEST_CASE("A JSON body is kept byte for byte")
{
    for (const std::string body : {R"({"a":1})", " {\r\n\"a\" : 1.0 }\n\n", R"({"a":1,"a":2})", "{}"}) {
        const Read got = read("application/json", body);
        REQUIRE(got.sink.taken.size() == 1);
        CHECK(got.sink.taken[0].text == body);
        CHECK(got.sink.taken[0].format == EventFormat::json);
    }
}

TEST_CASE("What is no JSON object is refused with its place")
{
    struct Case {
        const char* body;
        const char* code;
        std::uint64_t offset;
    };
    const Case cases[] = {
        {"", "invalid_json", 0},          {"  ", "invalid_json", 2},   {"{\"a\":}", "invalid_json", 5},
        {"{} x", "invalid_json", 3},      {" [1]", "not_an_object", 1}, {"null", "not_an_object", 0},
        {"{\"a\":\"\xff\"}", "invalid_json", 6}, {"{\"a\":1e9999999999999999999}", "invalid_json", 25},
    };
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.body)
        {
            const Read got = read("application/json", c.body);
            REQUIRE(got.sink.refused.size() == 1);
            CHECK(got.sink.refused[0].status == 400);
            CHECK(std::string(got.sink.refused[0].code) == c.code);
            CHECK(got.sink.refused[0].offset == c.offset);
        }
    router::IngestLimits limits;
    limits.depth = 3;
    const Read deep = read("application/json", R"({"a":[[[]]]})", limits);
    REQUIRE(deep.sink.refused.size() == 1);
    CHECK(std::string(deep.sink.refused[0].config) == "limits.depth");
    CHECK(deep.sink.refused[0].limit == 3);
    CHECK(read("application/json", R"({"a":[[]]})", limits).sink.taken.size() == 1);
}

TEST_CASE("NDJSON lines are items of their own, blank ones none")
{
    const std::string body = "{\"a\":1}\r\n\n \t\n[]\n{\"b\":\n {\"c\":3} ";
    const Read got = read("application/x-ndjson", body);
    REQUIRE(got.whole);
    REQUIRE(got.sink.taken.size() == 2);
    CHECK(got.sink.taken[0].text == "{\"a\":1}");
    CHECK(got.sink.taken[0].line == 1);
    CHECK(got.sink.taken[1].text == " {\"c\":3} ");
    CHECK(got.sink.taken[1].line == 6);
    REQUIRE(got.sink.refused.size() == 2);
    CHECK(got.sink.refused[0].line == 4);
    CHECK(got.sink.refused[0].offset == body.find("[]"));
    CHECK(got.sink.refused[1].line == 5);
    CHECK(got.sink.refused[1].offset == body.find("{\"b\":") + 5);
    CHECK(read("application/x-ndjson", "").whole);
    CHECK(read("application/x-ndjson", "\n\n").sink.taken.empty());
}

TEST_CASE("Batches above limits.batch are refused whole")
{
    router::IngestLimits limits;
    limits.batch = 2;
    for (const auto& [type, two, three] :
         {std::tuple<const char*, std::string, std::string>{"application/x-ndjson", "{}\n{}\n", "{}\n{}\n{}"},
          {"application/cloudevents-batch+json", "[" + event + "," + event + "]",
           "[" + event + "," + event + "," + event + "]"}}) {
        CHECK(read(type, two, limits).sink.taken.size() == 2);
        const Read got = read(type, three, limits);
        CHECK(!got.whole);
        CHECK(got.sink.taken.empty());
        CHECK(got.refusal.status == 413);
        CHECK(std::string(got.refusal.config) == "limits.batch");
    }
}

TEST_CASE("Recorded CloudEvents requests become the events they mean")
{
    struct Case {
        const char* name;
        std::vector<const char*> events;
    };
    const Case cases[] = {
        {"ce-structured.http", {R"({"id":"A234-1234-1234","time":"2018-04-05T17:31:00.000Z","type":"com.example.someevent","source":"/mycontext","specversion":"1.0","datacontenttype":"application/json","subject":"Euro € 😀","dataschema":"https://example.com/schema","data":{"a":1,"u":"é"},"comexampleextension1":"value","intext":42,"boolext":true})"}},
        {"ce-structured-text.http", {R"({"id":"t1","time":"2018-04-05T17:31:00.000Z","type":"t","source":"s","specversion":"1.0","datacontenttype":"text/plain","data":"hello"})"}},
        {"ce-structured-binarydata.http", {R"({"id":"b1","time":"2018-04-05T17:31:00.000Z","type":"t","source":"s","specversion":"1.0","datacontenttype":"application/octet-stream","data_base64":"AQID/w=="})"}},
        {"ce-batch-empty.http", {}},
        {"ce-binary-nodata.http", {R"({"id":"n1","time":"2018-04-05T17:31:00.000Z","type":"t","source":"s","specversion":"1.0","datacontenttype":"application/json; charset=utf-8"})"}},
        {"ce-binary-text.http", {R"({"id":"t1","time":"2018-04-05T17:31:00.000Z","type":"t","source":"s","specversion":"1.0","datacontenttype":"text/plain","data":"hello"})"}},
        {"ce-binary-rawutf8.http", {R"({"id":"A234-1234-1234","time":"2018-04-05T17:31:00.000Z","type":"com.example.someevent","source":"/mycontext","specversion":"1.0","subject":"Euro € 😀","dataschema":"https://example.com/schema","comexampleextension1":"value","intext":"42","boolext":"true","datacontenttype":"application/json","data":{"a":1,"u":"é"}})"}},
    };
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.name)
        {
            const Recording recording{c.name};
            const Read got = read(recording.headers, recording.body);
            CHECK(got.whole);
            for (const Refusal& refusal : got.sink.refused) FAIL(refusal.message);
            REQUIRE(got.sink.taken.size() == c.events.size());
            for (std::size_t i = 0; i < c.events.size(); ++i) {
                CHECK(nlohmann::json::parse(got.sink.taken[i].text) == nlohmann::json::parse(c.events[i]));
                CHECK(got.sink.taken[i].format == EventFormat::cloudevents);
            }
        }
    const Recording batch{"ce-batch.http"};
    const Read got = read(batch.headers, batch.body);
    REQUIRE(got.sink.taken.size() == 2);
    CHECK(got.sink.refused.empty());
    const auto whole = nlohmann::json::parse(batch.body);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(nlohmann::json::parse(got.sink.taken[i].text) == whole[i]);
        CHECK(batch.body.find(got.sink.taken[i].text) != std::string::npos);  // byte for byte
    }
}

TEST_CASE("CloudEvents attributes are checked against their types")
{
    struct Case {
        std::string body;
        const char* refused;  // part of the message; null: accepted
    };
    const Case cases[] = {
        {event, nullptr},
        {"[]", "a CloudEvent is a JSON object"},
        {R"({"id":"1","source":"/s","type":"t"})", "'specversion' is missing"},
        {R"({"specversion":"1.0","source":"/s","type":"t"})", "'id' is missing"},
        {R"({"specversion":"1.0","id":"1","type":"t"})", "'source' is missing"},
        {R"({"specversion":"1.0","id":"1","source":"/s"})", "'type' is missing"},
        {R"({"specversion":"1.0","id":null,"source":"/s","type":"t"})", "'id' is missing"},
        {R"({"specversion":"0.3","id":"1","source":"/s","type":"t"})", "'specversion' must be \"1.0\""},
        {R"({"specversion":1.0,"id":"1","source":"/s","type":"t"})", "'specversion' must be a string"},
        {R"({"specversion":"1.0","id":"","source":"/s","type":"t"})", "'id' must not be empty"},
        {R"({"specversion":"1.0","id":7,"source":"/s","type":"t"})", "'id' must be a string"},
        {R"({"specversion":"1.0","id":"1","source":"a b","type":"t"})", "'source' must be a URI reference"},
        {R"({"specversion":"1.0","id":"1","source":"%zz","type":"t"})", "'source' must be a URI reference"},
        {R"({"specversion":"1.0","id":"1","source":"urn:x%20y","type":"t"})", nullptr},
        {R"({"specversion":"1.0","id":"a\u0007","source":"/s","type":"t"})", "'id' must hold no control"},
        {R"({"specversion":"1.0","id":"a\u0085","source":"/s","type":"t"})", "'id' must hold no control"},
        {R"({"specversion":"1.0","id":"a\ud800","source":"/s","type":"t"})", "'id' must hold no lone surrogates"},
        {R"({"specversion":"1.0","id":"a\ufdd0","source":"/s","type":"t"})", "noncharacters"},
        {R"({"specversion":"1.0","id":"a\uffff","source":"/s","type":"t"})", "noncharacters"},
        {R"({"specversion":"1.0","id":"a\ud83f\udfff","source":"/s","type":"t"})", "noncharacters"},
        {R"({"specversion":"1.0","id":"a\u00a0\ufffd😀","source":"/s","type":"t"})", nullptr},
        {with(R"("id":"2")"), "'id' is given twice"},
        {with(R"("time":"2018-04-05T17:31:00Z")"), nullptr},
        {with(R"("time":"2018-04-05")"), "'time' must be an RFC 3339 timestamp"},
        {with(R"("time":1522949460)"), "'time' must be a string"},
        {with(R"("time":null,"subject":null,"ext":null)"), nullptr},
        {with(R"("subject":"")"), "'subject' must not be empty"},
        {with(R"("subject":"any text")"), nullptr},
        {with(R"("dataschema":"/relative")"), "'dataschema' must be an absolute URI"},
        {with(R"("dataschema":"https://example.com/s")"), nullptr},
        {with(R"("datacontenttype":"json")"), "'datacontenttype' must be a media type"},
        {with(R"("datacontenttype":"text/plain; charset=\"utf-8\"")"), nullptr},
        {with(R"("ext":2147483647,"other":-2147483648,"flag":false,"text":"x")"), nullptr},
        {with(R"("ext":2147483648)"), "'ext' must be a boolean, an integer of 32 bits or a string"},
        {with(R"("ext":1.0)"), "'ext' must be a boolean"},
        {with(R"("ext":1e2)"), "'ext' must be a boolean"},
        {with(R"("ext":{})"), "'ext' must be a boolean"},
        {with(R"("ext":"\u0000")"), "'ext' must hold no control"},
        {with(R"("Ext":1)"), "'Ext' is no CloudEvents attribute"},
        {with(R"("my_ext":1)"), "'my_ext' is no CloudEvents attribute"},
        {with(R"("":1)"), "is no CloudEvents attribute"},
        {with(R"("my-ext":null)"), "is no CloudEvents attribute"},
        {with(R"("data":null)"), nullptr},
        {with(R"("data":[1,"\u0000"])"), nullptr},
        {with(R"("data":"text","datacontenttype":"text/plain")"), nullptr},
        {with(R"("data_base64":"AQID")"), nullptr},
        {with(R"("data_base64":"")"), nullptr},
        {with(R"("data_base64":null,"data":1)"), nullptr},
        {with(R"("data_base64":"AQI")"), "base64"},
        {with(R"("data_base64":"AQ_-")"), "base64"},
        {with(R"("data_base64":5)"), "base64"},
        {with(R"("data":1,"data_base64":"AQID")"), "not both"},
    };
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.body)
        {
            const Read got = read("application/cloudevents+json", c.body);
            if (c.refused == nullptr) {
                for (const Refusal& refusal : got.sink.refused) FAIL(refusal.message);
                REQUIRE(got.sink.taken.size() == 1);
                CHECK(got.sink.taken[0].text == c.body);
            } else {
                REQUIRE(got.sink.refused.size() == 1);
                CHECK(got.sink.refused[0].status == 400);
                CHECK(got.sink.refused[0].message.find(c.refused) != std::string::npos);
                INFO(got.sink.refused[0].message);
                CHECK(got.sink.refused[0].offset);
            }
        }
}

TEST_CASE("Items of a CloudEvents batch stand alone, but its syntax does not")
{
    const std::string body = "[" + event + ",{\"id\":1}, 5 ," + event + "]";
    const Read got = read("application/cloudevents-batch+json", body);
    REQUIRE(got.whole);
    CHECK(got.sink.taken.size() == 2);
    REQUIRE(got.sink.refused.size() == 2);
    CHECK(got.sink.refused[0].offset == body.find("1}, 5"));
    CHECK(got.sink.refused[1].offset == body.find("5 ,"));
    const Read broken = read("application/cloudevents-batch+json", "[" + event + ",]");
    CHECK(!broken.whole);
    CHECK(broken.refusal.status == 400);
    CHECK(broken.refusal.offset == event.size() + 2);
    CHECK(!read("application/cloudevents-batch+json", event).whole);
}

TEST_CASE("Binary mode turns headers and body into one event")
{
    const auto binary = [](std::string_view type, std::string_view body, router::CeHeader more = {}) {
        BodyHeaders headers;
        if (!type.empty()) headers.content_type = type;
        headers.ce = {{"specversion", "1.0"}, {"id", "1"}, {"source", "/s"}, {"type", "t"}};
        if (!more.name.empty()) headers.ce.push_back(more);
        return read(headers, body);
    };
    const auto data_of = [&binary](std::string_view type, std::string_view body) {
        const Read got = binary(type, body);
        REQUIRE(got.sink.taken.size() == 1);
        const auto json = nlohmann::json::parse(got.sink.taken[0].text);
        return json.contains("data") ? "data " + json["data"].dump()
               : json.contains("data_base64") ? "base64 " + json["data_base64"].get<std::string>() : "none";
    };
    CHECK(data_of("application/json", " [1] ") == "data [1]");
    CHECK(data_of("application/vnd.x+json", "null") == "data null");
    CHECK(data_of("text/plain", "a\"b\n") == R"(data "a\"b\n")");
    CHECK(data_of("text/xml; charset=UTF-8", "<a/>") == R"(data "<a/>")");
    CHECK(data_of("text/plain", "\xff") == "base64 /w==");
    CHECK(data_of("text/plain; charset=iso-8859-1", "x") == "base64 eA==");
    CHECK(data_of("application/octet-stream", std::string_view{"\x01\x02\x03\xff", 4}) == "base64 AQID/w==");
    CHECK(data_of("", "{}") == "base64 e30=");  // no type: not assumed to be JSON
    CHECK(data_of("application/json", "") == "none");
    CHECK(data_of("", "") == "none");

    // A body cannot add members of its own.
    const Read injected = binary("application/json", R"(1,"subject":"x")");
    REQUIRE(injected.sink.refused.size() == 1);
    CHECK(injected.sink.refused[0].offset == 1);

    struct Case {
        router::CeHeader header;
        const char* refused;
    };
    const Case cases[] = {
        {{"id", "2"}, "'id' is given twice"},
        {{"subject", "%C0%A0"}, "'ce-subject' is percent-encoded, but not from UTF-8"},
        {{"datacontenttype", "text/plain"}, "ce-datacontenttype"},
        {{"data", "x"}, "reserved"},
        {{"my-ext", "x"}, "'ce-my-ext' is no CloudEvents header"},
        {{"time", "yesterday"}, "RFC 3339"},
        {{"subject", ""}, "must not be empty"},
    };
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.header.name << ": " << c.header.value)
        {
            const Read got = binary("text/plain", "x", c.header);
            REQUIRE(got.sink.refused.size() == 1);
            INFO(got.sink.refused[0].message);
            CHECK(got.sink.refused[0].message.find(c.refused) != std::string::npos);
            CHECK(!got.sink.refused[0].offset);
        }
    BodyHeaders lacking;
    lacking.ce = {{"specversion", "1.0"}, {"id", "1"}};
    const Read got = read(lacking, "");
    REQUIRE(got.sink.refused.size() == 1);
    CHECK(got.sink.refused[0].message.find("'source' is missing") != std::string::npos);
}

TEST_CASE("Header values are decoded leniently, once")
{
    struct Case {
        std::string value;
        std::optional<std::string> decoded;
    };
    const Case cases[] = {
        {"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"},
        {"Euro%20%e2%82%ac", "Euro €"},
        {"%41%2d", "A-"},
        {"plain text", "plain text"},
        {"raw € 😀", "raw € 😀"},
        {"Latin \xe9", "Latin é"},
        {"Latin \xe9 and %E2%82%AC", "Latin é and €"},
        {"\"quoted \\\"x\\\" %20\"", "quoted \"x\"  "},
        {"\"", "\""},
        {"\"open", "\"open"},
        {"100%", "100%"},
        {"%2", "%2"},
        {"%zz", "%zz"},
        {"%2541", "%41"},
        {"", ""},
        {"%C0%A0", std::nullopt},
        {"%ED%A0%80", std::nullopt},
        {"%FF", std::nullopt},
        {"%E2%82", std::nullopt},
    };
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.value)
        {
            std::string out;
            const bool decoded = router::decode_header_value(c.value, out);
            CHECK(decoded == c.decoded.has_value());
            if (decoded && c.decoded) CHECK(out == *c.decoded);
        }
}

TEST_CASE("Timestamps are RFC 3339")
{
    for (const char* good : {"2018-04-05T17:31:00Z", "2018-04-05t17:31:00z", "2018-04-05T17:31:00.5Z",
                             "2018-04-05T17:31:00.123456789+02:00", "2016-12-31T23:59:60Z",
                             "2020-02-29T00:00:00-23:59", "2000-02-29T00:00:00Z", "0001-01-01T00:00:00Z"})
        CHECK(router::is_rfc3339(good));
    for (const char* bad : {"", "2018", "2018-04-05", "2018-04-05T17:31:00", "2018-04-05 17:31:00Z",
                            "2018-04-05T17:31Z", "2018-13-05T17:31:00Z", "2018-00-05T17:31:00Z",
                            "2018-04-31T17:31:00Z", "2018-04-00T17:31:00Z", "2019-02-29T00:00:00Z",
                            "1900-02-29T00:00:00Z", "2018-04-05T24:00:00Z", "2018-04-05T17:60:00Z",
                            "2018-04-05T17:31:61Z", "2018-04-05T17:31:00.Z", "2018-04-05T17:31:00+2:00",
                            "2018-04-05T17:31:00+0200", "2018-04-05T17:31:00+24:00", "2018-04-05T17:31:00Zx",
                            "2018-04-05T17:31:00+02:00x", "18-04-05T17:31:00Z", "2018-4-5T17:31:00Z"})
        CHECK(!router::is_rfc3339(bad));
}
