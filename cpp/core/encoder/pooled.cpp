// Text embeddings from a transformer: its last states, pooled.
#include <algorithm>

#include "core/encoder/families/family.hpp"
#include "core/encoder/pooling.hpp"
#include "core/encoder/text_model.hpp"
#include "kernels/dispatch.hpp"

namespace revector {
namespace {

class Pooled : public TextModel {
 public:
  Pooled(std::string family, Transformer transformer, const Modules& modules)
      : family_(std::move(family)),
        transformer_(std::move(transformer)),
        pooling_(modules.pooling),
        max_length_(modules.max_length ? std::min(modules.max_length, transformer_.max_length())
                                       : transformer_.max_length()) {}

  const char* family() const override { return family_.c_str(); }
  std::size_t dimension() const override { return transformer_.sizes().hidden * pooling_.size(); }
  std::size_t vocabulary() const override { return transformer_.sizes().vocabulary; }
  std::size_t max_length() const override { return max_length_; }
  Precision precision() const override { return transformer_.precision(); }
  void encode(const TokenBatch& batch, std::size_t threads, MatrixView<float> out) const override {
    transformer_.run(batch, threads, [&](std::size_t text, MatrixView<const float> states) {
      float* row = out.row(text);
      for (Pooling pooling : pooling_) {
        pool(kernels::table().rows, pooling, states, row);
        row += states.cols();
      }
    });
  }

 private:
  std::string family_;
  Transformer transformer_;
  std::vector<Pooling> pooling_;
  std::size_t max_length_;
};

struct Loader {
  const char* model_type;
  TransformerParts (*load)(const Fields& config, const Checkpoint& checkpoint, Precision precision);
};
constexpr Loader loaders[] = {{"bert", load_bert},         {"roberta", load_roberta}, {"xlm-roberta", load_roberta},
                              {"camembert", load_roberta}, {"mpnet", load_mpnet},     {"distilbert", load_distilbert}};

}  // namespace

Transformer load_transformer(const Fields& config, const Checkpoint& checkpoint, Precision precision) {
  const std::string type = config.string_or("model_type", "");
  std::string supported;
  for (const Loader& loader : loaders) {
    if (type == loader.model_type) return Transformer(loader.load(config, checkpoint, precision));
    supported.append(loader.model_type).append(", ");
  }
  config.refuse_unsupported("model_type", supported + "model2vec or static");
}

std::unique_ptr<TextModel> load_pooled(const Fields& config, const Checkpoint& checkpoint, const Modules& modules,
                                       Precision precision) {
  return std::make_unique<Pooled>(config.string_or("model_type", ""), load_transformer(config, checkpoint, precision),
                                  modules);
}

}  // namespace revector
