#pragma once
/// What the options of all studies are checked by: refusals name the flag, the value and what was expected.

#include <incontext/core/error.hpp>

#include <cmath>

namespace studies {

using incontext::Index;

inline void at_least(const char* flag, Index value, Index least) {
  incontext::require(value >= least, flag, " is ", value, ", expected at least ", least);
}
inline void positive(const char* flag, double value) {
  incontext::require(std::isfinite(value) && value > 0.0, flag, " is ", value, ", expected a finite number above 0");
}
template <class Settings>
void check_model(const Settings& settings) {
  at_least("--width", settings.width, 1);
  at_least("--layers", settings.layers, 1);
  at_least("--heads", settings.heads, 1);
  incontext::require(settings.width % settings.heads == 0, "--width is ", settings.width,
                     ", expected a multiple of --heads, ", settings.heads);
}
inline void check_threads(Index threads) {
  incontext::require(threads >= 1 && threads <= 1024, "--threads is ", threads, ", expected 1 to 1024");
}
/// The options of `add_run_options`.
template <class Settings>
void check_run(const Settings& settings) {
  at_least("--seeds", settings.seeds, 1);
  check_threads(settings.threads);
  at_least("--checkpoint-every", settings.checkpoint_every, 1);
}

}  // namespace studies
