#include "core/hnsw/bulk/clusters.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "core/aligned.hpp"
#include "core/hnsw/bulk/products.hpp"
#include "core/hnsw/bulk/shortlist.hpp"
#include "core/thread_pool.hpp"
#include "core/unit_rows.hpp"
#include "kernels/dispatch.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t rounds = 4;             // of k-means; more change little
constexpr std::size_t sample_a_cluster = 48;  // points that k-means looks at
constexpr std::size_t least_members = 4;      // in the sample; a centroid of fewer starts anew
constexpr std::size_t points_a_block = 64;    // beside the scores of 2,000 centroids they stay in the second cache

/// Some points in memory, as rows.
struct Sample {
  Sample(const Points& points, std::span<const std::uint32_t> chosen) : dim(points.dim), rows(chosen.size() * dim) {
    parallel_for(chosen.size(), points_a_block, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) points.read(chosen[i], rows.data() + i * dim);
    });
  }
  Points points() const {
    return {rows.size() / dim, dim, [this](std::size_t i, float* out) { std::copy_n(row(i), dim, out); }};
  }
  const float* row(std::size_t i) const { return rows.data() + i * dim; }

  std::size_t dim;
  AlignedFloats rows;
};

/// The nearest `width` centroids of every point, nearest first. By distance, or by product alone.
std::vector<std::uint32_t> nearest(const Points& points, const AlignedFloats& centroids, bool by_distance,
                                   std::size_t width) {
  const std::size_t d = points.dim, k = centroids.size() / d;
  const Targets packed({centroids.data(), k, d}, by_distance);
  std::vector<std::uint32_t> found(points.size * width);
  parallel_for(points.size, points_a_block, [&](std::size_t begin, std::size_t end) {
    const std::size_t n = end - begin;
    AlignedFloats rows(n * d), scores(n * k);
    Operand operand(packed.precision(), n, d);
    for (std::size_t i = 0; i < n; ++i) points.read(begin + i, rows.data() + i * d);
    operand.assign(MatrixView<const float>(rows.data(), n, d));
    packed.score(operand, {scores.data(), n, k});
    std::vector<Neighbor> best(k);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t c = 0; c < k; ++c) best[c] = {-scores[i * k + c], static_cast<NodeId>(c)};
      std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(width), best.end(), closer);
      for (std::size_t j = 0; j < width; ++j) found[(begin + i) * width + j] = best[j].id;
    }
  });
  return found;
}

