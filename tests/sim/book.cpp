#include "tests/sim/book.hpp"

#include <algorithm>
#include <iterator>

namespace eventyard::sim {

std::string Book::name(const Event& event, std::uint32_t route)
{
    const Route of = event.stored->version->routes.at(event.stored->routes[route]);
    return std::to_string(event.stored->sequence) + '/' + std::to_string(route) + " (" + of.rule + " -> " + of.target + ')';
}

std::optional<Book::Place> Book::find(const Id& event, const std::string& rule, const std::string& id)
{
    const auto found = events_.find(event);
    if (found == events_.end()) return std::nullopt;
    const StoredEvent& stored = *found->second->stored;
    for (std::uint32_t i = 0; i < stored.routes.size(); ++i) {
        const auto route = stored.version->routes[stored.routes[i]];
        if (route.rule == rule && delivery_id(event, rule, route.target) == id) return Place{found->second.get(), i};
    }
    return std::nullopt;
}

std::optional<Book::Place> Book::find(DeliveryKey key)
{
    const auto found = by_sequence_.find(key.sequence);
    if (found == by_sequence_.end() || key.route >= found->second->stored->routes.size()) return std::nullopt;
    return Place{found->second, key.route};
}

std::optional<Book::Place> Book::find(const std::string& target, DeliveryKey key)
{
    const auto place = find(key);
    if (!place || own_target(*place) != target) return std::nullopt;
    return place;
}

/// The target that its rule named.
const std::string& Book::own_target(const Place& place)
{
    const StoredEvent& stored = *place.event->stored;
    return stored.version->routes.targets()[stored.version->routes.target(stored.routes[place.route])];
}

/// Whether `target` has the delivery, as far as can be known; then it is known from now on.
bool Book::holds(const Place& place, const std::string& target)
{
    Delivery& one = place.delivery();
    if (one.chain.empty()) return own_target(place) == target;
    if (one.chain_life == life_) return one.chain.back() == target;
    if (std::find(one.chain.begin(), one.chain.end(), target) == one.chain.end()) return false;
    one.chain = {target};
    return true;
}

void Book::moved(const Moved& change)
{
    const auto place = find(change.row.key);
    if (!place) return violated("a delivery was moved that does not exist: " + std::to_string(change.row.key.sequence));
    Delivery& one = place->delivery();
    const std::string what = name(*place->event, place->route);
    if (!holds(*place, change.from) && !forgetful) violated("delivery " + what + " was moved by '" + change.from + "', which does not have it");
    if ((one.ended_durable || (one.ended && one.ended_life == life_)) && !forgetful)
        violated("delivery " + what + " was moved after its end");
    one.ended.reset();  // a crash has taken it back
    if (one.chain.empty()) one.chain.push_back(change.from);
    one.chain.push_back(change.row.target);
    one.chain_life = life_;
    one.been.insert(change.row.target);
    ++ended_now_[change.from];
    ++moved_in_[change.row.target];
    coverage_.count("operator: a delivery was moved");
}

bool Book::moving() const
{
    return std::any_of(moving_.begin(), moving_.end(), [](const auto& one) { return one.second > 0; });
}

// --- a life -----------------------------------------------------------------------------------------

void Book::begin_life(const StateSnapshot& snapshot)
{
    ++life_;
    ended_before_.clear();
    ended_now_.clear();
    unsettled_.clear();
    before_.clear();
    moved_in_.clear();
    moving_.clear();
    for (const LedgerRow& row : snapshot.ledger) {
        for (const auto& [ending, n] : row.ended) ended_before_[row.target] += n;
        moved_in_[row.target] += row.moved_in;
    }
}

void Book::publish(Event& event)
{
    if (event.published) return;
    event.published = true;
    numbered(event);
    const StoredEvent& stored = *event.stored;
    for (const std::uint32_t route : stored.routes) {
        auto& promised = promised_[stored.version->routes[route].target];
        promised.insert(std::upper_bound(promised.begin(), promised.end(), stored.sequence), stored.sequence);
    }
}

void Book::numbered(Event& event)
{
    const auto [other, fresh] = by_sequence_.emplace(event.stored->sequence, &event);
    if (fresh || other->second == &event) return;
    // Without state.db, and without a segment, nobody knows of numbers that were given and never answered.
    const auto kept = [](const Event& one) { return one.answer == Event::Answer::accepted || one.published; };
    // Nor of one whose only trace in the journal rot has taken.
    const bool rotten = kept(*other->second) && hit.contains(event.stored->sequence);
    if (forgetful && rotten) other->second->gone = true;
    if (forgetful && (!kept(*other->second) || rotten))
        other->second = &event;
    else if (!forgetful || kept(event))
        violated("sequence " + std::to_string(event.stored->sequence) + " was given twice");
}

/// Of the same life: reserved numbers lie between two.
bool Book::behind_rot(Sequence sequence) const
{
    const auto at = hit.upper_bound(sequence);
    return at != hit.begin() && *std::prev(at) > sequence - std::min<Sequence>(sequence, 1U << 15);
}

void Book::recovered(const std::function<Result<StoredEventPtr>(Sequence)>& find, bool no_space)
{
    for (auto& [unit, events] : units_) {
        std::size_t there = 0, numbered = 0;
        for (Event* const event : events) {
            const Sequence sequence = event->stored->sequence;
            if (event->answer == Event::Answer::refused || event->answer == Event::Answer::repeated || sequence == 0) continue;
            if (event->gone && event->published && by_sequence_.at(sequence) != event) continue;  // see numbered()
            const bool open = std::any_of(event->deliveries.begin(), event->deliveries.end(),
                                          [](const Delivery& one) { return !one.ended; });
            if (event->published && !open) {
                if (no_space && behind_rot(sequence) && !find(sequence).has_value()) hit.insert(sequence);  // see below
                continue;
            }
            ++numbered;
            const auto kept = find(sequence);
            if (kept.has_value() && (*kept)->event.id == event->stored->event.id) {
                ++there;
                const bool blank = event->erased != Event::Erased::no && is_erased((*kept)->event);
                if ((*kept)->event.body != event->stored->event.body && !blank)
                    violated("the body of event " + std::to_string(sequence) + " is not the one that was accepted");
                if ((*kept)->routes != event->stored->routes)
                    violated("the routes of event " + std::to_string(sequence) + " are not those it was accepted with");
                event->gone = false;  // a start without space for a verdict leaves it to the next one
                if (!event->published) {
                    coverage_.count("recovery: an event without an answer was kept");
                    if (trace) trace("event " + std::to_string(sequence) + " had no answer and is kept");
                    publish(*event);
                }
                continue;
            }
            // What was hit may be another one, to which the number of this one went.
            if (const auto owner = by_sequence_.find(sequence);
                hit.contains(sequence) && (owner == by_sequence_.end() || owner->second == event)) {
                ++there;
                continue;
            }
            const bool answered = event->answer == Event::Answer::accepted || event->published;
            if (answered && no_space && behind_rot(sequence)) {
                coverage_.count("recovery: without space, what stood behind rot was dropped");
                hit.insert(sequence);
                event->gone = true;
                continue;
            }
            if (answered) {
                violated("event " + std::to_string(sequence) + " was accepted, has deliveries to make and is gone: " +
                         (kept.has_value() ? "another event has its place" : kept.error().what));
                return;
            }
            coverage_.count("recovery: an event without an answer was dropped");
            if (trace) trace("event " + std::to_string(sequence) + " had no answer and is gone");
            event->gone = true;
        }
        if (there != 0 && there != numbered)
            violated("unit " + std::to_string(unit) + " was kept in part: " + std::to_string(there) + " of " +
                     std::to_string(numbered) + " events");
    }
}

void Book::end_life(bool crashed)
{
    for (auto& [id, event] : events_) {
        for (Delivery& one : event->deliveries) one.in_flight = false;
        if (event->answer != Event::Answer::none) continue;
        if (event->stored->sequence == 0)
            event->answer = Event::Answer::refused;  // never was on its way to the disk
        else
            numbered(*event);
    }
    if (!crashed)
        for (const auto& [target, n] : unsettled_)
            if (n != 0) violated("a clean stop left " + std::to_string(n) + " settled deliveries of '" + target + "' behind");
}

// --- what happens -----------------------------------------------------------------------------------

void Book::submitted_unit(std::uint64_t unit, const std::vector<std::shared_ptr<StoredEvent>>& events, WallTime now, bool keys_last)
{
    for (const auto& stored : events) {
        auto event = std::make_unique<Event>();
        event->stored = stored;
        event->unit = unit;
        event->deliveries.resize(stored->routes.size());
        if (keys_last && stored->once) event->before = known_before(*stored, now);
        units_[unit].push_back(event.get());
        events_[stored->event.id] = std::move(event);
    }
}

/// Accepted with the same key, and within the window of that at `now`; null: none is sure to be.
const Book::Event* Book::known_before(const StoredEvent& stored, WallTime now) const
{
    const auto found = keys_.find(stored.once->key);
    if (found == keys_.end() || forgetful) return nullptr;
    for (const Event* const event : found->second) {
        const bool lost = event->gone || event->erased != Event::Erased::no || hit.contains(event->stored->sequence);
        if (event->key_sure && !lost && now >= event->stored->event.received && now < event->stored->once->until) return event;
    }
    return nullptr;
}

void Book::clock_jumped()
{
    for (auto& [id, event] : events_) event->key_sure = false;
}

/// The router says that it has such an event already.
void Book::repeated(Event& event, const Repeated& one, WallTime now)
{
    coverage_.count("dedup: an event was not taken again");
    const auto found = events_.find(one.event);
    if (found == events_.end()) return violated("an event is taken for the repetition of one that nobody sent");
    const Event& first = *found->second;
    const std::string what = "event " + std::to_string(one.sequence) + ", of which another is taken for a repetition, ";
    if (!first.stored->once || !event.stored->once || first.stored->once->key != event.stored->once->key) violated(what + "has another key");
    if (first.answer != Event::Answer::accepted && !first.published) violated(what + "was never accepted");
    if (first.stored->sequence != one.sequence) violated(what + "has another number");
    if (first.gone && !hit.contains(one.sequence)) violated(what + "is gone");
    if (first.stored->once && std::min(now, event.stored->event.received) >= first.stored->once->until) violated(what + "is too old for that");
    if (first.unit != event.unit && units_.at(first.unit).front()->stored->event.received < event.stored->event.received)
        coverage_.count("dedup: of an earlier request");
}

void Book::answered_unit(std::uint64_t unit, const Result<CommitResult>& result, WallTime now)
{
    const std::vector<Event*>& events = units_.at(unit);
    if (result.has_value())
        for (const Repeated& one : result->repeated) events.at(one.place)->answer = Event::Answer::repeated;
    for (Event* const event : events) {
        const Sequence sequence = event->stored->sequence;
        if (event->answer == Event::Answer::repeated) continue;
        if (event->answer != Event::Answer::none) violated("unit " + std::to_string(unit) + " was answered twice");
        if (result.has_value()) {
            event->answer = Event::Answer::accepted;
            ++accepted_;
            if (event->before != nullptr && event->before->key_sure && event->before->erased == Event::Erased::no && !forgetful && now < event->before->stored->once->until)
                violated("event " + std::to_string(sequence) + " was taken although " +
                         std::to_string(event->before->stored->sequence) + " had its key");
            if (event->stored->once) keys_[event->stored->once->key].push_back(event);
        } else {
            event->answer = sequence != 0 ? Event::Answer::uncertain : Event::Answer::refused;
        }
        if (sequence != 0) numbered(*event);
    }
    if (result.has_value())
        for (const Repeated& one : result->repeated) repeated(*events.at(one.place), one, now);
}

void Book::published(const CommitBatch& batch)
{
    for (const StoredEventPtr& stored : batch.events) {
        const auto found = events_.find(stored->event.id);
        if (found == events_.end()) return violated("a commit holds an event that nobody sent");
        Event& event = *found->second;
        if (event.answer != Event::Answer::accepted) violated("an event was delivered before it was answered");
        publish(event);
    }
}

void Book::attempted(const Id& event, const std::string& rule, const std::string& id, const std::string& at, const std::string& body)
{
    const auto place = find(event, rule, id);
    if (!place) return violated("an attempt at '" + at + "' for a delivery that does not exist: " + id + " of " + rule);
    Delivery& one = place->delivery();
    const std::string what = name(*place->event, place->route);
    if (!place->event->published)
        return violated("delivery " + what + " is attempted, but was not promised");
    if (place->event->erased == Event::Erased::done) return violated("delivery " + what + " is attempted, though its event was erased");
    const bool forwarded = leads_to(one.forward_to, at);
    if (one.ended == Ending::dead_lettered && (forwarded || one.ended_durable || one.ended_life == life_) &&
        !(forgetful && !forwarded)) {  // else the delivery itself, whose end was forgotten
        if (one.forward_to.empty()) violated("dead letter " + what + " is attempted at '" + at + "' again");
        if (body != place->event->stored->event.body && body != sent_of(*place->event->stored, place->route))
            violated("the copy of dead letter " + what + " is not the event");
        return;  // a copy for a dead-letter target
    }
    if (forgetful && forwarded && body == place->event->stored->event.body) return;  // of a letter whose delivery came back
    if (const std::string sent = sent_of(*place->event->stored, place->route); body != sent)
        violated("delivery " + what + " sends " + body.substr(0, 60) + ", its rule said " + sent.substr(0, 60));
    if (one.in_flight) violated("delivery " + what + " is attempted twice at the same time");
    if (one.ended_durable && !forgetful)
        violated("delivery " + what + " is attempted although its end is durable");
    if (one.confirmed_life == life_ && !(forgetful && !one.ended))
        violated("delivery " + what + " is repeated although the target took it in this life");
    one.in_flight = true;
    if (one.been.empty()) note_order(*place, own_target(*place));
    if (one.confirmed_life != 0) coverage_.count("recovery: a delivery was repeated after a crash");
}

/// By the new names that reloads have given.
bool Book::leads_to(const std::set<std::string>& from, const std::string& to) const
{
    return std::any_of(from.begin(), from.end(), [&](const std::string& name) {
        const auto names = renamed.find(name);
        return name == to || (names != renamed.end() && leads_to(names->second, to));
    });
}

std::string Book::sent_of(const StoredEvent& stored, std::uint32_t route)
{
    const Route of = stored.version->routes.at(stored.routes[route]);
    const std::string& body = stored.event.body;
    const std::string& input = of.input.text();
    if (input.empty()) return body;
    const std::string constant = "{\"constant\":", path = "{\"path\":", revision = "\\\"v\\\":";
    if (input.starts_with(constant)) return input.substr(constant.size(), input.size() - constant.size() - 1);
    const std::size_t begin = body.find("\"n\":") + 4;
    const std::string n = body.substr(begin, body.size() - 1 - begin);
    if (input.starts_with(path)) return n;
    const std::size_t at = input.find(revision) + revision.size();
    return "{\"v\":" + input.substr(at, input.find(',', at) - at) + ",\"n\":" + n + ",\"r\":\"of " + of.rule + "\"}";
}

std::string Book::key_of(const eventyard::Event& event)
{
    const std::string start = "{\"k\":";
    return event.body.starts_with(start) ? event.body.substr(start.size(), event.body.find(',') - start.size()) : "";
}

/// What the delivery should not have gone before; whether that is over is seen once its lane has said all. An
/// end that a crash may have taken back counts: it may as well have lasted.
void Book::note_order(const Place& place, const std::string& target)
{
    const auto kept = order.find(target);
    if (kept == order.end() || unordered.contains(target) || forgetful) return;
    const std::string key = key_of(place.event->stored->event);
    if (kept->second == Order::key && key.empty()) return;
    Before before{name(*place.event, place.route), {}};
    for (const auto& [sequence, event] : by_sequence_) {
        if (sequence > place.event->stored->sequence) break;
        if (!event->published || event->gone || hit.contains(sequence)) continue;
        if (kept->second == Order::key && key_of(event->stored->event) != key) continue;
        const StoredEvent& stored = *event->stored;
        for (std::uint32_t i = 0; i < stored.routes.size(); ++i) {
            if (event == place.event && i >= place.route) break;
            if (stored.version->routes[stored.routes[i]].target != target) continue;
            const Delivery& one = event->deliveries[i];
            if (!one.ended && one.been.empty()) before.open.push_back({sequence, i});
        }
    }
    coverage_.count("order: an attempt of an ordered target");
    if (!before.open.empty()) before_[target].push_back(std::move(before));
}

void Book::check_order(const std::string& target, const std::vector<Change>& unflushed)
{
    for (const Before& before : std::exchange(before_[target], {})) {
        for (const DeliveryKey key : before.open) {
            const auto place = find(target, key);
            const Delivery& one = place->delivery();
            bool over = one.ended.has_value() || !one.been.empty();
            for (const Change& change : unflushed)
                if (const auto* ended = std::get_if<Ended>(&change); ended && ended->target == target && ended->key == key)
                    over = true;
            if (!over && !hit.contains(key.sequence))
                violated("delivery " + before.what + " went before " + name(*place->event, place->route) + ", which is not over");
        }
    }
}

void Book::attempt_ended(const Id& event, const std::string& rule, const std::string& id, bool took, bool told)
{
    const auto place = find(event, rule, id);
    if (!place) return;
    Delivery& one = place->delivery();
    if (!std::exchange(one.in_flight, false)) return;  // a copy for a dead-letter target
    if (took) {
        ++one.taken;
        ++taken_;
    }
    if (!told) return;
    one.confirmed_life = life_;
    // Where state.db was lost, both may have it.
    const bool known = one.been.empty() || (!forgetful && (one.chain.size() < 2 || one.chain_life == life_));
    one.counted_at = !known ? "" : one.chain.empty() ? own_target(*place) : one.chain.back();
    if (known) ++unsettled_[one.counted_at];
}

std::optional<Id> Book::published_event(const std::function<std::uint64_t(std::uint64_t)>& pick) const
{
    if (by_sequence_.empty()) return std::nullopt;
    const Event& event = *std::next(by_sequence_.begin(), static_cast<std::ptrdiff_t>(pick(by_sequence_.size())))->second;
    if (!event.published || event.answer != Event::Answer::accepted) return std::nullopt;
    return event.stored->event.id;
}

void Book::erasing(const Id& event)
{
    if (Event& one = *events_.at(event); one.erased == Event::Erased::no) one.erased = Event::Erased::asked;
}

void Book::erased(const Id& event) { events_.at(event)->erased = Event::Erased::done; }

std::string Book::secret_of(const eventyard::Event& event)
{
    const std::string start = "\"s\":\"";
    const auto at = event.body.find(start) + start.size();
    return event.body.substr(at, event.body.find('"', at) - at);
}

std::vector<std::string> Book::forgotten() const
{
    std::vector<std::string> secrets;
    for (const auto& [id, event] : events_)
        if (event->erased == Event::Erased::done) secrets.push_back(secret_of(event->stored->event));
    return secrets;
}

void Book::handed_over(const std::vector<Change>& changes)
{
    for (const Change& change : changes) {
        if (const auto* other = std::get_if<Moved>(&change)) moved(*other);
        const auto* ended = std::get_if<Ended>(&change);
        if (!ended) continue;
        const auto place = find(ended->key);
        if (!place || (!holds(*place, ended->target) && !forgetful)) {
            violated("the end of a delivery that is not there: " + ended->target + ' ' + std::to_string(ended->key.sequence));
            return;
        }
        Delivery& one = place->delivery();
        const std::string what = name(*place->event, place->route);
        ++ended_now_[ended->target];
        if ((one.ended_durable || (one.ended && one.ended_life == life_)) && !forgetful)
            violated("delivery " + what + " ended twice");
        // A state that forgot the letter: what came was the delivery again, and looked like the letter's copy.
        const bool as_copy = forgetful && leads_to(one.forward_to, ended->target);
        if (ended->ending == Ending::delivered && one.taken == 0 && !as_copy)
            violated("delivery " + what + " is counted as delivered, but never arrived");
        if (ended->ending == Ending::damaged || ended->ending == Ending::lost) {
            coverage_.count("rot: a delivery was counted as damaged");
            // A state that forgot what came after the last merge of its log has rows of what is over, and let go.
            if (!hit.contains(ended->key.sequence) && !(forgetful && one.was_over))
                violated("delivery " + what + " is counted as " + text_of(ended->ending) + ", but nothing happened to it");
        }
        if (ended->ending == Ending::dead_lettered) {
            if (ended->dead_letter && ended->dead_letter->reason == "overflow") {
                coverage_.count("budget: a delivery beyond it was dead-lettered");
                if (!budgets.contains(ended->target)) violated("dead letter " + what + " is beyond a budget that nobody gave");
            }
            if (place->event->erased == Event::Erased::done)
                violated("dead letter " + what + " is stored, though its event was erased");
            else if (!ended->dead_letter || ended->dead_letter->body != place->event->stored->event.body)
                violated("dead letter " + what + " lacks its body");
            else if (ended->dead_letter->input != place->event->stored->version->routes.at(place->event->stored->routes[place->route]).input.text())
                violated("dead letter " + what + " lacks what its rule said of it");
            else {
                if (!forgetful) one.forward_to.clear();  // else an earlier letter may have been saved as well
                if (const std::string& to = ended->dead_letter->forward_to; !to.empty()) one.forward_to.insert(to);
            }
        }
        one.ended = ended->ending;
        one.ended_at = ended->target;
        one.ended_life = life_;
        one.ended_durable = false;
    }
}

void Book::durable(const std::vector<Change>& changes)
{
    for (const Change& change : changes) {
        if (const auto* other = std::get_if<Moved>(&change))
            if (const auto place = find(other->row.key); place && place->delivery().chain.size() > 1)
                place->delivery().chain.erase(place->delivery().chain.begin());
        const auto* ended = std::get_if<Ended>(&change);
        if (!ended) continue;
        const auto place = find(ended->key);
        if (!place) continue;
        Delivery& one = place->delivery();
        one.ended_durable = one.was_over = true;
        if (ended->ending == Ending::delivered && one.confirmed_life == life_ && !one.counted_at.empty()) --unsettled_[one.counted_at];
    }
}

}  // namespace eventyard::sim
