#include "core/encoder/relative_bias.hpp"

#include <algorithm>
#include <cmath>

namespace revector {
namespace {

constexpr std::size_t per_direction = RelativeBias::n_buckets / 2, exact = per_direction / 2;
constexpr float farthest = 128;

/// The bucket of a distance, whatever its direction. In float32, as transformers computes it: at the borders between
/// buckets (distances 16, 32, 64 …) float64 could decide differently.
std::size_t bucket_of(std::size_t distance) {
  if (distance < exact) return distance;
  const float growth = std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
                       static_cast<float>(std::log(static_cast<double>(farthest) / static_cast<double>(exact)));
  const auto beyond = static_cast<std::size_t>(growth * static_cast<float>(per_direction - exact));
  return std::min(exact + beyond, per_direction - 1);
}

}  // namespace

RelativeBias::RelativeBias(const std::vector<float>& buckets, std::size_t heads, std::size_t reach)
    : reach_(reach), values_(heads * (2 * reach - 1)) {
  for (std::size_t i = 0; i < 2 * reach - 1; ++i) {
    const bool ahead = i > reach - 1;  // the key comes after the query
    const std::size_t distance = ahead ? i - (reach - 1) : (reach - 1) - i;
    const std::size_t bucket = bucket_of(distance) + (ahead ? per_direction : 0);
    for (std::size_t head = 0; head < heads; ++head)
      values_[head * (2 * reach - 1) + i] = buckets[bucket * heads + head];
  }
}

}  // namespace revector
