/// @file
/// What the tests of the encoder share: texts, an encoder run on them, refusals, the reference's vectors.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "reference_transformer.hpp"
#include "revector/encoder.hpp"

/// Texts of these lengths with random ids.
struct Texts {
  Texts(const std::vector<std::size_t>& lengths, std::size_t vocabulary) {
    std::mt19937 engine(7);
    for (std::size_t length : lengths) {
      for (std::size_t i = 0; i < length; ++i) ids.push_back(static_cast<std::int32_t>(engine() % vocabulary));
      offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
  }
  std::size_t size() const { return offsets.size() - 1; }
  std::span<const std::int32_t> operator[](std::size_t i) const {
    return std::span(ids).subspan(static_cast<std::size_t>(offsets[i]),
                                  static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
  }
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> offsets = {0};
};

inline std::vector<float> encode(const revector::Encoder& encoder, const Texts& texts,
                                 const revector::EncodeOptions& options = {}) {
  std::vector<float> out(texts.size() * encoder.info().dimension, 42);
  encoder.encode(texts.ids, texts.offsets, {out.data(), texts.size(), encoder.info().dimension}, options);
  return out;
}

/// The message with which a folder is refused; "" if it is not.
inline std::string refusal(const TemporaryFolder& folder) {
  try {
    revector::Encoder::load(folder.path(), revector::Precision::float32);
    return "";
  } catch (const revector::EncoderError& error) {
    return error.what();
  }
}

inline bool says(const std::string& message, const std::string& part) {
  if (message.find(part) == std::string::npos) std::printf("  message: %s\n", message.c_str());
  return message.find(part) != std::string::npos;
}

/// The pooled states, not normalised, by the definitions of sentence-transformers.
inline std::vector<double> pooled(const States& states, revector::Pooling pooling, std::size_t hidden,
                                  std::size_t before = 0) {
  using revector::Pooling;
  std::vector<double> out(hidden, 0);
  const std::size_t n = states.size();
  if (n == 0) return out;
  if (pooling == Pooling::cls) return states.front();
  if (pooling == Pooling::lasttoken) return states.back();
  if (pooling == Pooling::max) {
    out = states.front();
    for (const auto& row : states)
      for (std::size_t j = 0; j < hidden; ++j) out[j] = std::max(out[j], row[j]);
    return out;
  }
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double weight = pooling == Pooling::weightedmean ? static_cast<double>(before + i + 1) : 1;
    sum += weight;
    for (std::size_t j = 0; j < hidden; ++j) out[j] += weight * states[i][j];
  }
  for (double& value : out) value /= pooling == Pooling::mean_sqrt_len_tokens ? std::sqrt(sum) : sum;
  return out;
}

/// Texts of these lengths, each within 2e-5 of the reference.
inline void check_against_reference(const revector::Encoder& encoder, const ReferenceTransformer& reference,
                                    const ModelShape& shape, const std::vector<std::size_t>& lengths) {
  const Texts texts(lengths, shape.vocabulary);
  const std::vector<float> out = encode(encoder, texts, {.normalize = false});
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::vector<double> exact = pooled(reference.states(texts[i]), encoder.info().pooling[0], shape.hidden);
    double worst = 0;
    for (std::size_t j = 0; j < shape.hidden; ++j)
      worst = std::max(worst, std::abs(out[i * shape.hidden + j] - exact[j]));
    CHECK_NEAR(worst, 0, 2e-5);
    if (!(worst <= 2e-5))
      std::printf("  text of %zu tokens, hidden %zu, %s: off by %g\n", lengths[i], shape.hidden,
                  encoder.info().family.c_str(), worst);
  }
}
