/// @file
/// Who belongs to what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace revector::hnsw {

/// Positions grouped by the number each has, in order.
class Members {
 public:
  Members(std::span<const std::uint32_t> number_of, std::size_t numbers) : begin_(numbers + 1), all_(number_of.size()) {
    for (std::uint32_t number : number_of) ++begin_[number + 1];
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    std::vector<std::uint32_t> next(begin_.begin(), begin_.end() - 1);
    for (std::size_t i = 0; i < number_of.size(); ++i) all_[next[number_of[i]]++] = static_cast<std::uint32_t>(i);
  }

  std::size_t numbers() const { return begin_.size() - 1; }
  std::uint32_t begin(std::size_t number) const { return begin_[number]; }
  std::span<std::uint32_t> of(std::size_t number) {
    return std::span(all_).subspan(begin_[number], begin_[number + 1] - begin_[number]);
  }
  std::span<const std::uint32_t> of(std::size_t number) const {
    return std::span(all_).subspan(begin_[number], begin_[number + 1] - begin_[number]);
  }
  /// All of them, number by number.
  std::vector<std::uint32_t> take() && { return std::move(all_); }

 private:
  std::vector<std::uint32_t> begin_, all_;
};

}  // namespace revector::hnsw
