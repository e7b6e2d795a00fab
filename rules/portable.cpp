#include "rules/portable.hpp"

#include <fmt/format.h>
#include <map>
#include <set>

#include "rules/cidr.hpp"
#include "rules/decimal.hpp"
#include "rules/operators.hpp"

namespace eventyard::rules {
namespace {

using Kind = Node::Kind;

bool all_ascii(const std::string& text)
{
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x80) return false;
    return true;
}

bool has_lone_surrogate(const std::string& text)
{
    for (std::size_t i = 0; i + 1 < text.size(); ++i)
        if (static_cast<unsigned char>(text[i]) == 0xed && static_cast<unsigned char>(text[i + 1]) >= 0xa0)
            return true;
    return false;
}

class Notes {
public:
    std::vector<PortabilityNote> run(const Node& pattern)
    {
        if (to_json(pattern).size() > 4096)
            refused(pattern.place, "size", "AWS allows 2,048 characters of pattern, 4,096 on request");
        scope(pattern, "");
        return std::move(notes_);
    }
    [[nodiscard]] bool compares_numbers() const noexcept { return compares_numbers_; }

private:
    void refused(const Place& place, std::string row, std::string message)
    {
        notes_.push_back({place, std::move(row), true, std::move(message)});
    }
    void differs(const Place& place, std::string row, std::string message)
    {
        notes_.push_back({place, std::move(row), false, std::move(message)});
    }

    void scope(const Node& node, const std::string& path)
    {
        for (const Member& member : node.members) {
            if (member.key == "$or") {
                either(member.value, path);
                continue;
            }
            const std::string full = path.empty() ? member.key : path + "." + member.key;
            if (member.key.empty() || member.key.find("..") != std::string::npos ||
                member.key.front() == '.' || member.key.back() == '.')
                differs(member.key_place, "row 10",
                        "an empty name in a path is dropped or refused by some versions at AWS");
            if (has_lone_surrogate(member.key))
                differs(member.key_place, "row 11", "AWS does not keep lone surrogates apart");
            if (member.value.kind == Kind::map) scope(member.value, full);
            else if (member.value.kind == Kind::list) list(member.value);
        }
        absence_beside_siblings(node);
    }

    void either(const Node& list, const std::string& path)
    {
        bool nested = false;
        for (const Node& item : list.items) {
            if (item.kind == Kind::list) {
                nested = true;
                for (const Node& branch : item.items) scope(branch, path);
            } else {
                scope(item, path);
            }
        }
        if (nested) refused(list.place, "row 7", "AWS knows no list of lists below $or");
        differs_if_absence(list);
    }

    static bool names_absence(const Node& node)
    {
        for (const Member& m : node.members) {
            if (m.key == "exists" && m.value.kind == Kind::boolean && m.value.text == "false") return true;
            if (names_absence(m.value)) return true;
        }
        for (const Node& item : node.items)
            if (names_absence(item)) return true;
        return false;
    }

    void differs_if_absence(const Node& list)
    {
        if (names_absence(list))
            differs(list.place, "row 9",
                    "exists: false inside $or is judged with the array element chosen by the other fields; "
                    "AWS may judge it over the whole array");
    }

    /// `exists: false` beside another field of one object: order decides at AWS when an array holds it.
    void absence_beside_siblings(const Node& node)
    {
        if (node.members.size() < 2) return;
        for (const Member& member : node.members)
            if (member.key != "$or" && member.value.kind == Kind::list && names_absence(member.value))
                differs(member.key_place, "row 2",
                        fmt::format("exists: false beside other fields: when '{}' lies in an array, the answer "
                                    "at AWS depends on the alphabetical order of the names",
                                    member.key));
    }

    void list(const Node& items)
    {
        for (const Node& item : items.items) this->item(item);
    }

    void item(const Node& item)
    {
        if (item.kind == Kind::number) return number(item, false);
        if (item.kind == Kind::string) {
            if (Address::read(item.text))
                differs(item.place, "row 5",
                        fmt::format("{} looks like an IP address: AWS also accepts other spellings of it; use "
                                    "exactly, or cidr",
                                    to_json(item)));
            return string(item);
        }
        if (item.kind == Kind::map && item.members.size() == 1)
            op(item.members[0].key, item.members[0].key_place, item.members[0].value);
    }

    void string(const Node& node)
    {
        if (has_lone_surrogate(node.text))
            differs(node.place, "row 11", "AWS does not keep lone surrogates apart");
    }

