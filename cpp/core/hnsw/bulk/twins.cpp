#include "core/hnsw/bulk/twins.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

#include "core/aligned.hpp"
#include "core/thread_pool.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t points_a_piece = 256;
constexpr std::size_t most_children = 3;  // of a twin in their tree

std::string_view bytes_of(const AlignedFloats& row) {
  return {reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)};
}

std::vector<std::size_t> hashes_of(const Points& points) {
  std::vector<std::size_t> hashes(points.size);
  parallel_for(points.size, points_a_piece, [&](std::size_t begin, std::size_t end) {
    AlignedFloats row(points.dim);
    for (std::size_t i = begin; i < end; ++i) {
      points.read(i, row.data());
      hashes[i] = std::hash<std::string_view>()(bytes_of(row));
    }
  });
  return hashes;
}

/// For each point the first one that is the same.
std::vector<std::uint32_t> firsts_of(const Points& points) {
  const std::vector<std::size_t> hashes = hashes_of(points);
  std::vector<std::uint32_t> order(points.size), first(points.size);
  std::iota(order.begin(), order.end(), 0);
  std::iota(first.begin(), first.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return hashes[a] < hashes[b] || (hashes[a] == hashes[b] && a < b);
  });
  AlignedFloats row(points.dim), other(points.dim);
  for (std::size_t i = 1, begin = 0; i < order.size(); ++i) {
    if (hashes[order[i]] != hashes[order[begin]]) {
      begin = i;
      continue;
    }
    if (i == begin + 1) points.read(order[begin], row.data());
    points.read(order[i], other.data());
    if (bytes_of(row) == bytes_of(other)) first[order[i]] = order[begin];  // else the hashes are alike by chance
  }
  return first;
}

Members by_kind(const Points& points) {
  std::vector<std::uint32_t> kind = firsts_of(points);
  std::uint32_t kinds = 0;
  // In order, so that the first of a kind has its number before the others ask for it.
  for (std::uint32_t i = 0; i < points.size; ++i) kind[i] = kind[i] == i ? kinds++ : kind[kind[i]];
  return {kind, kinds};
}

}  // namespace

Twins::Twins(const Points& points) : members_(by_kind(points)) {}

void link_twins(Graph& graph, std::size_t level, std::span<const NodeId> twins) {
  if (twins.size() == 1) return;
  const std::size_t most = graph.capacity(level), fan = std::max<std::size_t>(1, std::min(most_children, most / 4));
  const auto kept = graph.links(twins[0], level);
  const std::vector<NodeId> shared(kept.begin(), kept.end());
  std::vector<NodeId> links;
  for (std::size_t i = 0; i < twins.size(); ++i) {
    links.clear();
    for (std::size_t child = i * fan + 1; child <= i * fan + fan && child < twins.size(); ++child)
      links.push_back(twins[child]);
    if (i > 0 && links.size() < most) links.push_back(twins[0]);
    for (NodeId link : shared)
      if (links.size() < most) links.push_back(link);
    graph.set_links(twins[i], level, links);
  }
}

}  // namespace revector::hnsw
