/// @file
/// What the kinds of models have in common.
#pragma once

#include <cstddef>
#include <memory>

#include "core/encoder/checkpoint.hpp"
#include "core/encoder/fields.hpp"
#include "core/encoder/modules.hpp"
#include "core/encoder/token_batch.hpp"
#include "revector/matrix.hpp"

namespace revector {

/// A loaded model: tokens in, pooled rows out. Immutable.
class TextModel {
 public:
  virtual ~TextModel() = default;

  virtual const char* family() const = 0;
  virtual std::size_t dimension() const = 0;
  virtual std::size_t vocabulary() const = 0;
  /// Tokens a text may have; 0: any number.
  virtual std::size_t max_length() const = 0;

  /// Of the products; float32 in a model without any.
  virtual Precision precision() const = 0;

  /// Pooled rows, not normalised, on at most `threads` threads of the pool. The batch has been checked.
  virtual void encode(const TokenBatch& batch, std::size_t threads, MatrixView<float> out) const = 0;
};

/// A transformer and its pooling. @throws EncoderError
std::unique_ptr<TextModel> load_pooled(const Fields& config, const Checkpoint& checkpoint, const Modules& modules,
                                       Precision precision);

/// A table of token vectors under mean pooling; `config` is the model's config.json, empty where it has none.
/// @throws EncoderError
std::unique_ptr<TextModel> load_static(const Fields& config, const Checkpoint& checkpoint);

}  // namespace revector
