#include "core/hnsw/bulk/candidates.hpp"

#include <algorithm>

#include "core/aligned.hpp"
#include "core/thread_pool.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t rows_a_product = 64;  // their scores against a block stay in the second cache

/// Nodes as rows in memory.
AlignedFloats gathered(const Graph& graph, std::span<const NodeId> nodes) {
  const std::size_t d = graph.dim();
  AlignedFloats rows(nodes.size() * d);
  for (std::size_t i = 0; i < nodes.size(); ++i) std::copy_n(graph.vector(nodes[i]), d, rows.data() + i * d);
  return rows;
}

/// A point of the cluster that is looked after, and a cluster it probes.
struct Probe {
  std::uint32_t target, rank, member;
};

}  // namespace

CandidateSearch::CandidateSearch(const Graph& graph, std::span<const NodeId> nodes, const Clusters& clusters,
                                 const CandidateOptions& options)
    : graph_(graph), nodes_(nodes), clusters_(clusters), options_(options), blocks_(clusters.size()) {
  parallel_for(blocks_.size(), 1, [&](std::size_t c, std::size_t) { blocks_[c] = pack(c); });
}

CandidateSearch::Block CandidateSearch::pack(std::size_t cluster) const {
  const std::size_t n = clusters_.members(cluster), few = sampled(cluster), d = graph_.dim();
  const AlignedFloats rows = gathered(graph_, nodes_.subspan(clusters_.begin[cluster], n));
  const bool by_distance = graph_.metric() == Metric::l2;
  return {Targets({rows.data(), few, d}, by_distance), Targets({rows.data() + few * d, n - few, d}, by_distance)};
}

/// The work on one cluster.
class CandidateSearch::Search {
 public:
  Search(const CandidateSearch& all, std::size_t cluster)
      : all_(all),
        first_(all.clusters_.begin[cluster]),
        n_(all.clusters_.members(cluster)),
        d_(all.graph_.dim()),
        members_(all.blocks_[cluster].sample.precision(), n_, d_),
        some_(members_.precision(), rows_a_product, d_),
        near_(n_, Shortlist(all.options_.near)),
        far_(n_, Shortlist(all.options_.far)) {
    rows_ = gathered(all.graph_, all.nodes_.subspan(first_, n_));
    members_.assign(MatrixView<const float>(rows_.data(), n_, d_));
    if (members_.precision() != Precision::float32) rows_ = {};  // else the operand reads them where they are
  }

  void run() {
    const std::vector<Probe> probes = sorted_probes();
    for (std::size_t begin = 0; begin < probes.size();) {
      std::size_t end = begin + 1;
      while (end < probes.size() && end - begin < rows_a_product && probes[end].target == probes[begin].target &&
             is_near(probes[end]) == is_near(probes[begin]))
        ++end;
      score(std::span(probes).subspan(begin, end - begin));
      begin = end;
    }
  }

  void report(const Visit& visit) {
    for (std::size_t i = 0; i < n_; ++i) visit(first_ + i, near_[i].best(), far_[i].best());
  }

 private:
  bool is_near(const Probe& probe) const { return probe.rank < all_.options_.near_probes; }

  /// By cluster, the nearest ones (in whose lists they come first) before others, so that bars are high early.
  std::vector<Probe> sorted_probes() const {
    std::vector<Probe> probes;
    for (std::uint32_t i = 0; i < n_; ++i) {
      const auto near = all_.clusters_.near(first_ + i);
      for (std::uint32_t rank = 0; rank < near.size() && near[rank] != Clusters::none; ++rank)
        probes.push_back({near[rank], rank, i});
    }
    std::vector<std::uint32_t> best_rank(all_.clusters_.size(), UINT32_MAX);
    for (const Probe& probe : probes) best_rank[probe.target] = std::min(best_rank[probe.target], probe.rank);
    std::sort(probes.begin(), probes.end(), [&](const Probe& a, const Probe& b) {
      const auto key = [&](const Probe& p) { return std::tuple(best_rank[p.target], p.target, !is_near(p), p.member); };
      return key(a) < key(b);
    });
    return probes;
  }

  /// Points that probe one cluster, all of them near it or none.
  void score(std::span<const Probe> probes) {
    chosen_.clear();
    for (const Probe& probe : probes) chosen_.push_back(probe.member);
    some_.gather(members_, chosen_);
    const std::uint32_t target = probes.front().target, first = all_.clusters_.begin[target];
    const Block& block = all_.blocks_[target];
    offer(block.sample, first, true, is_near(probes.front()));
    if (is_near(probes.front()))
      offer(block.rest, first + static_cast<std::uint32_t>(block.sample.size()), false, true);
  }

  void offer(const Targets& targets, std::uint32_t first, bool far, bool near) {
    const std::size_t n = targets.size();
    if (n == 0) return;
    scores_.resize(rows_a_product * n);
    positions_.resize(n);
    targets.score(some_, {scores_.data(), chosen_.size(), n});
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      if (near) offer_to(near_[chosen_[i]], scores_.data() + i * n, n, first, chosen_[i]);
      if (far) offer_to(far_[chosen_[i]], scores_.data() + i * n, n, first, chosen_[i]);
    }
  }

  void offer_to(Shortlist& list, const float* scores, std::size_t n, std::uint32_t first, std::uint32_t member) {
    const std::size_t count = kernels::table().rows.at_least(scores, n, list.bar(), positions_.data());
    for (std::size_t i = 0; i < count; ++i)
      if (const NodeId position = first + positions_[i]; position != first_ + member)
        list.offer(scores[positions_[i]], position);
  }

  const CandidateSearch& all_;
  std::size_t first_, n_, d_;
  AlignedFloats rows_, scores_;
  Operand members_, some_;
  std::vector<Shortlist> near_, far_;
  std::vector<std::uint32_t> chosen_, positions_;
};

void CandidateSearch::visit(std::size_t cluster, const Visit& visit) const {
  Search search(*this, cluster);
  search.run();
  search.report(visit);
}

}  // namespace revector::hnsw
