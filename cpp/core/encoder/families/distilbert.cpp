// DistilBERT (Sanh et al., 2019): a BERT without token types, with names of its own.
#include "core/encoder/families/family.hpp"

namespace revector {

const Family& distilbert_family() {
  static const Family family{"distilbert.",
                             "transformer.layer",
                             {"dim", "n_layers", "n_heads", "hidden_dim", "activation", nullptr},
                             {"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
                              "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"},
                             {"pre_classifier", "classifier", false, "relu"}};
  return family;
}

TransformerParts load_distilbert(const Fields& config, const Checkpoint& checkpoint) {
  return load_common(distilbert_family(), config, transformer_weights(distilbert_family(), checkpoint));
}

}  // namespace revector
