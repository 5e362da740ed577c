/// @file
/// What may still belong to the results of one query, from approximate scores whose error is bounded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/similarity/kth_largest.hpp"
#include "core/topk.hpp"

namespace revector {

/// Keeps every document that the bounds do not rule out, so that the true results are among them. With a k, a document
/// is ruled out once k others are certain to score higher; without (k = 0), once it is certain to miss the floor.
class Candidates {
 public:
  explicit Candidates(std::size_t k, float floor = -std::numeric_limits<float>::infinity())
      : k_(k), floor_(floor), certain_(k) {}

  /// A document whose score cannot reach this is ruled out.
  float bar() const { return std::max(floor_, certain_.bound()); }

  /// A score that is known from elsewhere to be reached by k documents.
  void raise(float floor) { floor_ = std::max(floor_, floor); }

  /// The score is right to within `margin`.
  void offer(float score, float margin, std::int64_t index) {
    if (score + margin < bar()) return;
    certain_.push(score - margin);
    possible_.push_back({score + margin, index});
  }

  /// Whether so many are undecided (copies of one document, say) that exact scores are the cheaper way on.
  bool crowded() const { return k_ > 0 && possible_.size() >= limit_; }

  /// Replace bounds by exact scores: score(index) of a candidate, which score.expect(index) announced. The most
  /// promising go first, so that most need no exact score: they cannot reach the k best of those that have one.
  template <class Score>
  void decide(Score score) {
    constexpr std::size_t ahead = 4;
    drop_ruled_out();
    if (k_ > 0) std::sort(possible_.begin(), possible_.end(), better);
    TopK best(k_);
    for (std::size_t i = 0; i < possible_.size(); ++i) {
      if (k_ > 0 && possible_[i].score < best.threshold()) {
        possible_.resize(i);
        break;
      }
      if (i + ahead < possible_.size()) score.expect(possible_[i + ahead].index);
      possible_[i].score = score(possible_[i].index);
      if (k_ > 0) best.push(possible_[i]);
    }
    settle();
  }

  /// Only sort what the approximate scores found; for callers who do not ask for exact ones (all margins are 0).
  void accept() {
    drop_ruled_out();
    settle();
  }

  /// Take over what another thread found for the same query.
  void merge(const Candidates& other) {
    for (const Scored& entry : other.possible_)
      if (entry.score >= bar()) possible_.push_back(entry);
    certain_.merge(other.certain_);
  }

  /// After decide() or accept(): the results, best first.
  const std::vector<Scored>& results() const { return possible_; }

 private:
  void drop_ruled_out() {
    certain_.tighten();
    const float least = bar();
    std::erase_if(possible_, [least](const Scored& entry) { return entry.score < least; });
  }

  /// Keep the k best of what now are scores, not bounds.
  void settle() {
    std::sort(possible_.begin(), possible_.end(), better);
    if (k_ > 0 && possible_.size() > k_) possible_.resize(k_);
    certain_ = KthLargest(k_);
    for (const Scored& entry : possible_) certain_.push(entry.score);
    drop_ruled_out();
    limit_ = std::max(limit_, 2 * possible_.size());
  }

  std::size_t k_;
  float floor_;
  KthLargest certain_;            // of lower bounds
  std::vector<Scored> possible_;  // upper bounds
  std::size_t limit_ = std::max<std::size_t>(4096, 16 * k_);
};

}  // namespace revector
