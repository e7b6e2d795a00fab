#include "core/json.hpp"

#include <catch2/catch.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/bytes.hpp"
#include "core/json_fault.hpp"
#include "core/time.hpp"

using namespace eventyard;
using json::Document;
using json::Kind;
using json::SyntaxError;

namespace {

/// Replaces <hh> by the byte.
std::string bytes_of(std::string_view line)
{
    std::string out;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '<' && i + 3 < line.size() && line[i + 3] == '>')
            if (const auto byte = from_hex(line.substr(i + 1, 2))) {
                out += *byte;
                i += 3;
                continue;
            }
        out.push_back(line[i]);
    }
    return out;
}

std::vector<std::string> lines_of(const char* name)
{
    std::ifstream file(std::string(EVENTYARD_SOURCE_DIR "/tests/cases/json/") + name);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);)
        if (!line.empty() && line[0] != '#') lines.push_back(line);
    REQUIRE(lines.size() > 100);
    return lines;
}

/// Nothing when the text is accepted.
std::optional<SyntaxError> fault_of(std::string_view text, json::Limits limits = {})
{
    static Document document;
    SyntaxError error;
    if (document.parse(text, limits, error)) return std::nullopt;
    CHECK(document.empty());
    return error;
}

std::string repeat(std::string_view text, std::size_t times)
{
    std::string out;
    while (times-- > 0) out += text;
    return out;
}

/// Writes the document back without blanks, from its values only.
void write(const Document& document, std::uint32_t index, std::string& out)
{
    const json::Value& value = document.values()[index];
    switch (value.kind) {
        case Kind::null: out += "null"; return;
        case Kind::boolean: out += value.truth ? "true" : "false"; return;
        case Kind::number: out += value.text; return;
        case Kind::string: json::append_quoted(out, value.text); return;
        case Kind::array:
        case Kind::object: break;
    }
    const bool object = value.kind == Kind::object;
    out += object ? '{' : '[';
    for (std::uint32_t i = index + 1; i < value.next; i = document.values()[i].next) {
        if (i != index + 1) out += ',';
        if (object) {
            json::append_quoted(out, document.values()[i].key);
            out += ':';
        }
        write(document, i, out);
    }
    out += object ? '}' : ']';
}

std::string written(const Document& document)
{
    std::string out;
    write(document, 0, out);
    return out;
}

/// The oracle: another parser, which differs from ours only where numbers overflow a double.
struct Oracle : nlohmann::json_sax<nlohmann::json> {
    bool overflow = false;
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool start_object(std::size_t) override { return true; }
    bool key(string_t&) override { return true; }
    bool end_object() override { return true; }
    bool start_array(std::size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override
    {
        overflow = error.id == 406;
        return false;
    }
};

}  // namespace

TEST_CASE("Valid texts are accepted, and their values say the same")
{
    for (const std::string& line : lines_of("valid.txt")) {
        DYNAMIC_SECTION(line)
        {
            const std::string text = bytes_of(line);
            Document document;
            SyntaxError error;
            const bool accepted = document.parse(text, {}, error);
            INFO(error.offset << ": " << error.message);
            REQUIRE(accepted);
            CHECK(document.source() == text);
            CHECK(document.root().next == document.values().size());
            // Written back and read again it is the same, and each value's source is a text itself.
            const std::string once = written(document);
            Document again;
            REQUIRE(again.parse(once, {}, error));
            CHECK(written(again) == once);
            REQUIRE(again.values().size() == document.values().size());
            for (std::size_t i = 0; i < document.values().size(); ++i) {
                const json::Value& value = document.values()[i];
                CHECK(!fault_of(document.source(value)));
                CHECK(value.kind == again.values()[i].kind);
                CHECK(value.next == again.values()[i].next);
                CHECK(value.text == again.values()[i].text);
                CHECK(value.key == again.values()[i].key);
                CHECK(value.lone_surrogate == again.values()[i].lone_surrogate);
                CHECK(value.key_lone_surrogate == again.values()[i].key_lone_surrogate);
            }
        }
    }
}

