// MPNet (Song et al., 2020): positions as in RoBERTa, no token types, and a bias for the distance of two tokens that
// all layers share.
#include "core/encoder/families/family.hpp"

namespace revector {
namespace {

constexpr std::size_t pad = 1;  // fixed in transformers, whatever pad_token_id says

/// transformers counts in 32 buckets whatever this field says: it only sizes the table.
std::size_t read_buckets(const Fields& config) {
  const std::size_t buckets = config.size_or("relative_attention_num_buckets", RelativeBias::n_buckets);
  if (buckets < RelativeBias::n_buckets) config.refuse_unsupported("relative_attention_num_buckets", "at least 32");
  return buckets;
}

}  // namespace

const Family& mpnet_family() {
  static const Family family{"mpnet.",
                             "encoder.layer",
                             {},
                             {"attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o",
                              "attention.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"},
                             {"classifier.dense", "classifier.out_proj", false, "tanh"}};
  return family;
}

TransformerParts load_mpnet(const Fields& config, const Checkpoint& checkpoint) {
  const Weights weights = transformer_weights(mpnet_family(), checkpoint);
  TransformerParts parts = load_common(mpnet_family(), config, weights);
  parts.position_rule = {pad + 1, static_cast<std::int32_t>(pad)};
  require_positions(config, parts.position_rule, parts.sizes.positions);
  const std::size_t heads = parts.sizes.heads;
  const std::vector<float> buckets =
      weights.matrix("encoder.relative_attention_bias.weight", read_buckets(config), heads);
  parts.relative_bias.emplace(buckets, heads, parts.sizes.positions);
  return parts;
}

}  // namespace revector
