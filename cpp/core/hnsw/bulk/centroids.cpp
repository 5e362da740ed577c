#include "core/hnsw/bulk/centroids.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "core/hnsw/bulk/members.hpp"
#include "core/kernels.hpp"
#include "core/thread_pool.hpp"
#include "core/unit_rows.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t rounds = 4;              // of k-means; more change little
constexpr std::size_t sample_a_centroid = 32;  // points that k-means looks at
constexpr std::size_t least_members = 4;       // in the sample; a centroid of fewer starts anew
constexpr std::size_t one_group = 64;          // up to so many centroids are made in one step
constexpr std::size_t groups_visited = 16;     // by each point: nineteen of twenty near centroids are there
constexpr std::size_t points_a_block = 256;    // many of them visit a group, and their rows stay in the second cache
constexpr std::size_t rows_a_product = 64;

/// Rows in memory, which must outlive what is returned.
Points points_of(const AlignedFloats& rows, std::size_t dim) {
  return {rows.size() / dim, dim, [&rows, dim](std::size_t i, float* out) { std::copy_n(&rows[i * dim], dim, out); }};
}

/// Some points as rows in memory.
AlignedFloats gathered(const Points& points, std::span<const std::uint32_t> chosen) {
  AlignedFloats rows(chosen.size() * points.dim);
  parallel_for(chosen.size(), points_a_block, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) points.read(chosen[i], &rows[i * points.dim]);
  });
  return rows;
}

/// The nearest of some centroids to each row.
std::vector<std::uint32_t> assigned(const AlignedFloats& rows, std::size_t d, const AlignedFloats& centroids,
                                    bool by_distance) {
  const std::size_t k = centroids.size() / d;
  const Targets targets({centroids.data(), k, d}, by_distance);
  std::vector<std::uint32_t> home(rows.size() / d);
  parallel_for(home.size(), rows_a_product, [&](std::size_t begin, std::size_t end) {
    const std::size_t n = end - begin;
    AlignedFloats scores(n * k);
    Operand operand(targets.format(), n, d);
    operand.assign(MatrixView<const float>(&rows[begin * d], n, d));
    targets.score(operand, {scores.data(), n, k});
    for (std::size_t i = 0; i < n; ++i) {
      const float* of_row = &scores[i * k];
      home[begin + i] = static_cast<std::uint32_t>(std::max_element(of_row, of_row + k) - of_row);
    }
  });
  return home;
}

/// Lloyd's rounds, from the first k rows, which are as good as any.
AlignedFloats k_means(const AlignedFloats& rows, std::size_t d, std::size_t k, bool spherical, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const kernels::RowKernels& kernel = kernels::table().rows;
  const Points points = points_of(rows, d);
  AlignedFloats centroids(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(k * d));
  for (std::size_t round = 0; round < rounds; ++round) {
    const Members members(assigned(rows, d, centroids, !spherical), k);
    std::vector<std::uint32_t> fresh(k);
    for (std::uint32_t& one : fresh) one = static_cast<std::uint32_t>(random() % points.size);
    parallel_for(k, 1, [&](std::size_t c, std::size_t) {
      float* centroid = &centroids[c * d];
      const auto own = members.of(c);
      if (own.size() < least_members) return points.read(fresh[c], centroid);
      std::fill_n(centroid, d, 0.0F);
      for (std::uint32_t member : own)
        kernel.add_scaled(&rows[member * d], 1 / static_cast<float>(own.size()), centroid, d);
      if (spherical) normalize_row(kernel, centroid, centroid, d);
    });
  }
  return centroids;
}

std::vector<std::uint32_t> choose(std::size_t n, std::size_t of, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> all(of);
  std::iota(all.begin(), all.end(), 0);
  for (std::size_t i = 0; i < n; ++i) std::swap(all[i], all[i + random() % (of - i)]);
  all.resize(n);
  return all;
}

void write_sorted(Shortlist& found, std::span<std::uint32_t> near) {
  const auto best = found.best();
  std::vector<Ranked> sorted(best.begin(), best.end());
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < near.size(); ++i) near[i] = i < sorted.size() ? id_of(sorted[i]) : UINT32_MAX;
}

}  // namespace

