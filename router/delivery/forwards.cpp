#include "router/delivery/forwards.hpp"

#include <algorithm>

namespace eventyard::router {

std::optional<Forwards::Read> Forwards::want_read(SteadyTime now)
{
    if (reading_ || !page_.empty() || in_flight_ > 0) return std::nullopt;
    if (!in_pass_) {
        if (next_pass_ && *next_pass_ <= now) {  // all of them once more
            after_ = 0;
            failed_ = 0;
            next_pass_.reset();
        } else if (news_) {                      // only what is new; a pass that waits goes on waiting
            after_ = highest_;
        } else {
            return std::nullopt;
        }
        news_ = false;
        in_pass_ = true;
        more_ = true;
        took_one_ = failed_one_ = false;
    }
    if (!more_) return std::nullopt;
    reading_ = true;
    return Read{after_, page_max_};
}

void Forwards::took(std::vector<DeadLetter> letters)
{
    reading_ = false;
    more_ = !letters.empty();  // a page may end early because of its bodies
    for (DeadLetter& letter : letters) {
        after_ = std::max(after_, letter.id);
        page_.push_back(std::make_shared<const DeadLetter>(std::move(letter)));
    }
    highest_ = std::max(highest_, after_);
    if (page_.empty()) in_pass_ = false;
}

void Forwards::read_failed() noexcept
{
    reading_ = false;
}

Forwards::Letter Forwards::take()
{
    Letter letter = std::move(page_.front());
    page_.pop_front();
    ++in_flight_;
    return letter;
}

void Forwards::put_back(Letter letter)
{
    --in_flight_;
    page_.push_front(std::move(letter));
}

void Forwards::ended(bool failed, const RetryPolicy& policy, SteadyTime now, double draw)
{
    --in_flight_;
    if (failed) {
        ++failed_;
        failed_one_ = true;
    } else {
        took_one_ = true;
    }
    end_pass(policy, now, draw);
}

void Forwards::drop(const Id& event, const RetryPolicy& policy, SteadyTime now, double draw)
{
    if (std::erase_if(page_, [&](const Letter& letter) { return letter->event == event; }) > 0) end_pass(policy, now, draw);
}

/// Once nothing that was read is left.
void Forwards::end_pass(const RetryPolicy& policy, SteadyTime now, double draw)
{
    if (!page_.empty() || in_flight_ > 0) return;
    if (failed_one_) {
        passes_ = took_one_ ? 1 : passes_ + 1;
        const Duration wait = std::max<Duration>(backoff(policy, passes_, draw), std::chrono::milliseconds{10});
        if (!next_pass_) next_pass_ = now + wait;
        failed_one_ = false;
    } else if (failed_ == 0) {
        passes_ = 0;
    }
    if (!more_) in_pass_ = false;
}

void Forwards::hurry(SteadyTime now) noexcept
{
    if (next_pass_) next_pass_ = now;
}

}  // namespace eventyard::router
