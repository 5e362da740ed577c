/// @file
/// The k best of a stream of scored indices.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace revector {

struct Scored {
  float score;
  std::int64_t index;
};

/// Total order of results: higher score first, ties by lower index.
inline constexpr auto better = [](const Scored& a, const Scored& b) {
  return a.score > b.score || (a.score == b.score && a.index < b.index);
};

/// A heap of at most k entries whose front is the worst one kept.
class TopK {
 public:
  explicit TopK(std::size_t k) : k_(k) { heap_.reserve(k); }

  /// The score an entry must at least have to be kept.
  float threshold() const { return heap_.size() < k_ ? -std::numeric_limits<float>::infinity() : heap_.front().score; }

  void push(Scored entry) {
    if (heap_.size() < k_) {
      heap_.push_back(entry);
      std::push_heap(heap_.begin(), heap_.end(), better);
    } else if (better(entry, heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), better);
      heap_.back() = entry;
      std::push_heap(heap_.begin(), heap_.end(), better);
    }
  }

  /// The entries kept, best first; the heap is empty afterwards.
  std::vector<Scored> take() {
    std::sort_heap(heap_.begin(), heap_.end(), better);
    return std::move(heap_);
  }

 private:
  std::size_t k_;
  std::vector<Scored> heap_;
};

}  // namespace revector
