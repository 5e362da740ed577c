/// @file
/// How far a build is, told to whoever watches it.
#pragma once

#include <cstddef>

#include "revector/errors.hpp"
#include "revector/hnsw.hpp"

namespace revector::hnsw {

/// Counts equal steps of the work. Copies count for the same watch. May be used by several threads.
class Progress {
 public:
  /// Nobody watches.
  Progress() = default;
  Progress(BuildWatch* watch, std::size_t steps) : watch_(watch), share_(1 / static_cast<double>(steps)) {}

  /// @throws Cancelled
  void step() const {
    if (watch_ == nullptr) return;
    if (watch_->cancelled.load(std::memory_order_relaxed)) throw Cancelled("the build was called off");
    watch_->share.fetch_add(share_, std::memory_order_relaxed);
  }

 private:
  BuildWatch* watch_ = nullptr;
  double share_ = 0;
};

}  // namespace revector::hnsw
