/// @file
/// What a family is: the names of its configuration's fields and of its tensors.
#pragma once

#include <string>

#include "core/encoder/fields.hpp"
#include "core/encoder/transformer.hpp"

namespace revector {

/// Fields of config.json.
struct ConfigNames {
  const char *hidden = "hidden_size", *layers = "num_hidden_layers", *heads = "num_attention_heads",
             *intermediate = "intermediate_size", *activation = "hidden_act", *epsilon = "layer_norm_eps";
};

/// Modules of one layer.
struct LayerNames {
  const char *query, *key, *value, *attention_output, *attention_norm, *up, *down, *output_norm;
};

/// The head of a sequence classifier: out(activation(dense(state of the first token))).
struct HeadNames {
  const char *dense, *out;
  bool dense_in_transformer;  ///< whether `dense` has the transformer's prefix
  const char* activation;     ///< as transformers names it
};

struct Family {
  const char* prefix;  ///< "bert.": what stands before each tensor in checkpoints of a model with a head
  const char* layers;  ///< layer 0 is <layers>.0
  ConfigNames config;
  LayerNames layer;
  HeadNames head;
};

/// The checkpoint from where the transformer's own tensors begin: behind the prefix, if it has one.
Weights transformer_weights(const Family& family, const Checkpoint& checkpoint);

/// Everything that families have in common: sizes, activation, words, positions, layers. Types, position rule and
/// relative bias are left as they are in a BERT without types.
/// @throws EncoderError naming the field or tensor that is missing, impossible or not supported
TransformerParts load_common(const Family& family, const Fields& config, const Weights& weights);

/// token_type_embeddings.weight of config's type_vocab_size.
std::vector<float> load_types(const Fields& config, const Weights& weights, std::size_t hidden);

/// Refuse a table of positions that holds none beyond `rule.first`. @throws EncoderError
void require_positions(const Fields& config, const PositionRule& rule, std::size_t positions);

const Family& bert_family();
const Family& roberta_family();
const Family& mpnet_family();
const Family& distilbert_family();

TransformerParts load_bert(const Fields& config, const Checkpoint& checkpoint);
/// Also XLM-RoBERTa and CamemBERT, which differ in their tokenisers only.
TransformerParts load_roberta(const Fields& config, const Checkpoint& checkpoint);
TransformerParts load_mpnet(const Fields& config, const Checkpoint& checkpoint);
TransformerParts load_distilbert(const Fields& config, const Checkpoint& checkpoint);

/// What is known by one model_type of config.json.
struct KnownModel {
  const char* model_type;
  const Family& family;
  TransformerParts (*load)(const Fields& config, const Checkpoint& checkpoint);
};

/// The model that config.json names. @throws EncoderError if it is not supported
const KnownModel& known_model(const Fields& config);

}  // namespace revector
