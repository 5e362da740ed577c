/// @file
/// What the tests of the graph share: an exact search to compare with, and results that hold their memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "random_rows.hpp"
#include "revector/hnsw.hpp"

inline std::vector<std::int64_t> first_labels(std::size_t n) {
  std::vector<std::int64_t> labels(n);
  std::iota(labels.begin(), labels.end(), 0);
  return labels;
}

/// The score of the public header, in float64.
inline double exact_score(revector::Metric metric, const float* a, const float* b, std::size_t d) {
  double ab = 0, aa = 0, bb = 0, squares = 0;
  for (std::size_t i = 0; i < d; ++i) {
    const double x = a[i], y = b[i];
    ab += x * y;
    aa += x * x;
    bb += y * y;
    squares += (x - y) * (x - y);
  }
  if (metric == revector::Metric::l2) return -squares;
  if (metric == revector::Metric::inner_product) return ab;
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

struct Found {
  Found(const revector::HnswIndex& index, Rows& queries, std::size_t k, std::size_t ef)
      : k(k), scores(queries.n * k), labels(queries.n * k) {
    index.search(queries.view(), k, ef, {scores.data(), queries.n, k}, {labels.data(), queries.n, k});
  }
  std::int64_t label(std::size_t query, std::size_t rank) const { return labels[query * k + rank]; }
  float score(std::size_t query, std::size_t rank) const { return scores[query * k + rank]; }

  std::size_t k;
  std::vector<float> scores;
  std::vector<std::int64_t> labels;
};

/// Share of the true k nearest among those found; row i of x has label i, rows in `hidden` do not count.
inline double recall(const revector::HnswIndex& index, Rows& x, Rows& queries, std::size_t k, std::size_t ef,
                     const std::set<std::int64_t>& hidden = {}) {
  const Found found(index, queries, k, ef);
  std::size_t hits = 0;
  for (std::size_t q = 0; q < queries.n; ++q) {
    std::vector<std::pair<double, std::int64_t>> all;
    for (std::size_t i = 0; i < x.n; ++i)
      if (!hidden.contains(static_cast<std::int64_t>(i)))
        all.emplace_back(-exact_score(index.metric(), queries.row(q), x.row(i), x.d), i);
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k), all.end());
    for (std::size_t i = 0; i < k; ++i)
      for (std::size_t j = 0; j < k; ++j) hits += found.label(q, j) == all[i].second;
  }
  return static_cast<double>(hits) / static_cast<double>(queries.n * k);
}