TEST_CASE("Broken texts are refused at the first byte at which no valid text can go on")
{
    for (const std::string& line : lines_of("broken.txt")) {
        DYNAMIC_SECTION(line)
        {
            const std::size_t note = line.find(" ### ");
            std::string text = line.substr(0, note);
            const std::string_view mark = "¦";
            const std::size_t marked = text.find(mark);
            REQUIRE(marked != std::string::npos);
            const std::size_t offset = bytes_of(text.substr(0, marked)).size();
            text = bytes_of(text.erase(marked, mark.size()));

            const auto fault = fault_of(text);
            REQUIRE(fault);
            INFO(fault->message);
            CHECK(fault->offset == offset);
            CHECK(!fault->too_deep);
            CHECK(fault->message.find('\n') == std::string::npos);
            if (note != std::string::npos)
                CHECK(fault->message.find(line.substr(note + 5)) != std::string::npos);
            // The part before the fault is a valid text or lacks only its end.
            const auto before = fault_of(std::string_view{text}.substr(0, offset));
            CHECK((!before || before->offset == offset));
        }
    }
}

TEST_CASE("A document lists its values in order with their places")
{
    Document document;
    SyntaxError error;
    const std::string text = R"( {"a":[1,{"b":"x\n"}], "c" : {},"a":true} )";
    REQUIRE(document.parse(text, {}, error));
    const auto& v = document.values();
    REQUIRE(v.size() == 7);
    CHECK(v[0].kind == Kind::object);
    CHECK(v[0].next == 7);
    CHECK(document.source(v[0]) == text.substr(1, text.size() - 2));
    CHECK(v[1].key == "a");
    CHECK(v[1].kind == Kind::array);
    CHECK(v[1].next == 5);
    CHECK(document.source(v[1]) == R"([1,{"b":"x\n"}])");
    CHECK(v[2].kind == Kind::number);
    CHECK(v[2].key.empty());
    CHECK(v[2].text == "1");
    CHECK(v[3].kind == Kind::object);
    CHECK(v[3].next == 5);
    CHECK(v[4].key == "b");
    CHECK(v[4].text == "x\n");
    CHECK(document.source(v[4]) == R"("x\n")");
    CHECK(v[5].key == "c");
    CHECK(v[5].next == 6);
    CHECK(document.source(v[5]) == "{}");
    CHECK(v[6].truth);

    CHECK(document.member(0, "a") == &v[6]);  // the last one
    CHECK(document.member(3, "b") == &v[4]);
    CHECK(document.member(0, "b") == nullptr);
    CHECK(document.member(1, "a") == nullptr);  // not an object
    CHECK(document.member(99, "a") == nullptr);
}

