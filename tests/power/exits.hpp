// tests/power/exits.hpp — how a process under tests/power/preload.cpp ends.
#pragma once

namespace eventyard::power {

inline constexpr int exit_cut = 86;     // the power went; what was left lies in DIRECTORY.platter
inline constexpr int exit_unseen = 87;  // the library missed a change and proves nothing

}  // namespace eventyard::power
