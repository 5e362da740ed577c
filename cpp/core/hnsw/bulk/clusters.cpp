#include "core/hnsw/bulk/clusters.hpp"

#include <algorithm>
#include <random>
#include <utility>

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

/// List the parts of centroids, those up to the first none, `own` first.
void expand(std::span<const std::uint32_t> centroids, std::span<const std::uint32_t> first_part, std::uint32_t own,
            std::span<std::uint32_t> list) {
  std::size_t n = 0;
  list[n++] = own;
  for (std::uint32_t centroid : centroids) {
    if (centroid == Clusters::none) break;
    for (std::uint32_t part = first_part[centroid]; part < first_part[centroid + 1] && n < list.size(); ++part)
      if (part != own) list[n++] = part;
  }
  std::fill(list.begin() + static_cast<std::ptrdiff_t>(n), list.end(), Clusters::none);
}

}  // namespace

Clusters::Lists Clusters::near(std::size_t cluster, const Points& members) const {
  std::vector<std::uint32_t> nearest(members.size * probes);
  centroids.nearest(members, 0, members.size, probes, nearest.data());
  Lists lists;
  lists.resize(members.size, std::min(size(), probes));
  for (std::size_t i = 0; i < members.size; ++i)
    expand(std::span(nearest).subspan(i * probes, probes), first_part, static_cast<std::uint32_t>(cluster),
           lists.of(i));
  return lists;
}

Clusters cluster(const Points& points, Metric metric, const ClusterOptions& options) {
  const bool by_distance = metric == Metric::l2;
  const Centroids centroids(points, metric, std::max<std::size_t>(1, points.size / options.members), options.seed);
  const std::size_t around = std::min(centroids.size(), options.around);
  // What is near by inner product need not be where a point lies.
  const std::vector<std::uint32_t> home = centroids.nearest(points, metric != Metric::cosine, 1),
                                   near = centroids.nearest(centroids.points(), by_distance, around);
  Members members(home, centroids.size());
  Parts parts(members, 2 * options.members, options.seed);

  Clusters clusters{std::move(members).take(), std::move(parts.begin), {}, PackedCentroids(centroids, by_distance),
                    std::move(parts.first),    options.probes};
  clusters.around.resize(clusters.size(), std::min(clusters.size(), options.around));
  for (std::size_t centroid = 0; centroid < centroids.size(); ++centroid)
    for (std::uint32_t part = clusters.first_part[centroid]; part < clusters.first_part[centroid + 1]; ++part)
      expand(std::span(near).subspan(centroid * around, around), clusters.first_part, part, clusters.around.of(part));
  return clusters;
}

}  // namespace revector::hnsw
