/// @file
/// Neighbours as integers: comparing two is one instruction, so the best of many are chosen without a branch on them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/hnsw/graph.hpp"

namespace revector::hnsw {

/// A neighbour in the order of `closer`: its distance, whose bits are turned so that they ascend, above its id.
using Ranked = std::uint64_t;

constexpr std::uint32_t sign_bit = 0x80000000U;  // of a float

inline Ranked ranked(float distance, NodeId id) {
  const auto bits = std::bit_cast<std::uint32_t>(distance + 0.0F);  // -0 becomes 0, which it equals
  return Ranked{(bits & sign_bit) != 0 ? ~bits : bits | sign_bit} << 32U | id;
}
inline NodeId id_of(Ranked one) { return static_cast<NodeId>(one); }
inline float distance_of(Ranked one) {
  const auto bits = static_cast<std::uint32_t>(one >> 32U);
  return std::bit_cast<float>((bits & sign_bit) != 0 ? bits & ~sign_bit : ~bits);
}

/// Bring the k smallest to the front, in no order. Quickselect (Hoare 1961) that moves every element and counts those
/// below the pivot: std::nth_element waits for a branch that half of the elements mispredict.
inline void select_first(std::span<Ranked> all, std::size_t k) {
  std::size_t begin = 0, end = all.size();
  while (begin < k && k < end) {
    Ranked &first = all[begin], &middle = all[begin + (end - begin) / 2], &last = all[end - 1];
    // The median of three goes last.
    if (middle < first) std::swap(middle, first);
    if (last < first) std::swap(last, first);
    if (middle < last) std::swap(middle, last);
    const Ranked pivot = last;
    std::size_t below = begin;
    for (std::size_t i = begin; i + 1 < end; ++i) {
      const Ranked one = all[i];
      all[i] = all[below];
      all[below] = one;
      below += one < pivot ? 1 : 0;
    }
    std::swap(all[below], last);
    if (k <= below)
      end = below;
    else
      begin = below + 1;
  }
}

}  // namespace revector::hnsw
