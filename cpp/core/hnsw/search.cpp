#include "core/hnsw/search.hpp"

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

namespace {

/// Walk level 0 from where the descent ends, with whatever reads links and admits nodes here.
template <class ReadLinks, class Collect>
void walk(const Graph& graph, const float* query, const NodeSet* allowed, Collect collect, Scratch& scratch,
          const ReadLinks& read) {
  const GraphDistances distance_to(graph, query);
  const Neighbor start = descend_to(distance_to, read.entry(), 0, read);
  const auto admitting = [&](const auto& admit) { walk_level(distance_to, start, 0, collect, scratch, read, admit); };
  if (allowed != nullptr)
    admitting([&](NodeId id) { return allowed->contains(id); });
  else if (graph.n_deleted() == 0)
    admitting([](NodeId) { return true; });
  else
    admitting([&](NodeId id) { return !graph.is_deleted(id); });
}

template <class Collect>
void walk(const Graph& graph, const float* query, const Lookup& how, Collect collect, Scratch& scratch) {
  if (how.locks == nullptr)
    walk(graph, query, how.allowed, collect, scratch, PlainLinks(graph));
  else
    walk(graph, query, how.allowed, collect, scratch, LockedLinks(graph, *how.locks, scratch.links));
}

}  // namespace

std::span<const Neighbor> find_nearest(const Graph& graph, const float* query, const Lookup& how, Scratch& scratch) {
  scratch.begin(graph.size());
  if (graph.size() > graph.n_deleted()) walk(graph, query, how, Beam(scratch.best, how.ef), scratch);
  return scratch.best;
}

std::vector<Neighbor> find_within(const Graph& graph, const float* query, float radius, const Lookup& how,
                                  Scratch& scratch) {
  std::vector<Neighbor> inside;
  scratch.begin(graph.size());
  if (graph.size() > graph.n_deleted())
    walk(graph, query, how, Ball(inside, radius, Beam(scratch.best, how.ef)), scratch);
  return inside;
}

}  // namespace revector::hnsw
