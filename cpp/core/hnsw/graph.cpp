#include "core/hnsw/graph.hpp"

#include <algorithm>
#include <cmath>

#include "core/kernels.hpp"
#include "core/unit_rows.hpp"

namespace revector::hnsw {
namespace {

constexpr std::size_t vector_alignment_bytes = 64;  // a row of 384 floats then touches 24 cache lines, not 25

/// SplitMix64's finaliser (Steele, Lea & Flood 2014): every bit of x moves every bit of the result.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

}  // namespace

Distance::Distance(Metric metric, std::size_t dim)
    : kernel_(metric == Metric::l2 ? kernels::table().rows.squared_distance : kernels::table().rows.dot),
      sign_(metric == Metric::l2 ? 1.0F : -1.0F),
      dim_(dim) {}

void prepare_row(Metric metric, const float* vector, float* out, std::size_t dim) {
  if (metric == Metric::cosine)
    normalize_row(kernels::table().rows, vector, out, dim);
  else
    std::copy_n(vector, dim, out);
}

bool is_measurable(const float* row, std::size_t dim) {
  return std::isfinite(kernels::table().rows.dot(row, row, dim));
}

Graph::Graph(std::size_t dim, Metric metric, HnswOptions options, bool for_search)
    : dim_(dim),
      metric_(metric),
      options_(options),
      distance_(metric, dim),
      vectors_(dim, vector_alignment_bytes),
      base_(2 * options.m + 1, sizeof(NodeId)) {
  if (!for_search) return;
  ids_.emplace();
  if (CoarseRows::pay(dim)) coarse_.emplace(dim);
}

void Graph::set_deleted(NodeId id, bool deleted) {
  if (is_deleted(id) == deleted) return;
  deleted_[id] = deleted ? 1 : 0;
  deleted ? ++n_deleted_ : --n_deleted_;
}

void Graph::permute_vectors(std::span<const NodeId> order) {
  const auto copy = [&](const float* from, NodeId to) {
    write_vector(to, [&](float* out) { std::copy_n(from, dim_, out); });
  };
  std::vector<bool> done(order.size());
  std::vector<float> first(dim_);
  for (NodeId begin = 0; begin < order.size(); ++begin) {
    if (done[begin]) continue;
    std::copy_n(vector(begin), dim_, first.data());
    NodeId at = begin;
    for (; order[at] != begin; at = order[at]) {
      copy(vector(order[at]), at);
      done[at] = true;
    }
    copy(first.data(), at);
    done[at] = true;
  }
}

void Graph::set_links(NodeId id, std::size_t level, std::span<const NodeId> links) {
  NodeId* list = list_of(id, level);
  *list = static_cast<NodeId>(links.size());
  std::copy(links.begin(), links.end(), list + 1);
}

void Graph::push_link(NodeId id, std::size_t level, NodeId link) {
  NodeId* list = list_of(id, level);
  list[++*list] = link;
}

void Graph::reserve(std::size_t n) {
  vectors_.reserve(n);
  if (coarse_) coarse_->reserve(n);
  base_.reserve(n);
  if (n <= labels_.capacity()) return;
  const std::size_t room = std::max(n, labels_.capacity() + labels_.capacity() / 2);
  upper_.reserve(room);
  levels_.reserve(room);
  deleted_.reserve(room);
  if (ids_ && labels_.empty()) ids_->reserve(n);  // growth is left to the table, which takes it in small steps
  labels_.reserve(room);                          // last: its capacity stands for all
}

NodeId Graph::append(std::int64_t label, std::size_t level) {
  const auto id = static_cast<NodeId>(labels_.size());
  reserve(labels_.size() + 1);
  if (ids_) ids_->insert(label, id);
  upper_.emplace_back();
  levels_.push_back(0);
  deleted_.push_back(0);
  labels_.push_back(label);
  *base_.row(id) = 0;
  set_level(id, level);
  return id;
}

void Graph::set_level(NodeId id, std::size_t level) {
  if (level > 0) upper_[id] = std::make_unique<NodeId[]>(level * (options_.m + 1));  // zeroed: no links
  levels_[id] = static_cast<std::uint8_t>(level);
}

void Graph::truncate(std::size_t n) {
  while (labels_.size() > n) {
    set_deleted(static_cast<NodeId>(labels_.size() - 1), false);
    if (ids_) ids_->erase(labels_.back());
    labels_.pop_back();
    upper_.pop_back();
    levels_.pop_back();
    deleted_.pop_back();
  }
  for (NodeId id = 0; id < n; ++id)
    for (std::size_t at = 0; at <= level(id); ++at) {
      NodeId* list = list_of(id, at);
      *list = static_cast<NodeId>(std::remove_if(list + 1, list + 1 + *list, [n](NodeId link) { return link >= n; }) -
                                  (list + 1));
    }
}

std::size_t Graph::draw_level(NodeId id) const {
  // Uniform in (0, 1]; the smallest, 2^-53, bounds the level by 53.
  const double u = (static_cast<double>(mix(mix(options_.seed) ^ id) >> 11U) + 1) * 0x1p-53;
  return static_cast<std::size_t>(-std::log(u) / std::log(static_cast<double>(options_.m)));
}

}  // namespace revector::hnsw
