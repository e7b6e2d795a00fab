// What a rule's input makes of an event, and what is no input.
#include <catch2/catch.hpp>

#include <chrono>

#include "core/json_path.hpp"
#include "router/input/input.hpp"
#include "router/input/template.hpp"

using namespace eventyard;
using namespace eventyard::router;

namespace {

using Paths = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t any = 1U << 20;

Event event_of(std::string body, EventFormat format = EventFormat::json)
{
    Event event;
    event.received = WallTime{std::chrono::seconds{1'700'000'000}};
    event.format = format;
    event.body = std::move(body);
    return event;
}

const std::string order =
    R"({"id":"e-1","detail-type":"OrderPaid", "detail":{"id":"0a78","total":1.50e2,"vip":true,"note":null,)"
    R"("items":[{"sku":"a","n":1},{"sku":"b"},{"n":3}],"name":"O\"Hara \u00fc","nested": {"x" : [1, 2]},"x":1,"x":2}})";

std::string rendered(const std::string& stored, const Event& event)
{
    const auto input = Input::parse(stored);
    INFO(stored);
    REQUIRE(input.has_value());
    CHECK(input->text() == stored);
    json::Document scratch;
    std::string out = "left from before";
    REQUIRE(input->render(event, "orders/paid", scratch, any, out));
    json::Document check;
    json::SyntaxError error;
    INFO(out);
    CHECK(check.parse(out, {}, error));  // whatever the event holds, it is JSON
    return out;
}

std::string with(const std::string& text, const Paths& paths = {}) { return rendered(Input::template_text(paths, text), event_of(order)); }

const Paths paths{{"id", "$.detail.id"},       {"total", "$.detail.total"}, {"vip", "$.detail.vip"},       {"note", "$.detail.note"},
                  {"items", "$.detail.items"}, {"skus", "$.detail.items[*].sku"}, {"name", "$.detail.name"}, {"nested", "$.detail.nested"},
                  {"last", "$.detail.items[-1]"},  {"none", "$.detail.none"},   {"x", "$.detail.x"},         {"no-list", "$.detail.none[*]"}};

}  // namespace

TEST_CASE("a path sends the JSON that stands there, as it is spelled")
{
    const auto at = [](const std::string& path) { return rendered(Input::path_text(path), event_of(order)); };
    CHECK(at("$.detail.id") == R"("0a78")");
    CHECK(at("$.detail.total") == "1.50e2");
    CHECK(at("$.detail.nested") == R"({"x" : [1, 2]})");
    CHECK(at("$.detail.x") == "2");  // of a repeated member the last
    CHECK(at("$.detail.items[*].sku") == R"(["a","b"])");
    CHECK(at("$.detail.items[0].*") == R"(["a",1])");
    CHECK(at("$['detail-type']") == R"("OrderPaid")");
    CHECK(at("$.detail.note") == "null");
    CHECK(at("$.detail.none") == "null");
    CHECK(at("$.detail.none[*]") == "[]");
    CHECK(at("$") == order);
}

TEST_CASE("a constant is sent whatever the event says")
{
    CHECK(rendered(Input::constant_text(R"({"ping": true})"), event_of(order)) == R"({"ping": true})");
    CHECK(rendered(Input::constant_text(R"("text")"), event_of("{}")) == R"("text")");
}

TEST_CASE("a placeholder that stands where a value may is the value")
{
    CHECK(with(R"({"order": <id>, "total" : <total>,"vip":<vip>})", paths) == R"({"order":"0a78","total":1.50e2,"vip":true})");
    CHECK(with("[<items>, <nested>, <last>]", paths) ==
          R"([[{"sku":"a","n":1},{"sku":"b"},{"n":3}],{"x" : [1, 2]},{"n":3}])");
    CHECK(with(R"({"skus": <skus>, "no": <no-list>})", paths) == R"({"skus":["a","b"],"no":[]})");
    CHECK(with(R"({"a": <none>, "b": <note>})", paths) == R"({"a":"","b":null})");  // missing is no null
    CHECK(with("<id>", paths) == R"("0a78")");
    CHECK(with(R"({"x":<x>})", paths) == R"({"x":2})");
}

