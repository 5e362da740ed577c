#include "core/hnsw/search.hpp"

#include <limits>

#include "core/topk.hpp"

namespace revector::hnsw {

std::unique_ptr<Scratch> ScratchPool::take() {
  const std::scoped_lock lock(mutex_);
  if (idle_.empty()) {
    idle_.reserve(made_ + 1);
    auto scratch = std::make_unique<Scratch>();
    ++made_;
    return scratch;
  }
  auto scratch = std::move(idle_.back());
  idle_.pop_back();
  return scratch;
}

void ScratchPool::put(std::unique_ptr<Scratch> scratch) noexcept {
  const std::scoped_lock lock(mutex_);
  idle_.push_back(std::move(scratch));  // never allocates: take() made the room
}

void search_one(const Graph& graph, const float* query, std::size_t k, std::size_t ef, Scratch& scratch, float* scores,
                std::int64_t* labels) {
  std::fill_n(scores, k, -std::numeric_limits<float>::infinity());
  std::fill_n(labels, k, std::int64_t{-1});
  if (graph.size() == graph.n_deleted()) return;
  const PlainLinks read(graph);
  const Neighbor start = descend_to(graph, query, graph.entry, 0, read);
  if (graph.n_deleted() == 0)
    search_level(graph, query, start, 0, ef, scratch, read, [](NodeId) { return true; });
  else
    search_level(graph, query, start, 0, ef, scratch, read, [&](NodeId id) { return !graph.is_deleted(id); });
  TopK results(std::min(k, scratch.best.size()));
  for (const Neighbor& found : scratch.best) results.push({-found.distance, graph.label(found.id)});
  for (const Scored& result : results.take()) {
    *scores++ = result.score;
    *labels++ = result.index;
  }
}

}  // namespace revector::hnsw