Centroids::Centroids(const Points& points, Metric metric, std::size_t k, std::uint64_t seed)
    : dim_(points.dim), spherical_(metric == Metric::cosine) {
  const AlignedFloats sample =
      gathered(points, choose(std::min(points.size, k * sample_a_centroid), points.size, seed));
  const std::size_t n = sample.size() / dim_;
  const auto n_groups =
      k <= one_group ? std::size_t{1} : static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(k))));
  const AlignedFloats some(
      sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(std::min(n, n_groups * sample_a_centroid) * dim_));
  groups_ = k_means(some, dim_, n_groups, spherical_, seed);
  const Members members(assigned(sample, dim_, groups_, !spherical_), n_groups);
  std::vector<AlignedFloats> made(n_groups);
  parallel_for(n_groups, 1, [&](std::size_t group, std::size_t) {
    const auto own = members.of(group);
    const std::size_t share = (own.size() * k + n - 1) / n;
    if (share > 0) made[group] = k_means(gathered(points_of(sample, dim_), own), dim_, share, spherical_, seed + group);
  });
  first_ = {0};
  for (const AlignedFloats& rows : made) {
    rows_.insert(rows_.end(), rows.begin(), rows.end());
    first_.push_back(size());
  }
}

Points Centroids::points() const { return points_of(rows_, dim_); }

std::vector<std::uint32_t> Centroids::nearest(const Points& points, bool by_distance, std::size_t width) const {
  std::vector<std::uint32_t> near(points.size * width);
  const PackedCentroids packed(*this, by_distance);
  parallel_for(points.size, points_a_block, [&](std::size_t begin, std::size_t end) {
    packed.nearest(points, begin, end, width, &near[begin * width]);
  });
  return near;
}

PackedCentroids::PackedCentroids(const Centroids& all, bool by_distance)
    : first_(all.first_), centres_({all.groups_.data(), all.n_groups(), all.dim_}, by_distance) {
  for (std::size_t group = 0; group < all.n_groups(); ++group)
    groups_.emplace_back(
        MatrixView<const float>{&all.rows_[first_[group] * all.dim_], first_[group + 1] - first_[group], all.dim_},
        by_distance);
}

void PackedCentroids::nearest(const Points& points, std::size_t begin, std::size_t end, std::size_t width,
                              std::uint32_t* near) const {
  const std::size_t n = end - begin, d = points.dim;
  AlignedFloats rows(n * d), scores;
  for (std::size_t i = 0; i < n; ++i) points.read(begin + i, &rows[i * d]);
  Operand all(centres_.format(), n, d), some(centres_.format(), n, d);
  all.assign(MatrixView<const float>(rows.data(), n, d));
  std::vector<Shortlist> found(n, Shortlist(width));
  const std::vector<std::vector<std::uint32_t>> visitors = visitors_of_groups(all, scores);
  for (std::size_t group = 0; group < visitors.size(); ++group)
    if (!visitors[group].empty() && groups_[group].size() > 0) {
      some.gather(all, visitors[group]);
      offer(group, some, visitors[group], scores, found);
    }
  for (std::size_t i = 0; i < n; ++i) write_sorted(found[i], {near + i * width, width});
}

/// Each row goes to the groups that are nearest to it.
std::vector<std::vector<std::uint32_t>> PackedCentroids::visitors_of_groups(const Operand& rows,
                                                                            AlignedFloats& scores) const {
  const std::size_t n_groups = groups_.size();
  std::vector<std::vector<std::uint32_t>> visitors(n_groups);
  scores.resize(rows.rows() * n_groups);
  centres_.score(rows, {scores.data(), rows.rows(), n_groups});
  Shortlist nearest(groups_visited);
  for (std::uint32_t i = 0; i < rows.rows(); ++i) {
    nearest.clear();
    for (std::uint32_t group = 0; group < n_groups; ++group) nearest.offer(scores[i * n_groups + group], group);
    for (Ranked one : nearest.best()) visitors[id_of(one)].push_back(i);
  }
  return visitors;
}

void PackedCentroids::offer(std::size_t group, const Operand& some, std::span<const std::uint32_t> visitors,
                            AlignedFloats& scores, std::vector<Shortlist>& found) const {
  const std::size_t k = groups_[group].size();
  scores.resize(visitors.size() * k);
  groups_[group].score(some, {scores.data(), visitors.size(), k});
  for (std::size_t i = 0; i < visitors.size(); ++i)
    for (std::size_t c = 0; c < k; ++c)
      found[visitors[i]].offer(scores[i * k + c], static_cast<NodeId>(first_[group] + c));
}

}  // namespace revector::hnsw
