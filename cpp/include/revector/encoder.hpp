/// @file
/// Token ids to text embeddings: transformers (BERT and its relatives) and static token tables, on the CPU.
///
/// Tokenisation is the caller's (in Python: HF tokenizers). Nothing is padded: texts of any length go in one batch, and
/// the vector of a text does not depend on the texts beside it, to the last bit.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "revector/export.hpp"
#include "revector/matrix.hpp"
#include "revector/precision.hpp"

namespace revector {

/// How the states of a text's n tokens become one vector.
enum class Pooling {
  mean,                  ///< their mean
  cls,                   ///< the state of the first token
  max,                   ///< the largest of each component
  mean_sqrt_len_tokens,  ///< their sum by the square root of n
  weightedmean,          ///< their mean under weights 1, 2 … n
  lasttoken,             ///< the state of the last token
};

/// Name of a pooling, as sentence-transformers writes it.
REVECTOR_API const char* pooling_name(Pooling pooling);
/// Names of the poolings whose vectors stand beside one another: "cls+mean".
REVECTOR_API std::string pooling_name(const std::vector<Pooling>& pooling);

/// What a folder holds.
struct EncoderInfo {
  std::string family;       ///< model_type of a transformer, "static", or "model2vec" (with its own rules for tokens)
  std::string transformer;  ///< folder of config.json, weights and tokenizer.json
  std::string weights;      ///< path of the file with the weights, or of the index of its shards
  std::vector<std::string> files;  ///< every file that decides the vectors, besides config.json and tokenizer.json
  std::size_t dimension = 0;       ///< length of a vector
  std::size_t vocabulary = 0;      ///< token ids are below this
  std::size_t max_length = 0;      ///< tokens of a text, special ones included; 0 where any number will do
  Precision precision = Precision::float32;        ///< of the products
  std::vector<Pooling> pooling = {Pooling::mean};  ///< several: their vectors beside one another
  bool normalized = false;                         ///< whether the model itself ends in unit rows
};

/// How to encode.
struct EncodeOptions {
  bool normalize = true;    ///< unit rows, whether or not the model asks for them
  std::size_t threads = 0;  ///< at most this many of the pool; 0: all
  /// Another thread may set it, at any time, to call the work off; null: nobody will.
  const std::atomic<bool>* cancelled = nullptr;
  /// Tokens at the front of each text that a transformer reads and does not pool: a prompt, where the Pooling module
  /// says "include_prompt": false.
  std::size_t unpooled = 0;
};

/// A model. Immutable once loaded, so safe to share between threads.
class REVECTOR_API Encoder {
 public:
  /// Read a model folder as sentence-transformers lays it out (modules.json, config.json, folders of pooling and Dense
  /// modules, model.safetensors or its shards), or a static model as model2vec or WordLlama do (config.json,
  /// model.safetensors). Weights may be float32, float16 or bfloat16.
  /// @param precision  of the products of a transformer; by default fastest_precision(). A static model has none.
  ///                   Beside float32 a vector has a cosine of at least .9999 in bfloat16, and of .999 on average in
  ///                   int8 (all-MiniLM-L6-v2, texts of 95 tokens).
  /// @throws EncoderError naming file and field if something is missing, malformed, inconsistent, or not supported.
  /// Cost: one pass over the weights; memory about four bytes a parameter (of layers: four, two or one, as the
  /// precision has it).
  static Encoder load(const std::string& folder, std::optional<Precision> precision = std::nullopt);
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  const EncoderInfo& info() const;

  /// Encode texts given as token ids.
  /// @param ids      the tokens of all texts, one text after the other, special tokens included
  /// @param offsets  n + 1 positions in ids: text i is ids[offsets[i] .. offsets[i + 1])
  /// @param out      [n x dimension], owned by the caller: row i is text i. A text without tokens becomes a zero row.
  /// @throws InvalidArgument naming the text if offsets are not ascending from 0 to the number of ids, an id is not in
  ///         the vocabulary, or a text is longer than max_length; ShapeError (out); EncoderError if a vector comes out
  ///         as NaN or infinity (the weights are broken); Cancelled, a layer of a chunk (256 tokens, or one longer
  ///         text) after options.cancelled is set. Rows of out are then unspecified.
  /// Thread-safe. Runs on the pool. Scratch memory: a few MB a thread, whatever n is.
  void encode(std::span<const std::int32_t> ids, std::span<const std::int64_t> offsets, MatrixView<float> out,
              const EncodeOptions& options = {}) const;

 private:
  struct Impl;
  explicit Encoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace revector
