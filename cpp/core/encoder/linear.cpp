#include "core/encoder/linear.hpp"

#include <utility>

namespace revector {
namespace {

/// [channels x out]: the columns of a weight. They are 0 in it from then on, so that they do not widen its steps.
std::vector<float> take_apart(std::vector<float>& weight, std::size_t in, Channels channels) {
  std::vector<float> taken;
  taken.reserve(weight.size() / in * channels.size());
  for (std::uint32_t channel : channels)
    for (std::size_t row = 0; row < weight.size(); row += in)
      taken.push_back(std::exchange(weight[row + channel], 0.0F));
  return taken;
}

}  // namespace

Linear::Linear(LinearWeights weights, Precision precision, std::vector<std::uint32_t> apart)
    : bias_(std::move(weights.bias)), apart_(std::move(apart)) {
  weight_apart_ = take_apart(weights.weight, weights.in, apart_);
  weight_ =
      PackedMatrix::from_transposed({weights.weight.data(), weights.weight.size() / weights.in, weights.in}, precision);
}

Linear::Linear(LinearWeights weights, Observer observe) : Linear(std::move(weights)) { observe_ = std::move(observe); }

}  // namespace revector
