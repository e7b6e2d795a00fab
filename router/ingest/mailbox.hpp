// router/ingest/mailbox.hpp — brings the journal's answers back to an I/O thread, many at a time.
//
// The journal answers all units of a commit in a row. Each answer is pushed on a lock-free stack;
// only the first one posts a message to the I/O thread, which then takes all that have come.
#pragma once

#include <atomic>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "router/ingest/outbox.hpp"
#include "router/journal/journal.hpp"

namespace eventyard::router {

class Mailbox : public std::enable_shared_from_this<Mailbox> {
public:
    using Executor = boost::asio::io_context::executor_type;

    struct Letter {
        virtual ~Letter() = default;
        /// On the I/O thread.
        virtual void open(std::unique_ptr<Letter> self) = 0;
        Letter* next = nullptr;
    };

    explicit Mailbox(Executor executor) : executor_(std::move(executor)) {}
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;
    ~Mailbox() { take(); }

    /// Any thread.
    void push(std::unique_ptr<Letter> letter)
    {
        Letter* const added = letter.release();
        Letter* before = head_.load(std::memory_order_relaxed);
        do added->next = before;
        while (!head_.compare_exchange_weak(before, added, std::memory_order_release,
                                            std::memory_order_relaxed));
        // `added` may be gone by now.
        if (before == nullptr) boost::asio::post(executor_, [self = shared_from_this()] { self->drain(); });
    }

private:
    /// Everything that has come, oldest first.
    std::unique_ptr<Letter> take_one(Letter*& list)
    {
        std::unique_ptr<Letter> letter{list};
        list = list->next;
        return letter;
    }
    Letter* reversed()
    {
        Letter* list = nullptr;
        for (Letter* letter = head_.exchange(nullptr, std::memory_order_acquire); letter != nullptr;) {
            Letter* const next = letter->next;
            letter->next = list;
            list = letter;
            letter = next;
        }
        return list;
    }
    void take()
    {
        for (Letter* list = reversed(); list != nullptr;) take_one(list);
    }
    void drain()
    {
        for (Letter* list = reversed(); list != nullptr;) {
            std::unique_ptr<Letter> letter = take_one(list);
            Letter& opened = *letter;
            opened.open(std::move(letter));
        }
    }

    Executor executor_;
    std::atomic<Letter*> head_{nullptr};
};

/// The journal's answer on its way to a waiting coroutine.
template <class Handler>
class CommitLetter final : public Mailbox::Letter {
public:
    CommitLetter(Handler handler, Mailbox::Executor executor)
        : handler_(std::move(handler)), work_(std::move(executor)) {}
    void write(const Result<CommitResult>& result) { result_.emplace(result); }
    void open(std::unique_ptr<Mailbox::Letter> self) override
    {
        Handler handler = std::move(handler_);
        Result<CommitResult> result = std::move(*result_);
        const auto work = std::move(work_);
        self.reset();
        std::move(handler)(std::move(result));
    }

private:
    Handler handler_;
    boost::asio::executor_work_guard<Mailbox::Executor> work_;
    std::optional<Result<CommitResult>> result_;
};

/// Submits a unit, with others of its turn, and completes on the mailbox's thread with the journal's answer.
template <class Token>
auto async_commit(Outbox& outbox, std::shared_ptr<Mailbox> mailbox, Mailbox::Executor executor,
                  CommitUnit unit, Token&& token)
{
    auto start = [&outbox](auto handler, std::shared_ptr<Mailbox> box, Mailbox::Executor home,
                            CommitUnit commit) {
        using Letter = CommitLetter<decltype(handler)>;
        // Shared, as std::function asks for copies; the one call takes the letter out.
        auto letter = std::make_shared<std::unique_ptr<Letter>>(
            std::make_unique<Letter>(std::move(handler), std::move(home)));
        commit.done = [letter, box = std::move(box)](const Result<CommitResult>& result) {
            (*letter)->write(result);
            box->push(std::move(*letter));
        };
        outbox.submit(std::move(commit));
    };
    return boost::asio::async_initiate<Token, void(Result<CommitResult>)>(
        std::move(start), token, std::move(mailbox), std::move(executor), std::move(unit));
}

}  // namespace eventyard::router
