#include "rules/engine/selection.hpp"

namespace eventyard::rules {

using json::Kind;

namespace {

/// Eight bytes at a time: all of a JSON text's padding may be read.
bool has_dot(std::string_view key) noexcept
{
    constexpr std::uint64_t ones = 0x0101010101010101;
    for (std::size_t i = 0; i < key.size(); i += 8) {
        std::uint64_t word;
        std::memcpy(&word, key.data() + i, sizeof word);
        word ^= ones * '.';  // a dot becomes a zero byte
        std::uint64_t zeros = (word - ones) & ~word & (ones << 7);
        if (key.size() - i < 8) zeros &= (std::uint64_t{1} << 8 * (key.size() - i)) - 1;
        if (zeros != 0) return true;  // perhaps only a byte above one: then nothing is found below
    }
    return false;
}

}  // namespace

void Selection::start(const Names& names)
{
    names_ = &names;
    ++epoch_;
    if (at_.size() < names.size()) at_.resize(names.size());
    nodes_.clear();
    objects_.clear();
    leaves_.clear();
    has_elements_ = mixed_ = false;
    objects_.emplace_back();
}

void Selection::read(const Names& names, const json::Document& event)
{
    start(names);
    values_ = event.values().data();
    if (!event.empty() && event.root().kind == Kind::object) read_members(0, 0, 0);
}

void Selection::read_members(std::uint32_t value, std::uint32_t position, std::uint32_t object)
{
    for (std::uint32_t i = value + 1; i < values_[value].next; i = values_[i].next) {
        const std::uint32_t node = enter(object, position, values_[i].key);
        if (node != none) read_value(i, nodes_[node].position, node);
    }
}

void Selection::read_value(std::uint32_t value, std::uint32_t position, std::uint32_t node)
{
    switch (values_[value].kind) {
        case Kind::array: return read_array(value, position, node);
        case Kind::object:
            if (names_->has_children(position)) read_members(value, position, direct(node));
            return;
        default:
            if (names_->is_field(position)) add_leaf(value, node);
    }
}

void Selection::read_array(std::uint32_t value, std::uint32_t position, std::uint32_t node)
{
    for (std::uint32_t i = value + 1; i < values_[value].next; i = values_[i].next) {
        if (values_[i].kind != Kind::object) {
            read_value(i, position, node);
        } else if (names_->has_children(position)) {
            const std::uint32_t element = open_element(node);
            read_members(i, position, element);
            close_element(node, element);
        }
    }
}

std::uint32_t Selection::enter(std::uint32_t object, std::uint32_t position, std::string_view key)
{
    const std::uint32_t below = names_->find(position, key);
    if (below != Names::none) return make_child(object, below);
    return names_->has_grandchildren(position) && has_dot(key) ? enter_dotted(object, position, key) : none;
}

std::uint32_t Selection::enter_dotted(std::uint32_t object, std::uint32_t position, std::string_view key)
{
    // It counts only when rules name all of it.
    std::uint32_t at = position;
    for (std::string_view rest = key;;) {
        const auto dot = rest.find('.');
        at = names_->find(at, rest.substr(0, dot));
        if (at == Names::none) return none;
        if (dot == std::string_view::npos) break;
        rest.remove_prefix(dot + 1);
    }
    for (at = position;;) {
        const auto dot = key.find('.');
        at = names_->find(at, key.substr(0, dot));
        const std::uint32_t node = make_child(object, at);
        if (dot == std::string_view::npos) return node;
        object = direct(node);
        key.remove_prefix(dot + 1);
    }
}

std::uint32_t Selection::make_child(std::uint32_t object, std::uint32_t position)
{
    At& at = at_[position];
    const auto made = static_cast<std::uint32_t>(nodes_.size());
    if (at.epoch == epoch_) {
        // Elements are read one after the other and never again, so an object that is come back to
        // was the last one to have a node here, unless objects and elements mix.
        if (nodes_[at.last].owner == object) return at.last;
        if (mixed_)
            for (std::uint32_t node = objects_[object].child_first; node != none; node = nodes_[node].sibling)
                if (nodes_[node].position == position) return node;
        at.last = made;
    } else {
        at = {epoch_, made, made, false};
    }
    Node& node = nodes_.emplace_back();
    node.position = position;
    node.owner = object;
    const Object& owner = objects_[object];
    node.in_element = owner.element || (owner.node != none && nodes_[owner.node].in_element);
    node.sibling = objects_[object].child_first;
    objects_[object].child_first = made;
    return made;
}

std::uint32_t Selection::direct(std::uint32_t node)
{
    if (nodes_[node].direct == none) {
        if (nodes_[node].element_first != none) mixed_ = true;
        nodes_[node].direct = static_cast<std::uint32_t>(objects_.size());
        objects_.push_back({node, none, none, false});
    }
    return nodes_[node].direct;
}

std::uint32_t Selection::open_element(std::uint32_t node)
{
    if (nodes_[node].direct != none) mixed_ = true;
    objects_.push_back({node, none, none, true});
    return static_cast<std::uint32_t>(objects_.size() - 1);
}

void Selection::close_element(std::uint32_t node, std::uint32_t element)
{
    if (objects_[element].child_first == none) {  // nothing of interest in it
        objects_.pop_back();
        return;
    }
    has_elements_ = true;
    Node& at = nodes_[node];
    (at.element_first == none ? at.element_first : objects_[at.element_last].next) = element;
    at.element_last = element;
}

void Selection::add_leaf(std::uint32_t value, std::uint32_t node)
{
    const auto leaf = static_cast<std::uint32_t>(leaves_.size());
    Node& at = nodes_[node];
    leaves_.push_back({value, node, none, at.position});
    ++at.leaf_count;
    (at.leaf_first == none ? at.leaf_first : leaves_[at.leaf_last].next) = leaf;
    at.leaf_last = leaf;
    at_[at.position].leaves = true;
}

/// Reads a valid text along its tokens; what no rule names is stepped over. The tokens may be those of its beginning.
class Selection::TextReader {
public:
    explicit TextReader(Selection& out) : out_(out), in_(out.tokens_), next_(in_.next) {}

