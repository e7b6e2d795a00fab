// What the daemon's answer says about each event of a batch.
#include <nlohmann/json.hpp>

#include "cli/sender.hpp"

namespace eventyard::cli {
namespace {

using nlohmann::json;

/// The text of {"error": ...}, which is a sentence or an object with a "message".
std::string reason_of(const json& answer, unsigned status)
{
    const std::string prefix = std::to_string(status) + " ";
    if (answer.is_object()) {
        if (const auto error = answer.find("error"); error != answer.end()) {
            if (error->is_string()) return prefix + error->get<std::string>();
            if (error->is_object())
                for (const char* key : {"message", "what", "reason", "code"})
                    if (const auto text = error->find(key); text != error->end() && text->is_string())
                        return prefix + text->get<std::string>();
        }
    }
    return prefix + "(the answer gives no reason)";
}

bool worth_another_try(unsigned status) { return status == 429 || status == 503; }

unsigned item_status(const json& item, unsigned fallback)
{
    const auto found = item.find("status");
    if (found != item.end() && found->is_number_unsigned()) return found->get<unsigned>();
    return item.contains("error") ? (fallback < 400 ? 400 : fallback) : 202;
}

}  // namespace

Verdicts read_answer(unsigned status, const std::string& body, std::size_t events)
{
    Verdicts verdicts;
    const json answer = json::parse(body, nullptr, false);
    const json* items = nullptr;
    if (answer.is_object())
        if (const auto found = answer.find("items"); found != answer.end() && found->is_array())
            items = &*found;

    if (items == nullptr || items->size() != events) {
        if (status < 300) {
            verdicts.accepted = events;
            if (answer.is_object()) {
                if (answer.value("duplicate", json(false)) == json(true)) verdicts.duplicates = events;
                if (answer.value("stored", json(true)) == json(false)) verdicts.unmatched = events;
            }
        } else {
            for (std::size_t i = 0; i < events; ++i) {
                if (worth_another_try(status))
                    verdicts.again.push_back(i);
                else
                    verdicts.refused.emplace_back(i, reason_of(answer, status));
            }
        }
        return verdicts;
    }
    for (std::size_t i = 0; i < events; ++i) {
        const json& item = (*items)[i];
        if (!item.is_object()) {
            verdicts.refused.emplace_back(i, reason_of(item, status));
            continue;
        }
        const unsigned code = item_status(item, status);
        if (code < 300) {
            ++verdicts.accepted;
            if (item.value("duplicate", json(false)) == json(true)) ++verdicts.duplicates;
            if (item.value("stored", json(true)) == json(false)) ++verdicts.unmatched;
        } else if (worth_another_try(code)) {
            verdicts.again.push_back(i);
        } else {
            verdicts.refused.emplace_back(i, reason_of(item, code));
        }
    }
    return verdicts;
}

}  // namespace eventyard::cli
