/// @file
#pragma once

#include <cstddef>
#include <cstdint>

namespace revector::cuda {

/// As PluginTable::topk; throws CudaError.
void topk(const float* queries, std::size_t q, const float* documents, std::size_t n, std::size_t d, std::size_t k,
          float* scores, std::int64_t* indices);

}  // namespace revector::cuda
