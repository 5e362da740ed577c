/// @file
/// Labels of an index as views.
#pragma once

#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <span>

#include "bindings/arrays.hpp"

using Labels = Array<std::int64_t>;
using Allowed = std::optional<Labels>;

/// @throws ShapeError
inline std::span<const std::int64_t> view_labels(const Labels& labels) { return elements(labels, "labels"); }

/// @throws ShapeError
inline std::optional<std::span<const std::int64_t>> view_allowed(const Allowed& allowed) {
  return allowed ? std::optional(view_labels(*allowed)) : std::nullopt;
}
