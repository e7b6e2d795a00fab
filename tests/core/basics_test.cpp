#include <algorithm>
#include <catch2/catch.hpp>

#include "core/bytes.hpp"
#include "core/ids.hpp"
#include "core/report.hpp"
#include "core/sha256.hpp"
#include "core/time.hpp"
#include "core/units.hpp"

using namespace eventyard;
using namespace std::chrono_literals;

TEST_CASE("CRC32C gives the published values, whole and in pieces")
{
    std::string ascending, descending;
    for (int i = 0; i < 32; ++i) {
        ascending.push_back(static_cast<char>(i));
        descending.push_back(static_cast<char>(31 - i));
    }
    struct Case {
        std::string bytes;
        std::uint32_t crc;
    };
    const Case cases[] = {{"", 0},
                          {"123456789", 0xe3069283},
                          {std::string(32, '\0'), 0x8a9136aa},  // RFC 3720, B.4
                          {std::string(32, '\xff'), 0x62a8ab43},
                          {ascending, 0x46dd794e},
                          {descending, 0x113fdb5c}};
    for (const Case& c : cases) {
        CHECK(crc32c(0, c.bytes.data(), c.bytes.size()) == c.crc);
        for (std::size_t cut = 0; cut <= c.bytes.size(); ++cut)
            CHECK(crc32c(crc32c(0, c.bytes.data(), cut), c.bytes.data() + cut, c.bytes.size() - cut) == c.crc);
    }
}

TEST_CASE("Fields are read back as written, and reading past the end gives zeros")
{
    std::string bytes;
    ByteWriter writer{bytes};
    writer.fixed<std::uint16_t>(0x1234);
    writer.fixed<std::int64_t>(-5);
    const std::uint64_t numbers[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    for (const std::uint64_t number : numbers) writer.varint(number);
    writer.text("name");
    writer.text("");
    const auto read = [&numbers](ByteReader& reader) {
        bool same = reader.fixed<std::uint16_t>() == 0x1234 && reader.fixed<std::int64_t>() == -5;
        for (const std::uint64_t number : numbers) same &= reader.varint() == number;
        same &= reader.text() == "name";
        return same && reader.text().empty();
    };
    ByteReader whole{bytes};
    CHECK(read(whole));
    CHECK(whole.ok());
    CHECK(whole.left() == 0);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        ByteReader cut{std::string_view{bytes}.substr(0, size)};
        (void)read(cut);
        CHECK(!cut.ok());
        CHECK(cut.fixed<std::uint32_t>() == 0);
    }
    ByteReader endless{std::string_view{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}};
    CHECK(endless.varint() == 0);
    CHECK(!endless.ok());
    std::string lie;
    ByteWriter{lie}.varint(UINT64_MAX);
    ByteReader liar{lie};
    CHECK(liar.text().empty());
    CHECK(!liar.ok());
}

TEST_CASE("CRC32C of a long text is that of its pieces, however long they are")
{
    std::string text;
    SeededRandom random{3};
    while (text.size() < 20'000) text.push_back(static_cast<char>(random.next()));
    for (const std::size_t size : {335U, 336U, 1007U, 1008U, 1009U, 2016U, 4096U, 19'999U}) {
        std::uint32_t pieced = 0;
        for (std::size_t at = 0; at < size; at += 97)  // short ones are added up one word after the other
            pieced = crc32c(pieced, text.data() + at, std::min<std::size_t>(97, size - at));
        CHECK(crc32c(0, text.data(), size) == pieced);
    }
    CHECK(crc32c(0, std::string(4096, '\0').data(), 4096) == 0x98f94189);  // as other implementations have it
}

TEST_CASE("SHA-256 gives the published values, one after the other")
{
    const std::pair<std::string, std::string> cases[] = {  // NIST's examples for FIPS 180-4
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    for (const auto& [text, sum] : cases) {
        const auto digest = sha256(text);
        CHECK(to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()}) == sum);
    }
}

TEST_CASE("Hex goes both ways")
{
    CHECK(to_hex(std::string_view{"\x00\xab\xff", 3}) == "00abff");
    CHECK(from_hex("00aBFf") == std::string("\x00\xab\xff", 3));
    CHECK(from_hex("") == std::string());
    for (const char* bad : {"0", "0g", "g0", "0x", " 0", "000"}) CHECK(!from_hex(bad));
}

TEST_CASE("Event ids are UUIDs of version 7 in order of time")
{
    SeededRandom random{1};
    Id before{};
    for (int i = 0; i < 1000; ++i) {
        const WallTime now{1'763'887'800'123ms + std::chrono::milliseconds{i}};
        const Id id = new_event_id(now, random);
        CHECK(before < id);
        CHECK((id.bytes[6] >> 4) == 7);
        CHECK((id.bytes[8] >> 6) == 2);
        CHECK(parse_id(id.text()) == id);
        before = id;
    }
    CHECK(new_event_id(WallTime{1'763'887'800'123ms}, random).text().substr(0, 13) == "019aafe7-df3b");
    CHECK(Id{}.is_nil());
    for (const char* bad : {"", "019aaff9-e53b-7000-8000-00000000000", "019aaff9-e53b-7000-8000-0000000000000",
                            "019aaff9ae53b-7000-8000-000000000000", "g19aaff9-e53b-7000-8000-000000000000"})
        CHECK(!parse_id(bad));
}

TEST_CASE("A delivery id depends on event, rule and target, and on where one ends and the next begins")
{
    SeededRandom random{2};
    const Id event = random_id(random), other = random_id(random);
    const std::string id = delivery_id(event, "rule", "target");
    CHECK(id.size() == 30);
    CHECK(id.substr(0, 4) == "dlv_");
    CHECK(id.find_first_not_of("0123456789abcdefghjkmnpqrstvwxyz", 4) == std::string::npos);
    CHECK(id == delivery_id(event, "rule", "target"));
    CHECK(id != delivery_id(other, "rule", "target"));
    CHECK(id != delivery_id(event, "rulet", "arget"));
    CHECK(id != delivery_id(event, "target", "rule"));
    // Ids already sent to receivers must never change.
    CHECK(delivery_id(Id{}, "rule", "target") == "dlv_bjg0xrq570hbqgqaas6m1tjnmg");
}

TEST_CASE("Durations are read as people write them")
{
    struct Case {
        const char* text;
        std::optional<Duration> value;
    };
    const Case cases[] = {{"0", 0ns},         {"10s", 10s},         {"1h30m", 90min},     {"1.5s", 1500ms},
                          {"250ms", 250ms},   {"2d", 48h},          {"1d2h3m4s5ms6us7ns", 26h + 3min + 4s + 5ms + 6us + 7ns},
                          {"0s", 0ns},        {"", std::nullopt},   {"10", std::nullopt}, {"s", std::nullopt},
                          {"1m1h", std::nullopt}, {"1s1s", std::nullopt}, {"-1s", std::nullopt}, {"1 s", std::nullopt},
                          {"1.s", std::nullopt},  {"1S", std::nullopt},   {"1s ", std::nullopt}, {"99999999d", std::nullopt}};
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.text)
        {
            const auto value = parse_duration(c.text);
            CHECK(value == c.value);
            if (value) CHECK(parse_duration(format_duration(*value)) == value);
        }
    CHECK(format_duration(90s) == "1m30s");
    CHECK(format_duration(250ms) == "250ms");
    CHECK(format_duration(0ns) == "0s");
}

