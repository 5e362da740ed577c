// BERT (Devlin et al., 2019): positions from 0, token types.
#include "core/encoder/families/family.hpp"

namespace revector {

const Family& bert_family() {
  static const Family family{
      "bert.",
      "encoder.layer",
      {},
      {"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
       "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"},
      {"pooler.dense", "classifier", true, "tanh"}};
  return family;
}

TransformerParts load_bert(const Fields& config, const Checkpoint& checkpoint) {
  const Weights weights = transformer_weights(bert_family(), checkpoint);
  TransformerParts parts = load_common(bert_family(), config, weights);
  parts.types = load_types(config, weights, parts.sizes.hidden);
  return parts;
}

}  // namespace revector
