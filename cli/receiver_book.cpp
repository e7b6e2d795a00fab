#include "cli/receiver_book.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>
#include <optional>

namespace eventyard::cli {
namespace {

std::optional<std::string> from_base64(std::string_view text)
{
    if (text.empty() || text.size() % 4 != 0) return std::nullopt;
    std::string bytes(text.size() / 4 * 3, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    if (size < 0) return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
    bytes.resize(static_cast<std::size_t>(size) - padding);
    return bytes;
}

std::string to_base64(std::string_view bytes)
{
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL adds a zero byte
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

}  // namespace

Decision ReceiverBook::enter(std::string_view webhook_id, std::uint64_t bytes, Signature signature)
{
    const std::lock_guard lock{mutex_};
    const std::uint64_t number = plan_step_++;
    ++requests_;
    bytes_ += bytes;
    Seen* seen = nullptr;
    if (webhook_id.empty()) {
        ++without_id_;
    } else if (const auto known = ids_.find(std::string(webhook_id)); known != ids_.end()) {
        seen = &known->second;
        ++repeats_;
    } else if (ids_.size() < ids_max_) {
        seen = &ids_[std::string(webhook_id)];
    } else {
        ++ids_dropped_;
    }
    std::uint64_t step = number;
    if (seen != nullptr) {
        ++seen->times;
        if (seen->plan != plan_number_) seen->step = 0;
        seen->plan = plan_number_;
        if (plan_.per_id) step = seen->step;
        ++seen->step;
    }
    if (signature == Signature::valid) ++valid_;
    if (signature == Signature::invalid) ++invalid_;

    if (plan_.hang) {
        ++hung_;
        return {Decision::Act::hang, 0};
    }
    if (plan_.reset.at(number)) {
        ++resets_;
        return {Decision::Act::reset, 0};
    }
    const unsigned status = signature == Signature::invalid ? 401 : plan_.respond.at(step);
    ++status_[status];
    if (seen != nullptr && status < 300 && seen->accepted++ == 0) ++accepted_ids_;
    return {Decision::Act::answer, status};
}

void ReceiverBook::follow(AnswerPlan plan)
{
    const std::lock_guard lock{mutex_};
    plan_ = std::move(plan);
    plan_step_ = 0;
    ++plan_number_;
}

std::uint64_t ReceiverBook::requests() const
{
    const std::lock_guard lock{mutex_};
    return requests_;
}

nlohmann::ordered_json ReceiverBook::summary() const
{
    const std::lock_guard lock{mutex_};
    nlohmann::ordered_json status = nlohmann::ordered_json::object();
    for (const auto& [code, count] : status_) status[std::to_string(code)] = count;
    return {{"requests", requests_},       {"webhook_ids", ids_.size()},
            {"accepted_ids", accepted_ids_}, {"repeats", repeats_},
            {"without_id", without_id_},   {"ids_dropped", ids_dropped_},
            {"bytes", bytes_},             {"resets", resets_},
            {"hung", hung_},               {"status", status},
            {"signatures", {{"valid", valid_}, {"invalid", invalid_}}}};
}

std::string ReceiverBook::ids(bool accepted_only) const
{
    nlohmann::json ids = nlohmann::json::object();
    const std::lock_guard lock{mutex_};
    for (const auto& [id, seen] : ids_)
        if (!accepted_only || seen.accepted > 0) ids[id] = accepted_only ? seen.accepted : seen.times;
    const nlohmann::json answer = {{"ids", std::move(ids)}, {"dropped", ids_dropped_}};
    return answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

bool signature_valid(const Secret& secret, std::string_view id, std::string_view timestamp,
                     std::string_view signatures, std::string_view body, WallTime now)
{
    constexpr std::string_view prefix = "whsec_";
    constexpr std::int64_t tolerance_seconds = 300;
    std::string_view text = secret.reveal();
    if (text.substr(0, prefix.size()) == prefix) text.remove_prefix(prefix.size());
    const auto key = from_base64(text);
    if (!key || id.empty()) return false;

    std::int64_t seconds = 0;
    const auto [end, error] =
        std::from_chars(timestamp.data(), timestamp.data() + timestamp.size(), seconds);
    if (error != std::errc{} || end != timestamp.data() + timestamp.size()) return false;
    const auto now_seconds =
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    if (seconds > now_seconds + tolerance_seconds || seconds < now_seconds - tolerance_seconds)
        return false;

    std::string content;
    content.append(id).append(".").append(timestamp).append(".").append(body);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (HMAC(EVP_sha256(), key->data(), static_cast<int>(key->size()),
             reinterpret_cast<const unsigned char*>(content.data()), content.size(), digest.data(),
             &size) == nullptr)
        return false;
    const std::string wanted =
        "v1," + to_base64({reinterpret_cast<const char*>(digest.data()), size});
    for (std::string_view rest = signatures; !rest.empty();) {
        const std::size_t blank = rest.find(' ');
        const std::string_view one = rest.substr(0, blank);
        if (one.size() == wanted.size() && CRYPTO_memcmp(one.data(), wanted.data(), one.size()) == 0)
            return true;
        rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
    }
    return false;
}

}  // namespace eventyard::cli
