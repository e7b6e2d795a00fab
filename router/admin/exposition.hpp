// router/admin/exposition.hpp — builds a page of Prometheus metrics from plain values.
//
// Values are read from our own counters at each scrape, so the event path knows nothing of
// Prometheus; prometheus-cpp's serializer writes the text format.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>

namespace eventyard::router::admin {

using Labels = std::initializer_list<std::pair<const char*, std::string>>;

/// Families are written in the order they are first named; samples of one family may be added at any time.
class Exposition {
public:
    /// Names by the conventions: base units, "_total" for counters.
    void counter(const char* name, const char* help, Labels labels, double value);
    void gauge(const char* name, const char* help, Labels labels, double value);
    /// @param counts  one a bound and one above all bounds, not cumulated
    void histogram(const char* name, const char* help, Labels labels,
                   const std::vector<double>& bounds, const std::vector<std::uint64_t>& counts,
                   double sum);
    [[nodiscard]] std::string text() const;

private:
    prometheus::ClientMetric& add(const char* name, const char* help, prometheus::MetricType type,
                                  Labels labels);
    std::vector<prometheus::MetricFamily> families_;
};

}  // namespace eventyard::router::admin