TEST_CASE("Number text is kept as written")
{
    Document document;
    SyntaxError error;
    REQUIRE(document.parse("[-0.0, 1E+00, 100000000000000000000000000.10 ]", {}, error));
    CHECK(document.values()[1].text == "-0.0");
    CHECK(document.values()[2].text == "1E+00");
    CHECK(document.values()[3].text == "100000000000000000000000000.10");
    const std::string huge = "-" + repeat("1234567890", 100'000) + "." + repeat("0", 1000) + "e-12";
    REQUIRE(document.parse(huge, {}, error));
    CHECK(document.root().text == huge);
}

TEST_CASE("Escapes are decoded, lone surrogates to three bytes with a flag")
{
    struct Case {
        const char* text;
        std::string decoded;
        bool lone;
    };
    const Case cases[] = {
        {R"("\"\\\/\b\f\n\r\t")", "\"\\/\b\f\n\r\t", false},
        {R"("\u0041\u00e9\u20ac")", "A\xc3\xa9\xe2\x82\xac", false},
        {R"("\u0000")", std::string(1, '\0'), false},
        {R"("\u007f\u0080\u07ff\u0800\uffff")", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", false},
        {R"("\uD83D\uDE00")", "\xf0\x9f\x98\x80", false},
        {R"("\ud800\udc00\udbff\udfff")", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", false},
        {R"("\ud83d")", "\xed\xa0\xbd", true},
        {R"("\ude00")", "\xed\xb8\x80", true},
        {R"("\ude00\ud83d")", "\xed\xb8\x80\xed\xa0\xbd", true},
        {R"("\ud83d\ud83d\ude00")", "\xed\xa0\xbd\xf0\x9f\x98\x80", true},
        {R"("\ud83dx\ude00")", "\xed\xa0\xbdx\xed\xb8\x80", true},
        {R"("\ud83d\n")", "\xed\xa0\xbd\n", true},
        {R"("\\ud83d")", "\\ud83d", false},
        {"\"plain\"", "plain", false},
        {"\"\"", "", false},
    };
    Document document;
    SyntaxError error;
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.text)
        {
            REQUIRE(document.parse(c.text, {}, error));
            CHECK(document.root().text == c.decoded);
            CHECK(document.root().lone_surrogate == c.lone);
            const std::string object = "{" + std::string(c.text) + ":[" + c.text + "]}";
            REQUIRE(document.parse(object, {}, error));
            CHECK(document.values()[1].key == c.decoded);
            CHECK(document.values()[1].key_lone_surrogate == c.lone);
            CHECK(document.values()[2].text == c.decoded);
            CHECK(!document.values()[2].key_lone_surrogate);
            std::string quoted;
            json::append_quoted(quoted, c.decoded);
            REQUIRE(document.parse(quoted, {}, error));
            CHECK(document.root().text == c.decoded);
            CHECK(document.root().lone_surrogate == c.lone);
        }
}

TEST_CASE("Quoting escapes what must be escaped and nothing else")
{
    const auto quoted = [](std::string_view text) {
        std::string out = "x";
        json::append_quoted(out, text);
        return out;
    };
    CHECK(quoted("") == "x\"\"");
    CHECK(quoted("a/b \x7f\xc3\xa9") == "x\"a/b \x7f\xc3\xa9\"");
    CHECK(quoted("\"\\\b\f\n\r\t") == R"(x"\"\\\b\f\n\r\t")");
    CHECK(quoted(std::string_view{"\0\x1f", 2}) == R"(x"\u0000\u001f")");
    CHECK(quoted("a\xed\xa0\xbd\xed\xb8\x80z") == R"(x"a\ud83d\ude00z")");
    CHECK(quoted("\xed\x9f\xbf") == "x\"\xed\x9f\xbf\"");
}

TEST_CASE("Many strings with escapes keep their own bytes")
{
    std::string text = "[";
    for (int i = 0; i < 20'000; ++i) text += (i ? ",\"\\u00e9" : "\"\\u00e9") + std::to_string(i) + "\"";
    text += "]";
    Document document;
    SyntaxError error;
    for (int round = 0; round < 2; ++round) {
        REQUIRE(document.parse(text, {}, error));
        REQUIRE(document.values().size() == 20'001);
        for (std::uint32_t i = 0; i < 20'000; ++i)
            if (document.values()[i + 1].text != "\xc3\xa9" + std::to_string(i)) FAIL(i);
    }
    Document moved = std::move(document);
    CHECK(moved.values()[20'000].text == "\xc3\xa9" "19999");
}

TEST_CASE("Containers nest up to the limit and not one deeper")
{
    for (const std::uint32_t depth : {1U, 2U, 63U, 64U, 65U, 1000U, 100'000U}) {
        const json::Limits limits{depth};
        INFO(depth);
        CHECK(!fault_of(repeat("[", depth) + repeat("]", depth), limits));
        CHECK(!fault_of(repeat("{\"a\":", depth - 1) + "{}" + repeat("}", depth - 1), limits));
        const auto arrays = fault_of(repeat("[", depth + 1) + repeat("]", depth + 1), limits);
        REQUIRE(arrays);
        CHECK(arrays->too_deep);
        CHECK(arrays->offset == depth);
        CHECK(arrays->message ==
              "more than " + std::to_string(depth) + " arrays and objects inside one another");
        const auto objects = fault_of(repeat("{\"a\":", depth) + "{}" + repeat("}", depth), limits);
        REQUIRE(objects);
        CHECK(objects->too_deep);
        CHECK(objects->offset == 5ULL * depth);
    }
    CHECK(!fault_of("1", {0}));
    CHECK(fault_of("[]", {0})->too_deep);
    CHECK(fault_of(repeat("[", 1'000'000))->offset == 1000);
    CHECK(!fault_of("[" + repeat("[],", 5000) + "[]]", {2}));  // siblings do not add up
}

TEST_CASE("Wide documents are read whole")
{
    Document document;
    SyntaxError error;
    REQUIRE(document.parse("[" + repeat("0,", 500'000) + "0]", {}, error));
    CHECK(document.values().size() == 500'002);
    REQUIRE(document.parse("{}", {}, error));
    CHECK(document.values().size() == 1);
    CHECK(document.capacity() < 500'000);  // a rare large text does not pin its memory
    REQUIRE(document.parse("{" + repeat("\"k\":1,", 100'000) + "\"k\":2}", {}, error));
    CHECK(document.member(0, "k")->text == "2");
}

TEST_CASE("Padded texts are never read beyond their padding")
{
    // The padding's last byte is the last byte of a readable page.
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    void* const map = mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(map != MAP_FAILED);
    char* const guard = static_cast<char*>(map) + 2 * page;
    REQUIRE(mprotect(guard, page, PROT_NONE) == 0);
    std::vector<std::string> texts;
    for (const std::string& line : lines_of("valid.txt")) texts.push_back(bytes_of(line));
    for (std::size_t length = 0; length < 200; ++length) {
        texts.push_back("\"" + std::string(length, 'x') + "\"");
        texts.push_back("[\"" + std::string(length, 'x') + "\\n\"]");
        texts.push_back(std::string(length + 1, '1'));
    }
    Document document;
    SyntaxError error;
    // What stands in the padding must not matter: digits and quotes would prolong the last value.
    for (const char fill : {' ', '1', '"', '\\', ']', '\xff'})
        for (const std::string& text : texts) {
            std::memset(map, fill, 2 * page);
            char* const begin = guard - Document::padding - text.size();
            std::memcpy(begin, text.data(), text.size());
            if (!document.parse_padded({begin, text.size()}, {}, error)) FAIL(text);
            const std::string_view cut{begin, text.size() - 1};
            if (document.parse_padded(cut, {}, error)) {
                CHECK(!fault_of(cut));
            } else {
                const auto fault = fault_of(cut);
                REQUIRE(fault);
                CHECK(fault->offset == error.offset);
            }
        }
    munmap(map, 3 * page);
}

TEST_CASE("Random changes are judged as another parser judges them")
{
    std::vector<std::string> seeds;
    for (const char* name : {"valid.txt", "broken.txt"})
        for (const std::string& line : lines_of(name)) {
            std::string text = line.substr(0, line.find(" ### "));
            if (const auto at = text.find("¦"); at != std::string::npos) text.erase(at, 2);
            seeds.push_back(bytes_of(text));
        }
    constexpr std::string_view alphabet = "{}[]:,\"\\/bfnrtu0123456789aeE.+- \n\t\x01\xc3\xa9\xe2\xed\xf0\x9f\x80";
    SeededRandom random{20261123};
    const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random.next() % n); };
    std::size_t accepted = 0;
    for (int round = 0; round < 60'000; ++round) {
        std::string text = seeds[below(seeds.size())];
        for (std::size_t changes = below(4); changes > 0; --changes) {
            const char c = alphabet[below(alphabet.size())];
            const std::size_t at = below(text.size() + 1);
            switch (below(4)) {
                case 0: text.insert(at, 1, c); break;
                case 1: if (at < text.size()) text[at] = c; break;
                case 2: if (at < text.size()) text.erase(at, 1 + below(3)); break;
                default: {
                    const std::string& other = seeds[below(seeds.size())];
                    text.insert(at, other.substr(0, below(other.size() + 1)));
                }
            }
        }
        const auto fault = fault_of(text);
        Oracle oracle;
        const bool other = nlohmann::json::sax_parse(text, &oracle);
        // Known differences: we take lone surrogate escapes and every number but those with huge
        // exponents; it skips a byte order mark and ends at a NUL byte. The rest must agree.
        const bool differs = oracle.overflow || (!fault && text.find("\\u") != std::string::npos) ||
                             text.rfind("\xef\xbb\xbf", 0) == 0 ||
                             text.find('\0') != std::string::npos ||
                             (fault && fault->message.find("exponent has more") != std::string::npos);
        if (!differs && other != !fault) {
            FAIL(text << "\nhex " << to_hex(text) << "\nours: "
                      << (fault ? std::to_string(fault->offset) + " " + fault->message : "accepted"));
        }
        accepted += !fault;
        if (fault) {
            REQUIRE(fault->offset <= text.size());
            REQUIRE(fault->message != "the text is not JSON");
            const auto before = fault_of(std::string_view{text}.substr(0, fault->offset));
            if (before && before->offset != fault->offset) FAIL(to_hex(text));
        } else {
            REQUIRE(json::find_fault(text, {}).message == "the text is not JSON");
        }
    }
    CHECK(accepted > 3000);
}