/// Positions grouped by cluster: who belongs to each, in order.
struct Groups {
  Groups(std::span<const std::uint32_t> cluster_of, std::size_t clusters)
      : begin(clusters + 1), members(cluster_of.size()) {
    for (std::uint32_t cluster : cluster_of) ++begin[cluster + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<std::uint32_t> next(begin.begin(), begin.end() - 1);
    for (std::size_t i = 0; i < cluster_of.size(); ++i) members[next[cluster_of[i]]++] = static_cast<std::uint32_t>(i);
  }
  std::span<std::uint32_t> of(std::size_t cluster) {
    return std::span(members).subspan(begin[cluster], begin[cluster + 1] - begin[cluster]);
  }

  std::vector<std::uint32_t> begin, members;
};

std::vector<std::uint32_t> choose(std::size_t n, std::size_t of, std::mt19937_64& random) {
  std::vector<std::uint32_t> all(of);
  std::iota(all.begin(), all.end(), 0);
  for (std::size_t i = 0; i < n; ++i) std::swap(all[i], all[i + random() % (of - i)]);
  all.resize(n);
  return all;
}

/// Lloyd's rounds over a sample.
AlignedFloats centroids_of(const Points& points, std::size_t k, Metric metric, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const std::size_t d = points.dim;
  const Sample sample(points, choose(std::min(points.size, k * sample_a_cluster), points.size, random));
  const Points sampled = sample.points();
  AlignedFloats centroids(sample.rows.begin(), sample.rows.begin() + static_cast<std::ptrdiff_t>(k * d));
  const kernels::RowKernels& kernel = kernels::table().rows;
  for (std::size_t round = 0; round < rounds; ++round) {
    Groups groups(nearest(sampled, centroids, metric != Metric::cosine, 1), k);
    std::vector<std::uint32_t> fresh(k);
    for (std::uint32_t& one : fresh) one = static_cast<std::uint32_t>(random() % sampled.size);
    parallel_for(k, 1, [&](std::size_t c, std::size_t) {
      float* centroid = centroids.data() + c * d;
      const auto members = groups.of(c);
      if (members.size() < least_members) return sampled.read(fresh[c], centroid);
      std::fill_n(centroid, d, 0.0F);
      for (std::uint32_t member : members)
        kernel.add_scaled(sample.row(member), 1 / static_cast<float>(members.size()), centroid, d);
      if (metric == Metric::cosine) normalize_row(kernel, centroid, centroid, d);
    });
  }
  return centroids;
}

/// Cut clusters in parts of at most `most` members, each in random order.
struct Parts {
  Parts(Groups& groups, std::size_t most, std::mt19937_64& random) {
    for (std::size_t c = 0; c + 1 < groups.begin.size(); ++c) {
      const auto members = groups.of(c);
      for (std::size_t i = members.size(); i > 1; --i) std::swap(members[i - 1], members[random() % i]);
      first.push_back(static_cast<std::uint32_t>(begin.size()));
      const std::size_t parts = (members.size() + most - 1) / most;
      for (std::size_t part = 0; part < parts; ++part)
        begin.push_back(groups.begin[c] + static_cast<std::uint32_t>(members.size() * part / parts));
    }
    first.push_back(static_cast<std::uint32_t>(begin.size()));
    begin.push_back(groups.begin.back());
  }

  std::vector<std::uint32_t> begin;  // of each part
  std::vector<std::uint32_t> first;  // part of each cluster
};

/// List the parts of the clusters that a point probes, its own first.
void expand(std::span<const std::uint32_t> clusters, const Parts& parts, std::uint32_t own,
            std::span<std::uint32_t> probes) {
  std::size_t n = 0;
  probes[n++] = own;
  for (std::uint32_t cluster : clusters)
    for (std::uint32_t part = parts.first[cluster]; part < parts.first[cluster + 1] && n < probes.size(); ++part)
      if (part != own) probes[n++] = part;
  std::fill(probes.begin() + static_cast<std::ptrdiff_t>(n), probes.end(), Clusters::none);
}

}  // namespace

Clusters cluster(const Points& points, Metric metric, const ClusterOptions& options) {
  const std::size_t k = std::max<std::size_t>(1, points.size / options.members);
  const std::size_t width = std::min(k, options.probes);
  std::vector<std::uint32_t> near(points.size, 0), home(points.size, 0);
  if (k > 1) {
    const AlignedFloats centroids = centroids_of(points, k, metric, options.seed);
    near = nearest(points, centroids, metric == Metric::l2, width);
    if (metric == Metric::inner_product)  // what is near by product need not be where a point lies
      home = nearest(points, centroids, true, 1);
    else
      for (std::size_t i = 0; i < points.size; ++i) home[i] = near[i * width];
  }
  Groups groups(home, k);
  std::mt19937_64 random(options.seed);
  Parts parts(groups, 2 * options.members, random);
  Clusters clusters{std::move(groups.members), std::move(parts.begin), {}, 0};
  clusters.width = std::min(clusters.size(), options.probes);
  clusters.probes.resize(points.size * clusters.width);
  for (std::size_t part = 0; part < clusters.size(); ++part)
    for (std::size_t at = clusters.begin[part]; at < clusters.begin[part + 1]; ++at)
      expand(std::span(near).subspan(clusters.order[at] * width, width), parts, static_cast<std::uint32_t>(part),
             std::span(clusters.probes).subspan(at * clusters.width, clusters.width));
  return clusters;
}

}  // namespace revector::hnsw
