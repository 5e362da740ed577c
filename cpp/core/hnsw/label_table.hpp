/// @file
/// Which node has a label.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

namespace revector::hnsw {

/// In parts that grow at different times: making one table of a million entries longer takes 50 ms, for which an index
/// would keep its searches waiting.
class LabelTable {
 public:
  std::optional<std::uint32_t> find(std::int64_t label) const {
    const auto& part = parts_[part_of(label)];
    const auto found = part.find(label);
    return found == part.end() ? std::nullopt : std::optional(found->second);
  }
  /// The label must be new. @throws std::bad_alloc; nothing has changed then
  void insert(std::int64_t label, std::uint32_t node) { parts_[part_of(label)].emplace(label, node); }
  void erase(std::int64_t label) { parts_[part_of(label)].erase(label); }

  /// Make room for n labels at once.
  void reserve(std::size_t n) {
    for (auto& part : parts_) part.reserve(n / n_parts + n / n_parts / 8);
  }

 private:
  static constexpr std::size_t n_parts = 64;

  /// By the upper bits of a product with 2^64 / golden ratio, which spread labels of any stride (Knuth, vol. 3, 6.4).
  static std::size_t part_of(std::int64_t label) {
    return (static_cast<std::uint64_t>(label) * 0x9e3779b97f4a7c15U) >> 58U;
  }

  std::array<std::unordered_map<std::int64_t, std::uint32_t>, n_parts> parts_;
};

}  // namespace revector::hnsw
