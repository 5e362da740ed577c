#include "core/encoder/families/family.hpp"

namespace revector {
namespace {

std::size_t positive(const Fields& config, const char* name) {
  const std::size_t value = config.size(name);
  if (value == 0) config.refuse(name, "at least 1");
  return value;
}

/// Refuse what would be computed differently from what is built here.
void require_plain_encoder(const Fields& config) {
  if (config.string_or("position_embedding_type", "absolute") != "absolute")
    config.refuse_unsupported("position_embedding_type", "absolute");
  for (const char* flag : {"is_decoder", "add_cross_attention"})
    if (config.flag_or(flag, false)) config.refuse_unsupported(flag, "false");
}

TransformerSizes read_sizes(const Fields& config, const ConfigNames& names) {
  const TransformerSizes sizes{positive(config, "vocab_size"),       positive(config, names.hidden),
                               positive(config, names.layers),       positive(config, names.heads),
                               positive(config, names.intermediate), positive(config, "max_position_embeddings")};
  if (sizes.hidden % sizes.heads != 0)
    config.refuse(names.heads, std::string("a divisor of ") + names.hidden + ", " + std::to_string(sizes.hidden));
  return sizes;
}

float read_epsilon(const Fields& config, const char* name) {
  const double epsilon = name == nullptr ? 1e-12 : config.number_or(name, 1e-12);
  if (!(epsilon >= 0 && epsilon < 1)) config.refuse(name, "a number from 0 to 1");
  return static_cast<float>(epsilon);
}

LayerWeights read_layer(const LayerNames& names, const TransformerSizes& sizes, float epsilon, const Weights& weights) {
  const std::size_t hidden = sizes.hidden;
  return {weights.linear({names.query, names.key, names.value}, hidden, hidden),
          weights.linear({names.attention_output}, hidden, hidden),
          weights.linear({names.up}, sizes.intermediate, hidden),
          weights.linear({names.down}, hidden, sizes.intermediate),
          weights.layer_norm(names.attention_norm, hidden, epsilon),
          weights.layer_norm(names.output_norm, hidden, epsilon)};
}

}  // namespace

Weights transformer_weights(const Family& family, const Checkpoint& checkpoint) {
  const bool prefixed = checkpoint.contains(std::string(family.prefix) + "embeddings.word_embeddings.weight");
  return {checkpoint, prefixed ? family.prefix : ""};
}

TransformerParts load_common(const Family& family, const Fields& config, const Weights& weights) {
  require_plain_encoder(config);
  TransformerParts parts;
  parts.sizes = read_sizes(config, family.config);
  parts.activation = feed_forward_activation(config, family.config.activation);
  const std::size_t hidden = parts.sizes.hidden;
  const float epsilon = read_epsilon(config, family.config.epsilon);
  const Weights embeddings = weights.at("embeddings");
  parts.words = embeddings.matrix("word_embeddings.weight", parts.sizes.vocabulary, hidden);
  parts.positions = embeddings.matrix("position_embeddings.weight", parts.sizes.positions, hidden);
  parts.embedding_norm = embeddings.layer_norm("LayerNorm", hidden, epsilon);
  parts.read_layer = [&family, sizes = parts.sizes, epsilon, weights](std::size_t i) {
    return read_layer(family.layer, sizes, epsilon, weights.at(std::string(family.layers) + "." + std::to_string(i)));
  };
  return parts;
}

std::vector<float> load_types(const Fields& config, const Weights& weights, std::size_t hidden) {
  const std::size_t types = config.size_or("type_vocab_size", 2);
  if (types == 0) config.refuse("type_vocab_size", "at least 1");
  return weights.matrix("embeddings.token_type_embeddings.weight", types, hidden);
}

void require_positions(const Fields& config, const PositionRule& rule, std::size_t positions) {
  if (rule.max_length(positions) == 0)
    config.refuse("max_position_embeddings",
                  "more than " + std::to_string(rule.first) + ", the positions that stand before the first token");
}

const KnownModel& known_model(const Fields& config) {
  static const KnownModel known[] = {{"bert", bert_family(), load_bert},
                                     {"roberta", roberta_family(), load_roberta},
                                     {"xlm-roberta", roberta_family(), load_roberta},
                                     {"camembert", roberta_family(), load_roberta},
                                     {"mpnet", mpnet_family(), load_mpnet},
                                     {"distilbert", distilbert_family(), load_distilbert}};
  const std::string type = config.string_or("model_type", "");
  std::string supported;
  for (const KnownModel& model : known) {
    if (type == model.model_type) return model;
    supported.append(model.model_type).append(", ");
  }
  config.refuse_unsupported("model_type", supported + "model2vec or static");
}

}  // namespace revector