TEST_CASE("a placeholder inside a string is text there, and leaves it a string")
{
    CHECK(with(R"("users/<id>/orders")", paths) == R"("users/0a78/orders")");
    CHECK(with(R"({"path":"users/<id>", "t":"<total> <vip> <note>"})", paths) == R"({"path":"users/0a78","t":"1.50e2 true null"})");
    CHECK(with(R"("<name>")", paths) == R"("O\"Hara \u00fc")");
    CHECK(with(R"("[<none>]")", paths) == R"("[]")");
    CHECK(with(R"({"s":"is <nested>"})", paths) == R"({"s":"is {\"x\" : [1, 2]}"})");
    CHECK(with(R"("<skus>")", paths) == R"("[\"a\",\"b\"]")");
    CHECK(with(R"("a < b, <b c>, \"<id>\", \u003cid>")", paths) == R"("a < b, <b c>, \"0a78\", \u003cid>")");
}

TEST_CASE("blanks of the template go, those in strings and of the event stay")
{
    CHECK(with("{\n  \"a b\" : [ 1 , <nested> ],\t\"c\": \" d \"\r\n}", paths) == R"({"a b":[1,{"x" : [1, 2]}],"c":" d "})");
}

TEST_CASE("reserved placeholders tell of the event and its rule")
{
    CHECK(with(R"({"r":<aws.events.rule-name>,"t":<aws.events.event.ingestion-time>})") ==
          R"({"r":"orders/paid","t":"2023-11-14T22:13:20.000Z"})");
    CHECK(with(R"("<aws.events.rule-name> at <aws.events.event.ingestion-time>")") == R"("orders/paid at 2023-11-14T22:13:20.000Z")");
    CHECK(with(R"({"e":<aws.events.event.json>})") == R"({"e":)" + order + "}");
    CHECK(with(R"({"e":<aws.events.event>})") == R"({"e":{"id":"e-1","detail-type":"OrderPaid"}})");
    CHECK(with(R"("<aws.events.event>")") == R"("{\"id\":\"e-1\",\"detail-type\":\"OrderPaid\"}")");
    CHECK(rendered(Input::template_text({}, "<aws.events.event>"),
                   event_of(R"({"specversion":"1.0","id":"1","detail":1,"data":{"a":1}})", EventFormat::cloudevents)) ==
          R"({"specversion":"1.0","id":"1","detail":1})");
}

TEST_CASE("an event without an object where a path goes on has nothing there")
{
    CHECK(rendered(Input::template_text({{"a", "$.a.b.c"}, {"b", "$.a[3]"}}, R"([<a>,"<b>"])"), event_of(R"({"a":1})")) == R"(["",""])");
}

TEST_CASE("what grows beyond the limit is not made")
{
    const auto input = Input::parse(Input::template_text({}, "[<aws.events.event.json>,<aws.events.event.json>]"));
    json::Document scratch;
    std::string out;
    const Event event = event_of(R"({"a":")" + std::string(600, 'x') + R"("})");
    CHECK(input->render(event, "r", scratch, 2000, out));
    CHECK_FALSE(input->render(event, "r", scratch, 1000, out));
    CHECK_FALSE(Input::parse(Input::constant_text("12345"))->render(event, "r", scratch, 4, out));
}

TEST_CASE("an empty input makes nothing, equal texts are equal")
{
    CHECK(Input{}.empty());
    CHECK(Input::parse("")->empty());
    CHECK(*Input::parse(Input::path_text("$.a")) == *Input::parse(Input::path_text("$.a")));
    CHECK_FALSE(*Input::parse(Input::path_text("$.a")) == *Input::parse(Input::path_text("$.b")));
    CHECK_FALSE(Input{} == *Input::parse(Input::path_text("$.b")));
}

TEST_CASE("what is stored and is no input is refused")
{
    for (const char* text : {"x", "[]", "{}", R"({"path":1})", R"({"path":"a"})", R"({"path":"$","constant":1})", R"({"template":"<a>"})",
                             R"({"paths":[],"template":"1"})", R"({"paths":{"a":1},"template":"1"})", R"({"template":{}})"}) {
        INFO(text);
        CHECK_FALSE(Input::parse(text).has_value());
    }
}

TEST_CASE("what is no template is told with its place")
{
    struct Case {
        const char* text;
        std::size_t offset;
        const char* message;
    };
    const Case cases[] = {
        {R"({"a": <idd>})", 6, "unknown placeholder <idd>; did you mean <id>?"},
        {R"({"a": "<idd>"})", 7, "unknown placeholder <idd>; did you mean <id>?"},
        {R"("<b>bold</b>")", 1, "unknown placeholder <b>; 'paths' has no such name (a '<' that begins no placeholder is written \\u003c)"},
        {R"(<aws.events.rule-arn>)", 0, "there are no ARNs here; <aws.events.rule-name> is the rule's name"},
        {R"(<aws.events.rule-nam>)", 0, "unknown placeholder <aws.events.rule-nam>; did you mean <aws.events.rule-name>?"},
        {R"({"a": <})", 6, "expected a placeholder such as <name>"},
        {R"({<id>: 1})", 1, "a placeholder is a value or part of one, not of a member's name"},
        {R"({"a<id>" : 1})", 3, "a placeholder is a value or part of one, not of a member's name"},
        {R"({"a": 1<id>})", 7, "expected ',' or '}' after a member, not '<'"},
        {R"({"a": <id>1})", 10, "expected ',' or '}' after a member, not '1'"},
        {R"(Order <id> is paid)", 0, "expected a value, not 'O'; text that is to be sent stands in double quotes"},
        {"\"<id>\"\n\"<id>\"", 7, "expected nothing but blanks after the value, not '\"'; a template is one JSON value: several strings stand in a list, several lines in one string with \\n"},
        {R"({"a": "<id>)", 11, "a string must end with '\"', but the text ends"},
    };
    for (const Case& one : cases) DYNAMIC_SECTION(one.text) {
        Template::Fault fault;
        CHECK_FALSE(Template::parse(one.text, {"id"}, fault));
        CHECK(fault.offset == one.offset);
        CHECK(fault.message == one.message);
    }
}

TEST_CASE("a path's mistakes are told with their place")
{
    struct Case {
        const char* text;
        const char* message;
    };
    const Case cases[] = {{"detail.id", "expected '$', with which a JSONPath begins, at character 1"},
                          {"", "expected '$', with which a JSONPath begins, at character 1"},
                          {"$.", "expected a member's name at character 3"},
                          {"$x", "expected '.' or '[' at character 2"},
                          {"$.a[", "expected a quoted name or an index at character 5"},
                          {"$.a[1", "expected ']' at character 6"},
                          {"$.a[*", "expected ']' at character 6"}};
    for (const Case& one : cases) DYNAMIC_SECTION(one.text) {
        const auto path = json::Path::parse(one.text);
        REQUIRE_FALSE(path.has_value());
        CHECK(path.error().what == one.message);
    }
}
