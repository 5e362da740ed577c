#include "core/encoder/weights.hpp"

namespace revector {
namespace {

void append(std::vector<float>& to, const std::vector<float>& from) { to.insert(to.end(), from.begin(), from.end()); }

}  // namespace

LinearWeights Weights::linear(const std::vector<std::string>& names, std::size_t out, std::size_t in,
                              Bias bias_is) const {
  LinearWeights made{.in = in, .weight = {}, .bias = {}};
  for (const std::string& name : names) {
    append(made.weight, matrix(name + ".weight", out, in));
    if (bias_is == Bias::present) append(made.bias, checkpoint_.floats(prefix_ + name + ".bias", {out}));
  }
  return made;
}

LayerNorm Weights::layer_norm(const std::string& name, std::size_t n, float epsilon) const {
  const bool old_names = checkpoint_.contains(prefix_ + name + ".gamma");
  return {checkpoint_.floats(prefix_ + name + (old_names ? ".gamma" : ".weight"), {n}),
          checkpoint_.floats(prefix_ + name + (old_names ? ".beta" : ".bias"), {n}), epsilon};
}

}  // namespace revector
