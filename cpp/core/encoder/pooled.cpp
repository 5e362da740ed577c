// Text embeddings from a transformer: its last states, pooled.
#include <algorithm>

#include "core/encoder/calibration.hpp"
#include "core/encoder/families/family.hpp"
#include "core/encoder/pooling.hpp"
#include "core/encoder/text_model.hpp"
#include "core/kernels.hpp"

namespace revector {
namespace {

class Pooled : public TextModel {
 public:
  Pooled(std::string family, Transformer transformer, const Modules& modules)
      : family_(std::move(family)),
        transformer_(std::move(transformer)),
        pooling_(modules.pooling),
        max_length_(modules.limit(transformer_.max_length())) {}

  const char* family() const override { return family_.c_str(); }
  std::size_t dimension() const override { return transformer_.sizes().hidden * pooling_.size(); }
  std::size_t vocabulary() const override { return transformer_.sizes().vocabulary; }
  std::size_t max_length() const override { return max_length_; }
  Precision precision() const override { return transformer_.precision(); }
  void encode(const TokenBatch& batch, std::size_t threads, MatrixView<float> out) const override {
    transformer_.run(batch, threads, [&](std::size_t text, MatrixView<const float> states) {
      float* row = out.row(text);
      for (Pooling pooling : pooling_) {
        pool(kernels::table().rows, pooling, states, row, batch.unpooled);
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

}  // namespace

std::unique_ptr<TextModel> load_pooled(const Fields& config, const Checkpoint& checkpoint, const Modules& modules,
                                       Precision precision) {
  const KnownModel& model = known_model(config);
  return std::make_unique<Pooled>(model.model_type, make_transformer(model.load(config, checkpoint), precision),
                                  modules);
}

}  // namespace revector
