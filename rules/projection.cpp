#include "rules/projection.hpp"

namespace eventyard::rules {

void Projection::build(const std::vector<Position>& positions, const json::Document& event)
{
    positions_ = &positions;
    values_ = event.values();
    nodes_.clear();
    objects_.clear();
    children_.clear();
    leaves_.clear();
    const std::uint32_t root = make_object(0);
    if (!event.empty() && event.root().kind == json::Kind::object) members(0, 0, root);
}

void Projection::value(std::uint32_t value, std::uint32_t position, std::uint32_t node)
{
    switch (values_[value].kind) {
        case json::Kind::array: return array(value, position, node);
        case json::Kind::object:
            if (!(*positions_)[position].children.empty()) members(value, position, direct(node));
            return;
        default: break;
    }
    if (!(*positions_)[position].field) return;
    const auto leaf = static_cast<std::uint32_t>(leaves_.size());
    leaves_.push_back({value, none});
    Node& at = nodes_[node];
    (at.leaf_first == none ? at.leaf_first : leaves_[at.leaf_last].next) = leaf;
    at.leaf_last = leaf;
}

void Projection::array(std::uint32_t value, std::uint32_t position, std::uint32_t node)
{
    const std::span<const json::Value> values = values_;
    for (std::uint32_t i = value + 1; i < values[value].next; i = values[i].next) {
        if (values[i].kind != json::Kind::object) {
            this->value(i, position, node);
            continue;
        }
        if ((*positions_)[position].children.empty()) continue;
        const std::uint32_t element = make_object(i);
        members(i, position, element);
        if (objects_[element].child_first == none) {  // nothing of interest in it
            objects_.pop_back();
            continue;
        }
        Node& at = nodes_[node];
        (at.element_first == none ? at.element_first : objects_[at.element_last].next) = element;
        at.element_last = element;
    }
}

void Projection::members(std::uint32_t value, std::uint32_t position, std::uint32_t object)
{
    const std::span<const json::Value> values = values_;
    for (std::uint32_t i = value + 1; i < values[value].next; i = values[i].next) {
        std::string_view key = values[i].key;
        std::uint32_t at_position = position;
        // A key with dots leads through several names; it counts only when the pattern has them all.
        for (std::string_view rest = key;;) {
            const auto dot = rest.find('.');
            at_position = (*positions_)[at_position].child(rest.substr(0, dot));
            if (dot == std::string_view::npos || at_position == none) break;
            rest.remove_prefix(dot + 1);
        }
        if (at_position == none) continue;
        std::uint32_t at = object;
        at_position = position;
        std::uint32_t node = none;
        for (;;) {
            const auto dot = key.find('.');
            at_position = (*positions_)[at_position].child(key.substr(0, dot));
            node = make_child(at, at_position);
            if (dot == std::string_view::npos) break;
            key.remove_prefix(dot + 1);
            at = direct(node);
        }
        this->value(i, at_position, node);
    }
}

std::uint32_t Projection::make_object(std::uint32_t value)
{
    objects_.push_back({none, none, value});
    return static_cast<std::uint32_t>(objects_.size() - 1);
}

std::uint32_t Projection::make_child(std::uint32_t object, std::uint32_t position)
{
    if (const std::uint32_t found = child(object, position); found != none) return found;
    const auto node = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
    children_.push_back({position, node, objects_[object].child_first});
    objects_[object].child_first = static_cast<std::uint32_t>(children_.size() - 1);
    return node;
}

std::uint32_t Projection::direct(std::uint32_t node)
{
    if (nodes_[node].direct == none) {
        const std::uint32_t made = make_object(none);
        nodes_[node].direct = made;
    }
    return nodes_[node].direct;
}

}  // namespace eventyard::rules
