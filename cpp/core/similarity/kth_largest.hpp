/// @file
/// A lower bound of the k-th largest number of a stream.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

namespace revector {

/// Numbers are collected and cut down to k at once, so the bound lags behind by a few of them. That costs some
/// nanoseconds a number; a heap costs its depth, most of all at the beginning, when every number is among the k
/// largest.
class KthLargest {
 public:
  explicit KthLargest(std::size_t k) : k_(k) {}

  /// At most the k-th largest number so far; -infinity until there are k, and always for k = 0.
  float bound() const { return bound_; }

  void push(float value) {
    if (k_ == 0 || value <= bound_) return;
    values_.push_back(value);
    if (values_.size() >= 2 * k_ + slack) tighten();
  }

  /// Make the bound the k-th largest number.
  void tighten() {
    if (values_.empty() || values_.size() < k_) return;
    const auto kth = values_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(values_.begin(), kth, values_.end(), std::greater<>());
    bound_ = *kth;
    values_.resize(k_);
  }

  void merge(const KthLargest& other) {
    for (float value : other.values_) push(value);
  }

 private:
  static constexpr std::size_t slack = 32;

  std::size_t k_;
  float bound_ = -std::numeric_limits<float>::infinity();
  std::vector<float> values_;
};

}  // namespace revector
