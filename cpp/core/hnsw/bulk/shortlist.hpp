/// @file
/// The best k of very many scores.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "core/hnsw/bulk/ranked.hpp"

namespace revector::hnsw {

/// Collects and cuts down to k at once: some nanoseconds an offer, where a heap would cost its depth. Scores are
/// "higher is better"; what is kept are neighbours at the distance -score.
class Shortlist {
 public:
  explicit Shortlist(std::size_t k) : k_(k) { kept_.reserve(3 * k + slack); }

  /// Lower scores need not be offered.
  float bar() const { return bar_; }

  void offer(float score, NodeId id) {
    if (score < bar_) return;
    kept_.push_back(ranked(-score, id));
    if (kept_.size() == 3 * k_ + slack) cut();
  }

  /// At most k, in no order; valid until the next offer.
  std::span<const Ranked> best() {
    cut();
    return kept_;
  }

  void clear() {
    kept_.clear();
    bar_ = -std::numeric_limits<float>::infinity();
  }

 private:
  static constexpr std::size_t slack = 16;

  void cut() {
    if (kept_.size() <= k_ || k_ == 0) return kept_.resize(std::min(kept_.size(), k_));
    select_first(kept_, k_);
    kept_.resize(k_);
    bar_ = -distance_of(*std::max_element(kept_.begin(), kept_.end()));
  }

  std::size_t k_;
  float bar_ = -std::numeric_limits<float>::infinity();
  std::vector<Ranked> kept_;
};

}  // namespace revector::hnsw
