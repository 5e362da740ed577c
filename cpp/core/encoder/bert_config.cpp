#include "core/encoder/bert_config.hpp"

#include "kernels/dispatch.hpp"

namespace revector {
namespace {

std::size_t positive(const Fields& config, const char* name) {
  const std::size_t value = config.size(name);
  if (value == 0) config.refuse(name, "at least 1");
  return value;
}

/// Refuse what would be computed differently from what is built here.
void require_plain_bert(const Fields& config) {
  if (config.string_or("position_embedding_type", "absolute") != "absolute")
    config.refuse_unsupported("position_embedding_type", "absolute");
  for (const char* flag : {"is_decoder", "add_cross_attention"})
    if (config.flag_or(flag, false)) config.refuse_unsupported(flag, "false");
}

Activation activation_of(const Fields& config) {
  const kernels::NnKernels& nn = kernels::table().nn;
  const std::string name = config.string_or("hidden_act", "gelu");
  if (name == "gelu") return nn.gelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") return nn.gelu_tanh;
  if (name == "relu") return nn.relu;
  config.refuse_unsupported("hidden_act", "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast or relu");
}

}  // namespace

BertConfig BertConfig::read(const Fields& config) {
  require_plain_bert(config);
  BertConfig found{positive(config, "vocab_size"),
                   positive(config, "hidden_size"),
                   positive(config, "num_hidden_layers"),
                   positive(config, "num_attention_heads"),
                   positive(config, "intermediate_size"),
                   positive(config, "max_position_embeddings"),
                   config.size_or("type_vocab_size", 2),
                   static_cast<float>(config.number_or("layer_norm_eps", 1e-12)),
                   activation_of(config)};
  if (found.hidden % found.heads != 0)
    config.refuse("num_attention_heads", "a divisor of hidden_size, " + std::to_string(found.hidden));
  if (found.types == 0) config.refuse("type_vocab_size", "at least 1");
  return found;
}

}  // namespace revector
