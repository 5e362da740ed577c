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

/// A cluster that some points of another are compared with.
struct Meeting {
  std::uint32_t target;
  std::vector<std::uint32_t> near, far;  // members that it lies near to, and those that only meet its sample
};

}  // namespace

CandidateSearch::CandidateSearch(const Graph& graph, std::span<const NodeId> nodes, const Clusters& clusters,
                                 const CandidateOptions& options)
    : graph_(graph), nodes_(nodes), clusters_(clusters), options_(options), blocks_(clusters.size()) {
  parallel_for(blocks_.size(), 1, [&](std::size_t c, std::size_t) { blocks_[c] = pack(c); });
}

Targets CandidateSearch::pack(std::size_t cluster) const {
  const std::size_t n = clusters_.members(cluster), d = graph_.dim();
  const AlignedFloats rows = gathered(graph_, nodes_.subspan(clusters_.begin[cluster], n));
  return {{rows.data(), n, d}, graph_.metric() == Metric::l2};
}

std::size_t CandidateSearch::sampled(std::size_t cluster) const {
  const std::size_t n = clusters_.members(cluster), panel = blocks_[cluster].panel_width();
  const std::size_t panels = (n / options_.sampling + panel / 2) / panel;
  return std::min(n, std::max<std::size_t>(panels, 1) * panel);
}

/// The work on one cluster.
class CandidateSearch::Search {
 public:
  Search(const CandidateSearch& all, std::size_t cluster)
      : all_(all),
        cluster_(cluster),
        first_(all.clusters_.begin[cluster]),
        n_(all.clusters_.members(cluster)),
        members_(all.blocks_[cluster].format(), n_, all.graph_.dim()),
        some_(all.blocks_[cluster].format(), rows_a_product, all.graph_.dim()),
        near_(n_, Shortlist(all.options_.near)),
        far_(n_, Shortlist(all.options_.far)) {
    rows_ = gathered(all.graph_, all.nodes_.subspan(first_, n_));
    members_.assign(MatrixView<const float>(rows_.data(), n_, all.graph_.dim()));
    if (!all.blocks_[cluster].format().reads_floats()) rows_ = {};  // else the operand reads them where they are
  }

  void run() {
    for (const Meeting& meeting : meetings()) {
      score(meeting.target, meeting.near, true);
      score(meeting.target, meeting.far, false);
    }
  }

  void report(const Visit& visit) {
    for (std::size_t i = 0; i < n_; ++i) visit(first_ + i, near_[i].best(), far_[i].best());
  }

 private:
  /// Those that are nearest to some point first, so that bars are high early.
  std::vector<Meeting> meetings() const {
    std::vector<Meeting> all;
    std::vector<std::uint32_t> place(all_.clusters_.size(), Clusters::none);
    const auto meeting_with = [&](std::uint32_t target) -> Meeting& {
      if (place[target] == Clusters::none) {
        place[target] = static_cast<std::uint32_t>(all.size());
        all.push_back({target, {}, {}});
      }
      return all[place[target]];
    };
    const Graph& graph = all_.graph_;
    const Clusters::Lists near =
        all_.clusters_.near(cluster_, {n_, graph.dim(), [&](std::size_t i, float* out) {
                                         std::copy_n(graph.vector(all_.nodes_[first_ + i]), graph.dim(), out);
                                       }});
    for (std::size_t rank = 0; rank < near.width; ++rank)
      for (std::uint32_t i = 0; i < n_; ++i)
        if (const std::uint32_t target = near.of(i)[rank]; target != Clusters::none)
          meeting_with(target).near.push_back(i);
    for (std::uint32_t target : all_.clusters_.around.of(cluster_))
      if (target != Clusters::none) add_others(meeting_with(target));
    return all;
  }

  /// Members that are not near become those that meet the sample.
  void add_others(Meeting& meeting) const {
    std::vector<std::uint32_t> near = meeting.near;
    std::sort(near.begin(), near.end());
    auto next = near.begin();
    for (std::uint32_t i = 0; i < n_; ++i)
      if (next != near.end() && *next == i)
        ++next;
      else
        meeting.far.push_back(i);
  }

  void score(std::uint32_t target, std::span<const std::uint32_t> members, bool near) {
    const Targets& block = all_.blocks_[target];
    const std::size_t few = all_.sampled(target), n = near ? block.size() : few;
    const std::uint32_t first = all_.clusters_.begin[target];
    scores_.resize(rows_a_product * n);
    positions_.resize(n);
    for (std::size_t begin = 0; begin < members.size(); begin += rows_a_product) {
      const auto some = members.subspan(begin, std::min(rows_a_product, members.size() - begin));
      some_.gather(members_, some);
      block.score(some_, {scores_.data(), some.size(), n});
      for (std::size_t i = 0; i < some.size(); ++i) {
        const float* scores = scores_.data() + i * n;
        offer(far_[some[i]], {scores, few}, first, some[i]);
        if (near) offer(near_[some[i]], {scores, n}, first, some[i]);
      }
    }
  }

  void offer(Shortlist& list, std::span<const float> scores, std::uint32_t first, std::uint32_t member) {
    const std::size_t count =
        kernels::table().rows.at_least(scores.data(), scores.size(), list.bar(), positions_.data());
    for (std::size_t i = 0; i < count; ++i)
      if (const NodeId position = first + positions_[i]; position != first_ + member)
        list.offer(scores[positions_[i]], position);
  }

  const CandidateSearch& all_;
  std::size_t cluster_, first_, n_;
  AlignedFloats rows_, scores_;
  Operand members_, some_;
  std::vector<Shortlist> near_, far_;
  std::vector<std::uint32_t> positions_;
};

void CandidateSearch::visit(std::size_t cluster, const Visit& visit) const {
  Search search(*this, cluster);
  search.run();
  search.report(visit);
}

}  // namespace revector::hnsw
