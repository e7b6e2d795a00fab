#include "router/erase_desk.hpp"

#include <chrono>
#include <future>
#include <thread>

#include "core/log.hpp"

namespace eventyard::router {
namespace {

using namespace std::chrono_literals;

constexpr auto look = 50ms;
constexpr auto patience = 4min;          // an admin client waits five
constexpr auto hold_patience = 30s;      // for a backup, an audit or a release
constexpr std::size_t page_size = 1000;
constexpr unsigned again_max = 200;

const Error stops = fail(Errc::cancelled, "the daemon stops; ask again when it runs");

}  // namespace

/// The answer to ask(done); a disk that refuses may keep it for as long as it likes.
template <class T, class Ask>
Result<T> EraseDesk::wait(Ask ask)
{
    const auto answer = std::make_shared<std::promise<Result<T>>>();
    auto future = answer->get_future();
    ask([answer](Result<T> got) { answer->set_value(std::move(got)); });
    for (auto left = patience / look; left > 0; --left) {
        if (waits_.until([&](Duration slice) { return future.wait_for(slice) == std::future_status::ready; }, look))
            return future.get();
        if (hooks_.stopping()) return stops;
    }
    return fail(Errc::unavailable, "journal or state take too long, see the log; ask again");
}

Result<Erased> EraseDesk::erase(const Id& event, const Act& act)
{
    for (auto left = hold_patience / look; !hooks_.hold(); --left) {
        if (hooks_.stopping()) return stops;
        if (left <= 0) return fail(Errc::unavailable, "a backup, an audit or a long release of segments is under way; ask again");
        (void)waits_.until([](Duration slice) { return std::this_thread::sleep_for(slice), false; }, look);
    }
    auto erased = erase_held(event);
    hooks_.let_go();
    if (erased.has_value())
        log::warn("erase", "an event was erased",
                  {{"event", event.text()}, {"journal", erased->journal}, {"archive_files", erased->archive_files},
                   {"dead_letters", erased->dead_letters}, {"discarded", erased->discarded}, {"in_flight", erased->in_flight},
                   {"who", act.who}, {"why", act.why}});
    else
        log::warn("erase", "an event is not erased, or not from everywhere",
                  {{"event", event.text()}, {"error", erased.error().what}, {"who", act.who}, {"why", act.why}});
    return erased;
}

Result<Erased> EraseDesk::erase_held(const Id& event)
{
    Erased sum;
    std::set<Sequence> sequences;
    hooks_.read_anew();  // also when what follows fails: what a replay has read holds the body
    EVENTYARD_CHECK(end_kept(event, sequences, sum));
    EVENTYARD_CHECK(end_rows(event, sequences, sum));
    EVENTYARD_CHECK(count_letters(event, sequences, sum));
    // Also of an event that nothing knows any more, files may hold the bytes.
    EVENTYARD_TRY(kept, wait<std::uint64_t>([&](auto done) { journal_.erase(event, std::move(done)); }));
    sum.journal = kept;
    EVENTYARD_TRY(archived, archives_.erase(event));
    sum.archive_files = archived.files;
    sum.left = std::move(archived.unread);
    // Twice: a letter that was redriven meanwhile may have failed again, as a letter with the body.
    for (int pass = 0; pass < 2; ++pass) {
        if (pass > 0) EVENTYARD_CHECK(end_rows(event, sequences, sum));
        EVENTYARD_CHECK(wait<void>([&](auto done) {
            state_.erase({event, {sequences.begin(), sequences.end()}}, std::move(done));
        }));
    }
    EVENTYARD_TRY(under_way, wait<std::uint64_t>([&](auto done) { hooks_.drop_copies(event, done); }));
    sum.in_flight += under_way;
    if (sequences.empty() && sum.journal == 0 && sum.archive_files == 0)
        return fail(Errc::not_found, "no event " + event.text() + " is kept in the journal, an archive or among the dead letters");
    note_copies(sum);
    return sum;
}

/// Pending deliveries of what the journal has, wherever they are by now.
Result<void> EraseDesk::end_kept(const Id& event, std::set<Sequence>& sequences, Erased& sum)
{
    EVENTYARD_TRY(events, wait<std::vector<StoredEventPtr>>([&](auto done) { journal_.find(event, std::move(done)); }));
    Picked picked;
    for (const StoredEventPtr& one : events) {
        sequences.insert(one->sequence);
        for (std::uint32_t i = 0; i < one->routes.size(); ++i) {
            const RouteList::View route = one->version->routes[one->routes[i]];
            picked[std::string{route.target}].push_back({{one->sequence, i}, std::string{route.rule}});
        }
    }
    return end_pending(std::move(picked), sum);
}

/// Those that were redriven: a letter keeps what the journal may have let go.
Result<void> EraseDesk::end_rows(const Id& event, std::set<Sequence>& sequences, Erased& sum)
{
    DeliveryFilter filter;
    filter.event = event;
    RowPosition after;
    for (bool more = true; more;) {
        EVENTYARD_TRY(page, wait<RowPage>([&](auto done) { state_.pending_rows(filter, after, page_size, std::move(done)); }));
        Picked picked;
        for (const RetryRow& row : page.rows) {
            sequences.insert(row.key.sequence);
            picked[row.target].push_back({row.key, row.rule, row.event, row.expires, true});
        }
        EVENTYARD_CHECK(end_pending(std::move(picked), sum));
        after = page.through;
        more = page.more;
    }
    return {};
}

Result<void> EraseDesk::end_pending(Picked picked, Erased& sum)
{
    for (unsigned again = 0; !picked.empty(); ++again) {
        if (again > again_max) return fail(Errc::unavailable, "the deliveries keep moving; ask again");
        Picked moved;
        for (auto& [target, of] : picked) {
            auto acted = wait<Acted>([&](auto done) { hooks_.discard(target, std::move(of), std::move(done)); });
            if (!acted.has_value() && acted.error().code == Errc::not_found) continue;
            if (!acted.has_value()) return acted.error();
            if (acted->no_room > 0)
                return fail(Errc::unavailable, "target '" + target +
                                                   "' has as many deliveries discarded out of its backlog as can be remembered; "
                                                   "let it deliver, or discard all of them, oldest first");
            sum.discarded += acted->done;
            sum.in_flight += acted->in_flight;
            if (!acted->again.empty()) moved[target] = std::move(acted->again);
        }
        picked = std::move(moved);
    }
    return {};
}

Result<void> EraseDesk::count_letters(const Id& event, std::set<Sequence>& sequences, Erased& sum)
{
    DeadLetterFilter filter;
    filter.event = event;
    filter.limit = page_size;
    for (bool more = true; more;) {
        EVENTYARD_TRY(page, wait<DeadLetterPage>([&](auto done) { state_.dead_letters(filter, std::move(done)); }));
        for (const DeadLetter& letter : page.letters) sequences.insert(letter.key.sequence);
        sum.dead_letters += page.letters.size();
        filter.after_id = page.through;
        more = page.more;
    }
    return {};
}

void EraseDesk::note_copies(Erased& sum)
{
    const auto names = [this](const std::string& directory) {
        auto found = disk_.list(directory);
        return found.has_value() ? std::move(*found) : std::vector<std::string>{};
    };
    for (const char* const made : {"/backups", "/exports", "/journal/quarantine"})
        for (const std::string& name : names(data_dir_ + made)) sum.left.push_back(data_dir_ + made + '/' + name);
    for (const std::string& name : names(data_dir_))
        if (name.starts_with("state.db.")) sum.left.push_back(data_dir_ + '/' + name);
}

}  // namespace eventyard::router
