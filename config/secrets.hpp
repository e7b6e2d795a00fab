// config/secrets.hpp — "${env:NAME}" and "${file:PATH}" in settings.
//
// A reference may be the whole text or part of it; "$${" stands for a plain "${". Of a file, one
// trailing newline is left out; its path is relative to the configuration file that names it. What
// a reference gave is known to the report from then on and never shown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/fields.hpp"

namespace eventyard::config {

class Secrets final : public SecretSource {
public:
    static constexpr std::size_t file_max = 64U << 10;  // bytes of one secret's file

    enum class References : std::uint8_t {
        resolved,
        refused,  // a mistake: the text is not the operator's, and would read what is not its own
    };
    explicit Secrets(References references = References::resolved) : references_(references) {}

    std::string resolve(const std::string& text, const Place& place, Report& report,
                        bool& found_any) override;

private:
    References references_;
};

}  // namespace eventyard::config
