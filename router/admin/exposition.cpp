#include "router/admin/exposition.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>

namespace eventyard::router::admin {

prometheus::ClientMetric& Exposition::add(const char* name, const char* help,
                                          prometheus::MetricType type, Labels labels)
{
    auto family = std::find_if(families_.begin(), families_.end(),
                               [&](const auto& known) { return known.name == name; });
    if (family == families_.end()) {
        families_.push_back({name, help, type, {}});
        family = families_.end() - 1;
    }
    family->metric.emplace_back();
    for (const auto& [key, value] : labels) family->metric.back().label.push_back({key, value});
    return family->metric.back();
}

void Exposition::counter(const char* name, const char* help, Labels labels, double value)
{
    add(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
}

void Exposition::gauge(const char* name, const char* help, Labels labels, double value)
{
    add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

void Exposition::histogram(const char* name, const char* help, Labels labels,
                           const std::vector<double>& bounds,
                           const std::vector<std::uint64_t>& counts, double sum)
{
    auto& histogram = add(name, help, prometheus::MetricType::Histogram, labels).histogram;
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        so_far += counts[i];
        const double bound =
            i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
        histogram.bucket.push_back({so_far, bound});
    }
    histogram.sample_count = so_far;
    histogram.sample_sum = sum;
}

std::string Exposition::text() const { return prometheus::TextSerializer{}.Serialize(families_); }

}  // namespace eventyard::router::admin