    void number(const Node& node, bool compared)
    {
        compares_numbers_ = compares_numbers_ || compared;
        const auto value = Decimal::read(node.text);
        if (value && value->survives_double()) return;
        if (compared)
            refused(node.place, "row 3", fmt::format("AWS cannot compare {}: it does not survive a double", node.text));
        else
            differs(node.place, "row 3",
                    fmt::format("AWS compares {} as text, so another spelling of it does not match", node.text));
    }

    void op(const std::string& name, const Place& place, const Node& operand)
    {
        if (name == "regex" || name == "all-of" || name == "none-of") {
            refused(place, name, fmt::format("AWS has no '{}'", name));
            if (name != "regex") list(operand);
        } else if (name == "exactly") {
            differs(place, "exactly", "AWS does not document 'exactly'; its library has it");
        } else if (name == "cidr") {
            cidr(place, operand);
        } else if (name == "numeric") {
            numeric(operand);
        } else if (name == "equals-ignore-case") {
            fold(operand);
        } else if ((name == "prefix" || name == "suffix") && operand.kind == Kind::map) {
            if (const Node* inner = operand.find("equals-ignore-case")) fold(*inner);
        } else if (name == "wildcard") {
            wildcard(operand);
        } else if (name == "anything-but") {
            anything_but(operand);
        }
        if (operand.kind == Kind::string) string(operand);
    }

    void numeric(const Node& operand)
    {
        for (const Node& term : operand.items) {
            if (term.kind == Kind::string && term.text == "!=")
                refused(term.place, "numeric !=", "AWS has no '!=' in numeric");
            if (term.kind == Kind::number) number(term, true);
        }
    }

    void fold(const Node& operand)
    {
        for (const Node& one : operand.kind == Kind::list ? operand.items : std::vector<Node>{operand}) {
            if (one.kind != Kind::string) continue;
            bool k = false;
            for (const char c : one.text) k = k || c == 'k' || c == 'K' || c == 's' || c == 'S';
            if (!all_ascii(one.text))
                differs(one.place, "row 6", "letters beyond ASCII are folded differently at AWS");
            else if (k)
                differs(one.place, "row 6",
                        "'k' also equals the Kelvin sign and 's' the long s here, not at AWS");
        }
    }

    void wildcard(const Node& operand)
    {
        if (operand.kind != Kind::string) return;
        const auto made = Wildcard::read(operand.text);
        if (made.has_value() && made->stars() > 3)
            refused(operand.place, "row 9",
                    fmt::format("AWS may refuse {} wildcards in one string as too complex", made->stars()));
    }

    void cidr(const Place& place, const Node& operand)
    {
        const auto made = Cidr::read(operand.text);
        if (!made.has_value()) return;
        if (made->whole_address())
            refused(operand.place, "row 4", "AWS refuses the masks /32 and /128");
        else
            differs(place, "row 4",
                    "AWS compares addresses of both families with one another, and numbers with blocks; "
                    "mapped addresses are IPv4 only here");
    }

    void anything_but(const Node& operand)
    {
        if (operand.kind == Kind::number)
            return number(operand, true);
        if (operand.kind == Kind::list)
            for (const Node& one : operand.items) {
                if (one.kind == Kind::number) number(one, true);
                if (one.kind == Kind::string) string(one);
            }
        if (operand.kind != Kind::map || operand.members.size() != 1) return;
        const Member& inner = operand.members[0];
        if (inner.key == "numeric" || inner.key == "cidr" || inner.key == "regex") {
            refused(inner.key_place, "anything-but " + inner.key,
                    fmt::format("AWS has no '{}' inside anything-but", inner.key));
            if (inner.key == "numeric") numeric(inner.value);
        } else if (inner.key == "equals-ignore-case") {
            fold(inner.value);
        } else if (inner.key == "wildcard") {
            if (inner.value.kind == Kind::list)
                for (const Node& one : inner.value.items) wildcard(one);
            else
                wildcard(inner.value);
        }
    }

    std::vector<PortabilityNote> notes_;
    bool compares_numbers_ = false;
};

}  // namespace

bool compares_numbers(const Node& pattern)
{
    Notes notes;
    static_cast<void>(notes.run(pattern));
    return notes.compares_numbers();
}

std::vector<PortabilityNote> portability(const Node& pattern) { return Notes().run(pattern); }

}  // namespace eventyard::rules
