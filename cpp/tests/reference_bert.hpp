/// @file
/// BERT in float64 and as plain as it can be: what the encoder is compared with.
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

class ReferenceBert {
 public:
  ReferenceBert(const BertShape& shape, const Tensors& tensors, double epsilon,
                std::function<double(double)> activation)
      : shape_(shape), tensors_(tensors), epsilon_(epsilon), activation_(std::move(activation)) {}

  States states(std::span<const std::int32_t> ids) const {
    States x = embed(ids);
    for (std::size_t i = 0; i < shape_.layers; ++i) {
      const std::string layer = "encoder.layer." + std::to_string(i) + ".";
      add(x, linear(attend(x, layer + "attention.self."), layer + "attention.output.dense"));
      norm(x, layer + "attention.output.LayerNorm");
      States up = linear(x, layer + "intermediate.dense");
      for (auto& row : up)
        for (double& value : row) value = activation_(value);
      add(x, linear(up, layer + "output.dense"));
      norm(x, layer + "output.LayerNorm");
    }
    return x;
  }

 private:
  double at(const std::string& name, std::size_t i) const { return tensors_.at(name).values[i]; }

  States embed(std::span<const std::int32_t> ids) const {
    States x(ids.size(), std::vector<double>(shape_.hidden));
    for (std::size_t i = 0; i < ids.size(); ++i)
      for (std::size_t j = 0; j < shape_.hidden; ++j)
        x[i][j] = at("embeddings.word_embeddings.weight", static_cast<std::size_t>(ids[i]) * shape_.hidden + j) +
                  at("embeddings.position_embeddings.weight", i * shape_.hidden + j) +
                  at("embeddings.token_type_embeddings.weight", j);
    norm(x, "embeddings.LayerNorm");
    return x;
  }

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

  States attend(const States& x, const std::string& name) const {
    const States q = linear(x, name + "query"), k = linear(x, name + "key"), v = linear(x, name + "value");
    const std::size_t d = shape_.hidden / shape_.heads;
    States out(x.size(), std::vector<double>(shape_.hidden, 0));
    for (std::size_t first = 0; first < shape_.hidden; first += d)
      for (std::size_t i = 0; i < x.size(); ++i) {
        std::vector<double> weights(x.size());
        double sum = 0;
        for (std::size_t j = 0; j < x.size(); ++j) {
          double score = 0;
          for (std::size_t l = first; l < first + d; ++l) score += q[i][l] * k[j][l];
          sum += weights[j] = std::exp(score / std::sqrt(static_cast<double>(d)));
        }
        for (std::size_t j = 0; j < x.size(); ++j)
          for (std::size_t l = first; l < first + d; ++l) out[i][l] += weights[j] / sum * v[j][l];
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

  BertShape shape_;
  Tensors tensors_;
  double epsilon_;
  std::function<double(double)> activation_;
};
