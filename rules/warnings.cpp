#include "rules/warnings.hpp"

#include <fmt/format.h>
#include <set>

#include "rules/operators.hpp"

namespace eventyard::rules {
namespace {

/// `"amount": [{"numeric": [">", 5]}]` of the member amount: {numeric: [">", 5]}.
std::string corrected(const Member& member)
{
    const Member& op = member.value.members[0];
    const bool takes_list = op.key == "numeric" || op.key == "anything-but" || op.key == "all-of" ||
                            op.key == "none-of";
    std::string items;
    for (const Node& one : op.value.items) {
        if (takes_list) break;
        items += fmt::format("{}{{\"{}\": {}}}", items.empty() ? "" : ", ", op.key, to_json(one));
    }
    if (items.empty()) items = fmt::format("{{\"{}\": {}}}", op.key, to_json(op.value));
    return fmt::format("\"{}\": [{}]", member.key, items);
}

/// The operand when `item` is {"name": operand}, or null.
const Node* operand(const Node& item, std::string_view name)
{
    return item.kind == Node::Kind::map && item.members.size() == 1 && item.members[0].key == name
               ? &item.members[0].value
               : nullptr;
}

bool exists(const Node& item, std::string_view truth)
{
    const Node* const value = operand(item, "exists");
    return value != nullptr && value->kind == Node::Kind::boolean && value->text == truth;
}

/// Whether the neighbours hold whenever a value satisfies `excluded`.
bool required_beside(const Node& list, const Node& excluded)
{
    const std::string text = to_json(excluded);
    for (const Node& item : list.items) {
        if (to_json(item) == text) return true;
        const Node* const all = operand(item, "all-of");
        if (all != nullptr && all->items.size() == 1 && to_json(all->items[0]) == text) return true;
    }
    return false;
}

}  // namespace

void warn_of_forgotten_list(const Member& member, bool in_or, Report& report)
{
    const Node& value = member.value;
    if (in_or || value.members.size() != 1 || !is_operator(value.members[0].key) ||
        value.members[0].value.kind == Node::Kind::map)
        return;
    report.warning(value.members[0].key_place,
                   fmt::format("'{}' is read as a field name here; the operator stands in a list: {}",
                               value.members[0].key, corrected(member)));
}

void warn_of_items(const Node& list, Report& report)
{
    std::set<std::string> seen;
    const Node* present = nullptr;
    const Node* absent = nullptr;
    for (const Node& item : list.items) {
        if (exists(item, "true")) present = &item;
        if (exists(item, "false")) absent = &item;
        if (item.kind == Node::Kind::null && item.text.empty())
            report.warning(item.place, "an empty item means null; write null if that is meant");
        if (!seen.insert(to_json(item)).second)
            report.warning(item.place, fmt::format("{} is listed twice", to_json(item)));
        if (const Node* const never = operand(item, "none-of"); never != nullptr)
            for (const Node& excluded : never->items)
                if (required_beside(list, excluded))
                    report.warning(item.place,
                                   fmt::format("the items of a list are alternatives: {} or none-of {} "
                                               "holds for every event",
                                               to_json(excluded), to_json(excluded)));
    }
    if (present != nullptr && absent != nullptr) {
        report.warning(absent->place, "exists: true or exists: false holds for every event");
    } else if (present != nullptr && list.items.size() > 1) {
        for (const Node& item : list.items)
            if (&item != present && operand(item, "none-of") == nullptr) {
                report.warning(present->place, "exists: true accepts every value; the items beside it add nothing");
                break;
            }
    }
}

}  // namespace eventyard::rules
