/// @file
/// What a model adds to the attention score of two tokens for the distance between them.
#pragma once

#include <cstddef>
#include <vector>

namespace revector {

/// The bias of each head for every distance that occurs. Immutable.
///
/// As it depends on key - query alone, the biases of one query to keys 0, 1, 2 … are neighbours in memory: no matrix of
/// query x key is ever made.
class RelativeBias {
 public:
  /// Distances in the buckets of T5 (Raffel et al., 2020) as MPNet has them: half of the buckets for either direction;
  /// of those, half hold one distance each, the rest grow with its logarithm up to a distance of 128.
  /// @param buckets  [n_buckets x heads]: the bias of each bucket; 32 of them are used
  /// @param reach    texts have at most this many tokens
  RelativeBias(const std::vector<float>& buckets, std::size_t heads, std::size_t reach);

  /// The biases of a query to keys 0, 1, 2 …; @param query  below reach
  const float* row(std::size_t head, std::size_t query) const {
    return values_.data() + head * (2 * reach_ - 1) + (reach_ - 1 - query);
  }

  static constexpr std::size_t n_buckets = 32;

 private:
  std::size_t reach_;
  std::vector<float> values_;  // [heads x (2 reach - 1)]: distances -(reach - 1) to reach - 1
};

}  // namespace revector