    void root()
    {
        if (there(0) && at() == '{') object(0, 0, true);
    }
    /// There were not tokens enough.
    [[nodiscard]] bool short_of() const noexcept { return short_; }
    /// Bytes it took.
    [[nodiscard]] std::size_t used() const noexcept { return there(0) ? *next_ : in_.size; }

private:
    [[nodiscard]] char at() const noexcept { return in_.base[*next_]; }
    /// The token after `more` others.
    [[nodiscard]] bool there(std::ptrdiff_t more) const noexcept { return in_.last - next_ > more; }
    void fall_short() noexcept { short_ = true; }
    [[nodiscard]] bool over() const noexcept { return short_ || finished_; }

    /// From '{'. Leaves next_ behind '}', unless it is over.
    /// @param last  nothing is wanted behind it
    void object(std::uint32_t position, std::uint32_t object, bool last)
    {
        ++next_;
        std::uint32_t wanted = out_.names_->children(position);
        while (there(0) && at() != '}') {
            if (!there(3)) return fall_short();  // the key, its colon, a value, and what ends that
            std::string_view key;
            bool lone = false;
            std::uint32_t end = 0;
            if (!in_.read_string(next_[0], next_[1], key, lone, end)) return;
            next_ += 2;  // the key and its colon
            const std::size_t before = out_.nodes_.size();
            const std::uint32_t node = out_.enter(object, position, key);
            if (node == none) {
                skip();
            } else {
                if (node >= before && out_.nodes_[node].owner == object) --wanted;
                value(out_.nodes_[node].position, node, last && wanted == 0);
                if (over()) return;
                if (wanted == 0) {
                    finished_ = last;
                    if (!last) leave();
                    return;
                }
            }
            if (there(0) && at() == ',') ++next_;
        }
        if (!there(0)) return fall_short();
        ++next_;
    }

    void array(std::uint32_t position, std::uint32_t node)
    {
        ++next_;
        for (;;) {
            if (!there(1)) return fall_short();  // behind ']' something ends the root, at least
            if (at() == ']') break;
            if (at() != '{') {
                value(position, node, false);
            } else if (out_.names_->has_children(position)) {
                const std::uint32_t element = out_.open_element(node);
                object(position, element, false);
                out_.close_element(node, element);
            } else {
                skip();
            }
            if (short_) return;
            if (there(0) && at() == ',') ++next_;
        }
        ++next_;
    }

    void value(std::uint32_t position, std::uint32_t node, bool last)
    {
        const std::uint32_t begin = next_[0];
        switch (in_.base[begin]) {
            case '[': return array(position, node);
            case '{':
                if (out_.names_->has_children(position)) object(position, out_.direct(node), last);
                else skip();
                return;
            default: break;
        }
        const std::uint32_t limit = next_[1];
        ++next_;
        if (!out_.names_->is_field(position)) return;
        out_.add_leaf(static_cast<std::uint32_t>(out_.scalars_.size()), node);
        json::Value& leaf = out_.scalars_.emplace_back();
        switch (in_.base[begin]) {
            case '"':
                leaf.kind = Kind::string;
                (void)in_.read_string(begin, limit, leaf.text, leaf.lone_surrogate, leaf.end);
                break;
            case 't':
            case 'f':
                leaf.kind = Kind::boolean;
                leaf.truth = in_.base[begin] == 't';
                break;
            case 'n': break;
            default: {
                leaf.kind = Kind::number;
                std::uint32_t end = limit;  // only blanks can stand before the next token
                while (static_cast<unsigned char>(in_.base[end - 1]) <= ' ') --end;
                leaf.text = {in_.base + begin, end - begin};
            }
        }
    }

    void skip()
    {
        const char first = at();
        ++next_;
        if (first == '{' || first == '[') leave();
    }

    /// To behind the end of the container that is being read.
    void leave()
    {
        for (int depth = 1; depth > 0; ++next_) {
            if (!there(0)) return fall_short();
            const char folded = static_cast<char>(at() | 0x20);  // brackets become braces
            depth += (folded == '{' ? 1 : 0) - (folded == '}' ? 1 : 0);
        }
    }

    Selection& out_;
    json::Tokens& in_;
    const std::uint32_t* next_;
    bool short_ = false, finished_ = false;
};

/// Half of the work is to find tokens, and behind the last wanted field none is needed: where the last events had it tells
/// how far to look.
void Selection::read_unchecked(const Names& names, std::string_view event)
{
    constexpr std::size_t slack = 128;
    const auto read = [&] {
        TextReader reader(*this);
        reader.root();
        reach_ = std::max(reader.used() + slack, reach_ - reach_ / 64);
        return !reader.short_of();
    };
    const auto begin = [&] {
        start(names);
        scalars_.clear();
    };
    begin();
    if (names.children(0) > 0) {
        const bool start_may_do = reach_ < event.size() / 4 * 3;
        const bool done = start_may_do && tokens_.index_start(event, reach_) && read();
        if (!done) begin();
        if (!done && tokens_.index(event)) (void)read();
    }
    values_ = scalars_.data();
}

}  // namespace eventyard::rules
