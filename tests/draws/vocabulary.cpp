#include "tests/draws/vocabulary.hpp"

#include <algorithm>

#include "rules/decimal.hpp"
#include "tests/draws/pools.hpp"

namespace eventyard::draws {

Vocabulary draw_vocabulary(Dice& random)
{
    Vocabulary words;
    for (std::size_t n = random.between(2, 14); n > 0; --n) words.strings.push_back(random.pick(string_pool()));
    // Neighbours in the pool are neighbours in order, which is where comparisons go wrong.
    const std::size_t near = random.below(number_pool().size());
    for (std::size_t n = random.between(2, 10); n > 0; --n)
        words.numbers.push_back(random.chance(60) ? (near + n) % number_pool().size()
                                                  : random.below(number_pool().size()));
    std::vector<std::string> fields;
    for (std::size_t n = random.between(2, 6); n > 0; --n) fields.push_back(random.pick(name_pool()));
    for (std::size_t n = random.between(2, 10); n > 0; --n) {
        auto& path = words.paths.emplace_back();
        const std::size_t depth = random.chance(30) ? 1 : random.between(2, random.chance(20) ? 4 : 3);
        for (std::size_t i = 0; i < depth; ++i) path.push_back(random.pick(fields));
    }
    switch (random.below(6)) {
        case 0:  // one form, all rules
            words.forms.push_back(static_cast<Form>(random.below(form_count)));
            break;
        case 1:  // a few that interact
            for (std::size_t n = random.between(2, 4); n > 0; --n)
                words.forms.push_back(static_cast<Form>(random.below(form_count)));
            break;
        case 2:  // a positive one beside negatives
            words.forms = {Form::string, Form::string, Form::exists_false, Form::none_of,
                           static_cast<Form>(static_cast<std::size_t>(Form::but_string) + random.below(11))};
            break;
        default:
            for (std::size_t i = 0; i < form_count; ++i) words.forms.push_back(static_cast<Form>(i));
            for (int i = 0; i < 6; ++i) words.forms.push_back(Form::string);
            break;
    }
    words.fields_max = random.chance(25) ? 1 : random.between(2, 5);
    words.or_percent = random.chance(40) ? 0 : random.between(5, 60);
    words.dotted_percent = random.chance(40) ? 0 : random.between(5, 40);
    words.array_percent = random.chance(15) ? 0 : random.between(20, 80);
    return words;
}

void steer(Vocabulary& words, const std::vector<Form>& forms, Setting setting, Dice& random)
{
    words.forms = forms;
    words.spoiled_percent = 80;
    switch (setting) {
        case Setting::flat:
            for (auto& path : words.paths) path.resize(1);
            words.or_percent = words.odd_percent = words.array_percent = 0;
            break;
        case Setting::arrays:
        case Setting::mixed:
            for (auto& path : words.paths)
                while (path.size() < 3) path.push_back(random.pick(words.paths.front()));
            words.array_percent = 75;
            if (setting == Setting::mixed) words.odd_percent = 40;
            break;
        case Setting::array:
            for (auto& path : words.paths)
                if (path.size() < 2) path.push_back(path.front());
            words.array_percent = 60;
            break;
        case Setting::either:
            words.fields_max = 4;
            words.or_percent = 90;
            break;
        default:
            for (auto& path : words.paths)
                if (path.size() < 2) path.push_back(path.front());
            words.odd_percent = 40;
            break;
    }
}

void keep_common(Vocabulary& words, bool plain)
{
    const auto foreign = [&](Form form) {
        switch (form) {
            case Form::numeric_not:
            case Form::regex:
            case Form::but_numeric:
            case Form::but_cidr:
            case Form::but_regex:
            case Form::all_of:
            case Form::none_of: return true;
            case Form::cidr_v4:
            case Form::cidr_v6:
            case Form::cidr_mapped: return plain;
            default: return false;
        }
    };
    words.forms.erase(std::remove_if(words.forms.begin(), words.forms.end(), foreign), words.forms.end());
    if (words.forms.empty()) words.forms = {Form::string, Form::number, Form::prefix, Form::but_string};
    if (!plain) return;
    const auto strange = [](const std::string& text) {
        return text.empty() || std::any_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) < ' '; });
    };
    words.strings.erase(std::remove_if(words.strings.begin(), words.strings.end(), strange), words.strings.end());
    words.strings.insert(words.strings.end(), {"a", "ab", "aab"});
    for (auto& path : words.paths)
        for (auto& name : path)
            if (strange(name)) name.assign(1, 'n');
    const auto inexact = [](std::size_t i) {
        const auto number = rules::Decimal::read(number_pool()[i].front());
        return !number || !number->survives_double();
    };
    words.numbers.erase(std::remove_if(words.numbers.begin(), words.numbers.end(), inexact), words.numbers.end());
    for (std::size_t i = 0; i < number_pool().size() && words.numbers.size() < 6; ++i)
        if (!inexact(i)) words.numbers.push_back(i);
}

}  // namespace eventyard::draws
