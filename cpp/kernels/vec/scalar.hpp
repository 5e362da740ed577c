/// @file
/// Four floats in plain C++: the reference that every machine can run.
#pragma once

#include <cstddef>

namespace {

struct Vec {
  static constexpr std::size_t width = 4;
  float lane[width];

  static Vec zero() { return {{0, 0, 0, 0}}; }
  static Vec set(float x) { return {{x, x, x, x}}; }
  static Vec load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static Vec load_first(const float* p, std::size_t n) {
    Vec v = zero();
    for (std::size_t i = 0; i < n; ++i) v.lane[i] = p[i];
    return v;
  }
  void store(float* p) const {
    for (std::size_t i = 0; i < width; ++i) p[i] = lane[i];
  }
  void store_first(float* p, std::size_t n) const {
    for (std::size_t i = 0; i < n; ++i) p[i] = lane[i];
  }
  float sum() const { return (lane[0] + lane[1]) + (lane[2] + lane[3]); }
};

template <class Op>
inline Vec lanewise(Op op) {
  Vec v;
  for (std::size_t i = 0; i < Vec::width; ++i) v.lane[i] = op(i);
  return v;
}
inline Vec operator+(Vec a, Vec b) {
  return lanewise([&](std::size_t i) { return a.lane[i] + b.lane[i]; });
}
inline Vec operator-(Vec a, Vec b) {
  return lanewise([&](std::size_t i) { return a.lane[i] - b.lane[i]; });
}
inline Vec operator*(Vec a, Vec b) {
  return lanewise([&](std::size_t i) { return a.lane[i] * b.lane[i]; });
}
/// a * b + c
inline Vec fma(Vec a, Vec b, Vec c) {
  return lanewise([&](std::size_t i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
}

}  // namespace
