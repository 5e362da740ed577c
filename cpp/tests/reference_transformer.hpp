/// @file
/// Every family of transformers in float64 and as plain as it can be: what the encoder is compared with.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model_folder.hpp"

/// States of one text: one row a token.
using States = std::vector<std::vector<double>>;

inline double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

class ReferenceTransformer {
 public:
  /// @param tensors  without a prefix
  ReferenceTransformer(const std::string& family, const ModelShape& shape, const Tensors& tensors,
                       std::function<double(double)> activation = gelu)
      : family_(family),
        names_(names_of(family)),
        shape_(shape),
        tensors_(tensors),
        epsilon_(family == "distilbert" ? 1e-12 : 1e-7),
        activation_(std::move(activation)) {}

  /// @param types  of the tokens; empty: all 0
  States states(std::span<const std::int32_t> ids, std::span<const std::int32_t> types = {}) const {
    States x = embed(ids, types);
    for (std::size_t i = 0; i < shape_.layers; ++i) {
      const std::string layer = names_.layers + std::to_string(i) + ".";
      add(x, linear(attend(x, layer), layer + names_.attention_output));
      norm(x, layer + names_.attention_norm);
      States up = linear(x, layer + names_.up);
      for (auto& row : up)
        for (double& value : row) value = activation_(value);
      add(x, linear(up, layer + names_.down));
      norm(x, layer + names_.output_norm);
    }
    return x;
  }

  /// x W^T + b for every row.
  States linear(const States& x, const std::string& name) const {
    const Tensor& weight = tensors_.at(name + ".weight");
    States y(x.size(), std::vector<double>(weight.shape[0]));
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t o = 0; o < weight.shape[0]; ++o) {
        y[i][o] = at(name + ".bias", o);
        for (std::size_t j = 0; j < weight.shape[1]; ++j)
          y[i][o] += x[i][j] * static_cast<double>(weight.values[o * weight.shape[1] + j]);
      }
    return y;
  }

 private:
  double at(const std::string& name, std::size_t i) const { return tensors_.at(name).values[i]; }

  /// Row of the position embeddings of each token: RoBERTa and MPNet begin behind their padding token, number 1, which
  /// takes row 1 itself and is not counted.
  std::vector<std::size_t> positions(std::span<const std::int32_t> ids) const {
    std::vector<std::size_t> rows;
    const bool offset = family_ != "bert" && family_ != "distilbert";
    std::size_t next = offset ? 2 : 0;
    for (std::int32_t id : ids) rows.push_back(offset && id == 1 ? 1 : next++);
    return rows;
  }

  States embed(std::span<const std::int32_t> ids, std::span<const std::int32_t> types) const {
    const std::vector<std::size_t> rows = positions(ids);
    States x(ids.size(), std::vector<double>(shape_.hidden));
    for (std::size_t i = 0; i < ids.size(); ++i)
      for (std::size_t j = 0; j < shape_.hidden; ++j) {
        x[i][j] = at("embeddings.word_embeddings.weight", static_cast<std::size_t>(ids[i]) * shape_.hidden + j) +
                  at("embeddings.position_embeddings.weight", rows[i] * shape_.hidden + j);
        const std::size_t type = types.empty() ? 0 : static_cast<std::size_t>(types[i]);
        if (names_.has_types) x[i][j] += at("embeddings.token_type_embeddings.weight", type * shape_.hidden + j);
      }
    norm(x, "embeddings.LayerNorm");
    return x;
  }

  /// MPNet's bucket of 32 for the distance of a key from its query: 16 to either side, of which 8 hold one distance
  /// each and 8 grow with its logarithm up to 128.
  static std::size_t bucket(std::size_t query, std::size_t key) {
    const std::size_t distance = key > query ? key - query : query - key;
    const auto beyond = [](double d) {
      return 8 + static_cast<std::size_t>(std::log(d / 8) / std::log(16.0) * 8 + 1e-9);
    };
    const std::size_t found =
        distance < 8 ? distance : std::min<std::size_t>(15, beyond(static_cast<double>(distance)));
    return key > query ? 16 + found : found;
  }

  double bias(std::size_t head, std::size_t query, std::size_t key) const {
    if (family_ != "mpnet") return 0;
    return at("encoder.relative_attention_bias.weight", bucket(query, key) * shape_.heads + head);
  }

  States attend(const States& x, const std::string& layer) const {
    const States q = linear(x, layer + names_.query), k = linear(x, layer + names_.key),
                 v = linear(x, layer + names_.value);
    const std::size_t d = shape_.hidden / shape_.heads;
    States out(x.size(), std::vector<double>(shape_.hidden, 0));
    for (std::size_t head = 0; head < shape_.heads; ++head)
      for (std::size_t i = 0; i < x.size(); ++i) {
        std::vector<double> weights(x.size());
        double sum = 0;
        for (std::size_t j = 0; j < x.size(); ++j) {
          double score = 0;
          for (std::size_t l = head * d; l < (head + 1) * d; ++l) score += q[i][l] * k[j][l];
          sum += weights[j] = std::exp(score / std::sqrt(static_cast<double>(d)) + bias(head, i, j));
        }
        for (std::size_t j = 0; j < x.size(); ++j)
          for (std::size_t l = head * d; l < (head + 1) * d; ++l) out[i][l] += weights[j] / sum * v[j][l];
      }
    return out;
  }

  static void add(States& x, const States& change) {
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < x[i].size(); ++j) x[i][j] += change[i][j];
  }

  void norm(States& x, const std::string& name) const {
    for (auto& row : x) {
      const double n = static_cast<double>(row.size());
      double mean = 0, squares = 0;
      for (double value : row) mean += value / n;
      for (double value : row) squares += (value - mean) * (value - mean) / n;
      for (std::size_t j = 0; j < row.size(); ++j)
        row[j] = (row[j] - mean) / std::sqrt(squares + epsilon_) * at(name + ".weight", j) + at(name + ".bias", j);
    }
  }

  std::string family_;
  FamilyNames names_;
  ModelShape shape_;
  Tensors tensors_;
  double epsilon_;
  std::function<double(double)> activation_;
};
