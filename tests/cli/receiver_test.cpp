// The parts of the trial receiver that need no network.
#include <catch2/catch.hpp>

#include "cli/receiver_book.hpp"
#include "cli/response_script.hpp"

using namespace eventyard;
using namespace eventyard::cli;

TEST_CASE("a response script counts its steps down and repeats the last for ever")
{
    const auto script = ResponseScript::parse("500x3,429,200");
    REQUIRE(script.has_value());
    const unsigned wanted[] = {500, 500, 500, 429, 200, 200, 200};
    for (std::size_t i = 0; i < std::size(wanted); ++i) CHECK(script->at(i) == wanted[i]);
    CHECK(script->at(UINT64_MAX) == 200);
    CHECK(ResponseScript().at(0) == 200);
    CHECK(ResponseScript::parse("503")->at(1000) == 503);
    CHECK(ResponseScript::parse("200x2")->at(1000) == 200);
}

TEST_CASE("a response script that makes no sense is refused with the part that does not")
{
    for (const char* text : {"", "abc", "200,", ",200", "199", "600", "200x", "200x0", "200x-1", "200 ", "2e2", "500x3 ,200"}) {
        CAPTURE(text);
        const auto script = ResponseScript::parse(text);
        REQUIRE_FALSE(script.has_value());
        CHECK(script.error().what.find("500x3") != std::string::npos);
    }
}

TEST_CASE("a reset script takes the first few or every so many")
{
    const auto first = ResetScript::parse("2");
    REQUIRE(first.has_value());
    CHECK(first->at(0));
    CHECK(first->at(1));
    CHECK_FALSE(first->at(2));
    const auto every = ResetScript::parse("every:3");
    REQUIRE(every.has_value());
    for (std::uint64_t i = 0; i < 9; ++i) CHECK(every->at(i) == (i % 3 == 2));
    for (const char* text : {"", "every:", "every:0", "x", "-1", "every:2x"}) {
        CAPTURE(text);
        CHECK_FALSE(ResetScript::parse(text).has_value());
    }
    CHECK_FALSE(ResetScript().at(0));
}

TEST_CASE("the book counts each webhook-id and follows the script of each")
{
    AnswerPlan plan;
    plan.respond = *ResponseScript::parse("500x2,200");
    plan.per_id = true;
    ReceiverBook book{plan, 100};
    for (const char* id : {"a", "b"})
        for (const unsigned wanted : {500U, 500U, 200U, 200U}) {
            const Decision decision = book.enter(id, 10, Signature::unchecked);
            CHECK(decision.act == Decision::Act::answer);
            CHECK(decision.status == wanted);
        }
    const auto summary = book.summary();
    CHECK(summary.at("requests") == 8);
    CHECK(summary.at("webhook_ids") == 2);
    CHECK(summary.at("accepted_ids") == 2);
    CHECK(summary.at("repeats") == 6);
    CHECK(summary.at("bytes") == 80);
    CHECK(summary.at("status") == nlohmann::ordered_json({{"200", 4}, {"500", 4}}));
    CHECK(nlohmann::json::parse(book.ids(false)).at("ids") == nlohmann::json({{"a", 4}, {"b", 4}}));
    CHECK(nlohmann::json::parse(book.ids(true)).at("ids") == nlohmann::json({{"a", 2}, {"b", 2}}));
}

TEST_CASE("a new plan starts its scripts from their beginning")
{
    AnswerPlan plan;
    plan.respond = *ResponseScript::parse("500,200");
    plan.per_id = true;
    ReceiverBook book{plan, 100};
    CHECK(book.enter("a", 0, Signature::unchecked).status == 500);
    CHECK(book.enter("a", 0, Signature::unchecked).status == 200);
    book.follow(plan);
    CHECK(book.enter("a", 0, Signature::unchecked).status == 500);
    plan.hang = true;
    book.follow(plan);
    CHECK(book.enter("a", 0, Signature::unchecked).act == Decision::Act::hang);
    CHECK(book.summary().at("hung") == 1);
}

TEST_CASE("the book remembers no more ids than it may, and says how many it dropped")
{
    ReceiverBook book{{}, 3};
    for (int i = 0; i < 10; ++i) book.enter("id-" + std::to_string(i), 1, Signature::unchecked);
    book.enter("", 1, Signature::unchecked);
    const auto summary = book.summary();
    CHECK(summary.at("webhook_ids") == 3);
    CHECK(summary.at("ids_dropped") == 7);
    CHECK(summary.at("without_id") == 1);
    CHECK(summary.at("requests") == 11);
}

TEST_CASE("an invalid signature is answered 401 whatever the script says")
{
    ReceiverBook book{{}, 10};
    CHECK(book.enter("a", 0, Signature::invalid).status == 401);
    CHECK(book.enter("a", 0, Signature::valid).status == 200);
    CHECK(book.summary().at("signatures") == nlohmann::ordered_json({{"valid", 1}, {"invalid", 1}}));
}

TEST_CASE("Standard Webhooks signatures are checked as the specification's example is signed")
{
    // The example of the Standard Webhooks libraries: key, id, time, body and signature.
    const Secret secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
    const std::string id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const std::string timestamp = "1614265330";
    const std::string body = R"({"test": 2432232314})";
    const std::string signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const WallTime now{std::chrono::seconds{1614265330}};

    CHECK(signature_valid(secret, id, timestamp, signature, body, now));
    CHECK(signature_valid(secret, id, timestamp, "v1,bm9wZQ== " + signature, body, now));
    CHECK(signature_valid(secret, id, timestamp, signature, body, now + std::chrono::minutes{5}));
    CHECK_FALSE(signature_valid(secret, id, timestamp, signature, body, now + std::chrono::seconds{301}));
    CHECK_FALSE(signature_valid(secret, id, timestamp, signature, body, now - std::chrono::seconds{301}));
    CHECK_FALSE(signature_valid(secret, id, timestamp, signature, body + " ", now));
    CHECK_FALSE(signature_valid(secret, "msg_other", timestamp, signature, body, now));
    CHECK_FALSE(signature_valid(secret, id, "1614265331", signature, body, now));
    CHECK_FALSE(signature_valid(secret, id, "soon", signature, body, now));
    CHECK_FALSE(signature_valid(secret, id, timestamp, "", body, now));
    CHECK_FALSE(signature_valid(secret, id, timestamp, "v1", body, now));
    CHECK_FALSE(signature_valid(Secret{"whsec_!"}, id, timestamp, signature, body, now));
    CHECK_FALSE(signature_valid(Secret{""}, id, timestamp, signature, body, now));
}
