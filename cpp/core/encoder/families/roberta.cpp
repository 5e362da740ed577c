// RoBERTa (Liu et al., 2019): a BERT whose positions begin behind that of the padding token.
#include <limits>

#include "core/encoder/families/family.hpp"

namespace revector {
namespace {

std::size_t pad_token(const Fields& config, std::size_t vocabulary) {
  const std::size_t pad = config.size_or("pad_token_id", 1);
  if (pad >= vocabulary || pad >= std::numeric_limits<std::int32_t>::max())
    config.refuse("pad_token_id", "a token of the vocabulary, below " + std::to_string(vocabulary));
  return pad;
}

}  // namespace

const Family& roberta_family() {
  static const Family family{"roberta.",
                             bert_family().layers,
                             {},
                             bert_family().layer,
                             {"classifier.dense", "classifier.out_proj", false, "tanh"}};
  return family;
}

TransformerParts load_roberta(const Fields& config, const Checkpoint& checkpoint) {
  const Weights weights = transformer_weights(roberta_family(), checkpoint);
  TransformerParts parts = load_common(roberta_family(), config, weights);
  const std::size_t pad = pad_token(config, parts.sizes.vocabulary);
  parts.position_rule = {pad + 1, static_cast<std::int32_t>(pad)};
  require_positions(config, parts.position_rule, parts.sizes.positions);
  parts.types = load_types(config, weights, parts.sizes.hidden);
  return parts;
}

}  // namespace revector