TEST_CASE("Sizes are read as people write them")
{
    struct Case {
        const char* text;
        std::optional<std::uint64_t> value;
    };
    const Case cases[] = {{"0", 0},           {"1B", 1},          {"1KiB", 1024},       {"1kB", 1000},
                          {"1.5MiB", 1572864}, {"2 GiB", 2147483648}, {"1TB", 1'000'000'000'000},
                          {"", std::nullopt}, {"10", std::nullopt}, {"1mib", std::nullopt}, {"KiB", std::nullopt},
                          {"-1B", std::nullopt}, {"1KiBx", std::nullopt}, {"99999999TiB", std::nullopt}};
    for (const Case& c : cases)
        DYNAMIC_SECTION(c.text) { CHECK(parse_size(c.text) == c.value); }
    CHECK(format_size(900) == "900 B");
    CHECK(format_size(1U << 20) == "1 MiB");
    CHECK(format_size(3ULL << 29) == "1.5 GiB");
}

TEST_CASE("A report shows each mistake at its place, in order, without secrets")
{
    const auto file = std::make_shared<const std::string>("a.yaml");
    Report report;
    report.add_source("a.yaml", "one: 1\npassword: hunter2\n");
    report.add_secret("hunter2");
    CHECK(!report.has_errors());
    report.warning({file, 2, 11}, "a weak password");
    CHECK(!report.has_errors());
    report.error({file, 1, 6}, "not a word");
    CHECK(report.errors() == 1);
    const std::string text = report.text();
    CHECK(text.find("a.yaml:1:6: error: not a word") < text.find("a.yaml:2:11: warning: a weak password"));
    CHECK(text.find("one: 1\n") != std::string::npos);
    CHECK(text.find("     ^") != std::string::npos);
    CHECK(text.find("hunter2") == std::string::npos);
    CHECK(text.find("***") != std::string::npos);
    CHECK(report.json().find("\"line\":1") != std::string::npos);
}

TEST_CASE("A secret inside another, or at the edge of what is shown of a long line, leaves no rest")
{
    const auto file = std::make_shared<const std::string>("a.yaml");
    Report report;
    const std::string key = "key-" + std::string(150, 'k') + "-end";
    report.add_source("a.yaml", "a: hunter2-and-more, b: " + key + ", c: 1\n");
    for (const char* secret : {"hunter2", "hunter2-and-more"}) report.add_secret(secret);
    report.add_secret(key);
    report.error({file, 1, static_cast<std::uint32_t>(24 + key.size() + 6)}, "not a word");
    CHECK(report.text() == "a.yaml:1:188: error: not a word\n"
                           "    a: ***, b: ***, c: 1\n"
                           "                       ^\n");
}

TEST_CASE("The nearest word is suggested only when it can be meant")
{
    CHECK(nearest("taget", {"rule", "target"}) == "target");
    CHECK(nearest("xyz", {"rule", "target"}).empty());
    CHECK(did_you_mean("rles", {"rules"}) == "; did you mean 'rules'?");
    CHECK(did_you_mean("rules", {}).empty());
}
