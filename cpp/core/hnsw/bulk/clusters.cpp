#include "core/hnsw/bulk/clusters.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "core/hnsw/bulk/centroids.hpp"
#include "core/hnsw/bulk/members.hpp"

namespace revector::hnsw {
namespace {

/// Cut clusters in parts of at most `most` members, each in random order. A centroid without members has no part.
struct Parts {
  Parts(Members& clusters, std::size_t most, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (std::size_t c = 0; c < clusters.numbers(); ++c) {
      const auto members = clusters.of(c);
      for (std::size_t i = members.size(); i > 1; --i) std::swap(members[i - 1], members[random() % i]);
      first.push_back(static_cast<std::uint32_t>(begin.size()));
      const std::size_t parts = (members.size() + most - 1) / most;
      for (std::size_t part = 0; part < parts; ++part)
        begin.push_back(clusters.begin(c) + static_cast<std::uint32_t>(members.size() * part / parts));
    }
    first.push_back(static_cast<std::uint32_t>(begin.size()));
    begin.push_back(clusters.begin(clusters.numbers()));
  }

  std::size_t size() const { return begin.size() - 1; }

  std::vector<std::uint32_t> begin;  // of each part
  std::vector<std::uint32_t> first;  // part of each cluster
};

/// List the parts of clusters, those up to the first none, `own` first.
void expand(std::span<const std::uint32_t> clusters, const Parts& parts, std::uint32_t own,
            std::span<std::uint32_t> list) {
  std::size_t n = 0;
  list[n++] = own;
  for (std::uint32_t cluster : clusters) {
    if (cluster == Clusters::none) break;
    for (std::uint32_t part = parts.first[cluster]; part < parts.first[cluster + 1] && n < list.size(); ++part)
      if (part != own) list[n++] = part;
  }
  std::fill(list.begin() + static_cast<std::ptrdiff_t>(n), list.end(), Clusters::none);
}

}  // namespace

Clusters cluster(const Points& points, Metric metric, const ClusterOptions& options) {
  const bool by_distance = metric == Metric::l2;
  const Centroids centroids(points, metric, std::max<std::size_t>(1, points.size / options.members), options.seed);
  const std::size_t probes = std::min(centroids.size(), options.probes),
                    around = std::min(centroids.size(), options.around);
  const std::vector<std::uint32_t> near_points = centroids.nearest(points, by_distance, probes),
                                   near_centroids = centroids.nearest(centroids.points(), by_distance, around);
  std::vector<std::uint32_t> home(points.size);
  for (std::size_t i = 0; i < points.size; ++i) home[i] = near_points[i * probes];
  if (metric == Metric::inner_product)  // what is near by product need not be where a point lies
    home = centroids.nearest(points, true, 1);
  Members members(home, centroids.size());
  const Parts parts(members, 2 * options.members, options.seed);

  Clusters clusters{std::move(members).take(), parts.begin, {}, {}};
  clusters.near.resize(points.size, std::min(parts.size(), options.probes));
  clusters.around.resize(parts.size(), std::min(parts.size(), options.around));
  for (std::size_t centroid = 0; centroid < centroids.size(); ++centroid)
    for (std::uint32_t part = parts.first[centroid]; part < parts.first[centroid + 1]; ++part) {
      expand(std::span(near_centroids).subspan(centroid * around, around), parts, part, clusters.around.of(part));
      for (std::size_t at = clusters.begin[part]; at < clusters.begin[part + 1]; ++at)
        expand(std::span(near_points).subspan(clusters.order[at] * probes, probes), parts, part, clusters.near.of(at));
    }
  return clusters;
}

}  // namespace revector::hnsw
