#include "config/rule_line.hpp"

#include <algorithm>

#include "config/names.hpp"

namespace eventyard::config {

using json::Kind;

const RuleLine* RuleLineReader::read(std::string_view line)
{
    json::SyntaxError error;
    if (!text_.parse(line, {}, error) || text_.root().kind != Kind::object) return nullptr;
    const auto values = text_.values();
    line_.name = line_.bus = {};
    line_.targets.clear();
    line_.pattern = 0;
    for (std::uint32_t i = 1; i < values.size(); i = values[i].next) {
        const json::Value& member = values[i];
        if (member.key == "name") {
            if (!line_.name.empty() || member.kind != Kind::string || !is_name(member.text, true)) return nullptr;
            line_.name = member.text;
            line_.name_column = member.begin + 1;
        } else if (member.key == "bus") {
            if (!line_.bus.empty() || member.kind != Kind::string || !is_name(member.text, false)) return nullptr;
            line_.bus = member.text;
        } else if (member.key == "pattern") {
            if (line_.pattern != 0 || member.kind != Kind::object) return nullptr;
            line_.pattern = i;
        } else if (member.key != "targets" || !line_.targets.empty() || !read_targets(i)) {
            return nullptr;
        }
    }
    return line_.name.empty() || line_.pattern == 0 || line_.targets.empty() ? nullptr : &line_;
}

bool RuleLineReader::read_targets(std::uint32_t list)
{
    const auto values = text_.values();
    const auto add = [this](const json::Value& target) {
        if (target.kind != Kind::string || !is_name(target.text, false) ||
            std::find(line_.targets.begin(), line_.targets.end(), target.text) != line_.targets.end())
            return false;
        line_.targets.push_back(target.text);
        return true;
    };
    if (values[list].kind == Kind::string) return add(values[list]);
    if (values[list].kind != Kind::array) return false;
    for (std::uint32_t i = list + 1; i < values[list].next; i = values[i].next)
        if (!add(values[i])) return false;
    return true;
}

}  // namespace eventyard::config
