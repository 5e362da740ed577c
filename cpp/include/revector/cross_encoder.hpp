/// @file
/// Pairs of texts, as token ids, to scores: transformers with a classification head (rerankers), on the CPU in float32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "revector/export.hpp"
#include "revector/matrix.hpp"
#include "revector/precision.hpp"

namespace revector {

/// What a folder holds.
struct CrossEncoderInfo {
  std::string family;              ///< model_type of the transformer
  std::string transformer;         ///< folder of config.json, weights and tokenizer.json
  std::vector<std::string> files;  ///< every file with weights
  std::size_t labels = 0;          ///< logits of a pair
  std::size_t vocabulary = 0;      ///< token ids are below this
  std::size_t types = 0;           ///< token types are below this
  std::size_t max_length = 0;      ///< tokens of a pair, special ones included
};

/// A model. Immutable once loaded, so safe to share between threads.
class REVECTOR_API CrossEncoder {
 public:
  /// Read a folder with a sequence classifier of transformers (BertForSequenceClassification and its relatives of
  /// RoBERTa, XLM-RoBERTa, CamemBERT, MPNet and DistilBERT): config.json and model.safetensors or its shards.
  /// @param precision  of the transformer's products; the head is float32
  /// @throws EncoderError naming file and field if something is missing, malformed, inconsistent, or not supported.
  /// Cost: one pass over the weights; memory about four bytes a parameter.
  static CrossEncoder load(const std::string& folder, Precision precision = Precision::float32);
  ~CrossEncoder();
  CrossEncoder(CrossEncoder&&) noexcept;
  CrossEncoder& operator=(CrossEncoder&&) noexcept;

  const CrossEncoderInfo& info() const;

  /// Score pairs given as token ids.
  /// @param ids      the tokens of all pairs, one pair after the other, special tokens included
  /// @param offsets  n + 1 positions in ids: pair i is ids[offsets[i] .. offsets[i + 1])
  /// @param types    the type of each token (0: first text, 1: second one); empty: all 0
  /// @param out      [n x labels] logits, owned by the caller: row i is pair i
  /// @param threads  at most this many of the pool; 0: all
  /// @throws InvalidArgument naming the pair if offsets are not ascending from 0 to the number of ids, an id is not in
  ///         the vocabulary, a type is unknown, or a pair is empty or longer than max_length; ShapeError (out);
  ///         EncoderError if a logit comes out as NaN or infinity (the weights are broken). Rows of out are then
  ///         unspecified.
  /// Thread-safe. Runs on the pool. Scratch memory: a few MB a thread, whatever n is.
  void score(std::span<const std::int32_t> ids, std::span<const std::int64_t> offsets,
             std::span<const std::int32_t> types, MatrixView<float> out, std::size_t threads = 0) const;

 private:
  struct Impl;
  explicit CrossEncoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace revector
