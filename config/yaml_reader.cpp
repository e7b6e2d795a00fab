#include "config/yaml_reader.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <unordered_map>
#include <vector>

#include "config/yaml_syntax.hpp"

namespace eventyard::config {
namespace {

/// Thrown through yaml-cpp to end reading; the report already says why.
struct Stop {};

constexpr std::size_t linear_keys = 16;  // up to here a scan beats a hash

/// A map or list being read.
struct Frame {
    Node node;
    std::size_t offset = 0;
    YAML::anchor_t anchor = 0;
    bool expects_key = false;        // map: the next value is a key
    bool key_dropped = false;        // map: the value that follows belongs to no key
    std::string key;
    Place key_place;
    std::unordered_map<std::string, Place> seen;  // map: keys, once there are many
};

std::size_t count(const Node& node)
{
    std::size_t sum = 1;
    for (const Node& item : node.items) sum += count(item);
    for (const Member& member : node.members) sum += count(member.value);
    return sum;
}

bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Builder final : public YAML::EventHandler {
public:
    Builder(std::string_view text, std::shared_ptr<const std::string> file, Report& report,
            const YamlLimits& limits)
        : text_(text), file_(std::move(file)), report_(report), limits_(limits)
    {
        lines_.push_back(0);
        for (std::size_t i = 0; i < text.size(); ++i)
            if (text[i] == '\n') lines_.push_back(i + 1);
    }

    void OnDocumentStart(const YAML::Mark& mark) override
    {
        if (++documents_ == 1) return;
        const bool marked = text_.substr(offset(mark), 3) == "---";
        report_.error(place(offset(mark)),
                      marked ? "a second YAML document starts here; one file holds one document"
                             : "this does not belong to what stands above it; check the indentation");
        throw Stop{};
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        const std::size_t at = offset(mark);
        Node node;
        node.place = place(at);
        const std::string_view word = null_word(at);
        if (word.empty()) {
            node.place = place_of_empty(at);
        } else if (word == "Null" || word == "NULL") {  // text: only null is null
            node.kind = Node::Kind::string;
            node.text = word;
        } else {
            node.text = word;
        }
        last_value_ = at;
        if (in_key()) return take_key(node, word.empty() ? "" : std::string(word), false);
        finish(std::move(node), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        const std::size_t at = offset(mark);
        last_value_ = at;
        const auto known = anchors_.find(anchor);
        if (known == anchors_.end()) {
            report_.error(place(at), "this alias stands inside the value it names");
            throw Stop{};
        }
        aliased_ += known->second.size;
        if (aliased_ > limits_.aliased) {
            report_.error(place(at), "aliases stand for more than " +
                                         std::to_string(limits_.aliased) +
                                         " values in this file; write fewer");
            throw Stop{};
        }
        if (in_key()) {
            Node node;
            node.place = place(at);
            return refuse_key(node, "an alias cannot be a key; write the key out");
        }
        finish(Node(known->second.node), 0);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override
    {
        const std::size_t at = offset(mark);
        last_value_ = at;
        Node node;
        node.place = place(at);
        node.text = value;
        node.kind = Node::Kind::string;
        const bool plain = tag == "?";
        if (plain && (value == "true" || value == "false")) node.kind = Node::Kind::boolean;
        else if (plain && is_json_number(value)) node.kind = Node::Kind::number;
        refuse_tag(node.place, tag);
        refuse_open_quote(at);
        if (in_key()) return take_key(node, value, plain);
        finish(std::move(node), anchor);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        open(mark, tag, anchor, Node::Kind::list);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        open(mark, tag, anchor, Node::Kind::map);
    }
    void OnMapEnd() override { close(); }

    [[nodiscard]] Node take_root() { return std::move(root_); }
    [[nodiscard]] bool stopped_inside() const noexcept { return !frames_.empty(); }

    [[nodiscard]] YamlFault fault(const std::string& reason, const YAML::Mark& mark) const
    {
        YamlFault fault{reason, offset(mark), last_value_, {}};
        for (const Frame& frame : frames_) fault.open.push_back(frame.offset);
        return fault;
    }

    [[nodiscard]] Place place(std::size_t at) const
    {
        at = std::min(at, text_.size());
        const auto after = std::upper_bound(lines_.begin(), lines_.end(), at);
        return {file_, static_cast<std::uint32_t>(after - lines_.begin()),
                static_cast<std::uint32_t>(at - *(after - 1) + 1)};
    }

private:
    struct Anchored {
        Node node;
        std::size_t size;
    };

    [[nodiscard]] std::size_t offset(const YAML::Mark& mark) const
    {
        return mark.pos < 0 ? text_.size()
                            : std::min(static_cast<std::size_t>(mark.pos), text_.size());
    }

    /// The word that made a null here, or "" when the value is empty (yaml-cpp then gives the place
    /// of whatever follows, which may be a key that is called null).
    [[nodiscard]] std::string_view null_word(std::size_t at) const
    {
        for (const std::string_view word : {"null", "Null", "NULL", "~"}) {
            if (text_.substr(at, word.size()) != word) continue;
            if (in_key()) return word;
            std::size_t next = at + word.size();
            while (next < text_.size() && (text_[next] == ' ' || text_[next] == '\t')) ++next;
            const bool is_key = next < text_.size() && text_[next] == ':' &&
                                (next + 1 == text_.size() || blank(text_[next + 1]));
            return is_key ? std::string_view() : word;
        }
        return {};
    }

    /// An empty value stands where its key is, or at the '-' or ',' before it.
    [[nodiscard]] Place place_of_empty(std::size_t at) const
    {
        if (!frames_.empty() && frames_.back().node.kind == Node::Kind::map && !in_key())
            return frames_.back().key_place;
        std::size_t back = at;
        while (back > 0 && blank(text_[back - 1])) --back;
        return place(back > 0 ? back - 1 : at);
    }

    [[nodiscard]] bool in_key() const
    {
        return !frames_.empty() && frames_.back().expects_key;
    }

    void refuse_tag(const Place& at, const std::string& tag)
    {
        if (tag.empty() || tag == "?" || tag == "!" || tag == "tag:yaml.org,2002:str") return;
        report_.error(at, "tags are not used here; if '!' belongs to the text, quote it");
    }

    void refuse_open_quote(std::size_t at)
    {
        while (at < text_.size() && (text_[at] == '&' || text_[at] == '!')) {  // an anchor, a tag
            at = std::min(text_.find_first_of(" \t\r\n", at), text_.size());
            while (at < text_.size() && blank(text_[at])) ++at;
        }
        if (quoted_end(text_, at) != std::string_view::npos) return;
        report_.error(place(at), "this quoted text is never closed");
        throw Stop{};
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
              Node::Kind kind)
    {
        Frame frame;
        frame.offset = offset(mark);
        frame.node.kind = kind;
        frame.node.place = place(frame.offset);
        frame.anchor = anchor;
        frame.expects_key = kind == Node::Kind::map;
        refuse_tag(frame.node.place, tag);
        if (frames_.size() >= limits_.depth) {
            report_.error(frame.node.place, "more than " + std::to_string(limits_.depth) +
                                                " maps and lists inside one another");
            throw Stop{};
        }
        frames_.push_back(std::move(frame));
    }

    void close()
    {
        Frame frame = std::move(frames_.back());
        frames_.pop_back();
        if (in_key())
            return refuse_key(frame.node, "a key must be text, found " +
                                              std::string(kind_name(frame.node.kind)));
        finish(std::move(frame.node), frame.anchor);
    }

    void refuse_key(const Node& key, std::string message)
    {
        report_.error(key.place, std::move(message));
        frames_.back().expects_key = false;
        frames_.back().key_dropped = true;
    }

    void take_key(const Node& node, std::string key, bool plain)
    {
        Frame& frame = frames_.back();
        if (node.kind == Node::Kind::null && key.empty())
            return refuse_key(node, "a key is missing before ':'");
        if (plain && key == "<<")
            return refuse_key(node,
                              "merge keys (<<) are not supported; write the keys out, or use an "
                              "alias for a whole value");
        const Place* first = remember(frame, key, node.place);
        if (first != nullptr) {
            std::string message = "key '" + key + "' is given twice, first at line " +
                                  std::to_string(first->line);
            if (key == "$or") message += "; to ask for both, give one $or a list of lists";
            return refuse_key(node, std::move(message));
        }
        frame.key = std::move(key);
        frame.key_place = node.place;
        frame.expects_key = false;
    }

    /// The place of an earlier key of that name, or null after remembering this one.
    static const Place* remember(Frame& frame, const std::string& key, const Place& at)
    {
        const auto& members = frame.node.members;
        if (members.size() < linear_keys) {
            for (const Member& member : members)
                if (member.key == key) return &member.key_place;
            return nullptr;
        }
        if (frame.seen.empty())
            for (const Member& member : members) frame.seen.emplace(member.key, member.key_place);
        const auto [entry, inserted] = frame.seen.emplace(key, at);
        return inserted ? nullptr : &entry->second;
    }

    /// A complete value: to the anchor's shelf, and into the map or list that is being read.
    void finish(Node node, YAML::anchor_t anchor)
    {
        if (anchor != 0) anchors_[anchor] = Anchored{node, count(node)};
        if (frames_.empty()) {
            root_ = std::move(node);
            return;
        }
        Frame& frame = frames_.back();
        if (frame.node.kind == Node::Kind::list) {
            frame.node.items.push_back(std::move(node));
            return;
        }
        if (!frame.key_dropped)
            frame.node.members.push_back(
                {std::move(frame.key), std::move(frame.key_place), std::move(node)});
        frame.key_dropped = false;
        frame.expects_key = true;
    }

    std::string_view text_;
    std::shared_ptr<const std::string> file_;
    Report& report_;
    const YamlLimits& limits_;
    std::vector<std::size_t> lines_;  // offset of each line's first byte
    std::vector<Frame> frames_;
    std::map<YAML::anchor_t, Anchored> anchors_;
    std::size_t aliased_ = 0;
    std::size_t last_value_ = 0;
    int documents_ = 0;
    Node root_;
};

}  // namespace

bool is_json_number(std::string_view text) noexcept
{
    std::size_t at = 0;
    const auto digits = [&] {
        const std::size_t begin = at;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
        return at > begin;
    };
    if (at < text.size() && text[at] == '-') ++at;
    if (at < text.size() && text[at] == '0') ++at;
    else if (!digits()) return false;
    if (at < text.size() && text[at] == '.') {
        ++at;
        if (!digits()) return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        if (!digits()) return false;
    }
    return at == text.size();
}

std::optional<Node> read_yaml(std::string_view text, std::shared_ptr<const std::string> file,
                              Report& report, const YamlLimits& limits)
{
    if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
    Builder builder(text, std::move(file), report, limits);
    if (const std::size_t bad = find_bad_byte(text); bad != std::string_view::npos) {
        const bool control = static_cast<unsigned char>(text[bad]) < 0x80;
        report.error(builder.place(bad), control ? "a control character cannot stand in YAML"
                                                 : "this is not UTF-8; save the file as UTF-8");
        return std::nullopt;
    }
    try {
        std::istringstream in{std::string(text)};
        YAML::Parser parser(in);
        while (parser.HandleNextDocument(builder)) {
        }
        return builder.take_root();
    } catch (const Stop&) {
    } catch (const YAML::Exception& error) {
        const YamlAdvice advice = advise(text, builder.fault(error.msg, error.mark));
        report.error(builder.place(advice.offset), advice.message);
    }
    return std::nullopt;
}

}  // namespace eventyard::config
