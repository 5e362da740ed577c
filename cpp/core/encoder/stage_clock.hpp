/// @file
/// Where the time of a forward pass goes.
#pragma once

#include <chrono>

#include "revector/encoder.hpp"

namespace revector {

/// Splits the time of one thread into stages. Costs a reading of the clock a stage if it runs, else nothing.
class StageClock {
 public:
  explicit StageClock(bool runs) : runs_(runs), last_(runs ? Clock::now() : Clock::time_point()) {}

  /// The time since the last call belongs to this stage.
  void end(double StageSeconds::* stage) {
    if (!runs_) return;
    const Clock::time_point now = Clock::now();
    seconds_.*stage += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

  void add_to(StageSeconds& total) const {
    for (double StageSeconds::* stage : {&StageSeconds::embeddings, &StageSeconds::conversion, &StageSeconds::products,
                                         &StageSeconds::attention, &StageSeconds::activation, &StageSeconds::norms})
      total.*stage += seconds_.*stage;
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool runs_;
  Clock::time_point last_;
  StageSeconds seconds_;
};

}  // namespace revector
