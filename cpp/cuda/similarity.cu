// Exact top-k on the GPU: tiles of scores by a float32 product in shared memory, then a stable segmented sort, so that
// ties keep the lower index. Documents stream through in chunks, so a collection may be larger than the GPU's memory.
#include "cuda/similarity.cuh"

#include <cub/device/device_segmented_sort.cuh>

#include <algorithm>
#include <vector>

#include "core/topk.hpp"
#include "cuda/device_buffer.cuh"

namespace revector::cuda {
namespace {

constexpr int tile = 32;  // a block makes tile x tile scores, one a thread
constexpr std::size_t chunk_documents = 32768;
constexpr std::size_t chunk_queries = 256;  // scores of a chunk: 256 x 32768 floats, sorted in place

/// scores[q x n] = queries[q x d] documents[n x d]^T, and indices[q x n] = the document's number within the chunk.
__global__ void score_tile(const float* queries, std::size_t q, const float* documents, std::size_t n, std::size_t d,
                           float* scores, std::int32_t* indices) {
  __shared__ float left[tile][tile + 1], right[tile][tile + 1];  // + 1: columns fall into different banks
  const std::size_t row = blockIdx.y * tile + threadIdx.y, column = blockIdx.x * tile + threadIdx.x;
  const std::size_t document = blockIdx.x * tile + threadIdx.y;
  float sum = 0;
  for (std::size_t base = 0; base < d; base += tile) {
    const std::size_t at = base + threadIdx.x;
    left[threadIdx.y][threadIdx.x] = row < q && at < d ? queries[row * d + at] : 0.0F;
    right[threadIdx.y][threadIdx.x] = document < n && at < d ? documents[document * d + at] : 0.0F;
    __syncthreads();
    for (int i = 0; i < tile; ++i) sum = fmaf(left[threadIdx.y][i], right[threadIdx.x][i], sum);
    __syncthreads();
  }
  if (row < q && column < n) {
    scores[row * n + column] = sum;
    indices[row * n + column] = static_cast<std::int32_t>(column);
  }
}

std::vector<std::int32_t> segment_starts(std::size_t segments, std::size_t length) {
  std::vector<std::int32_t> starts(segments + 1);
  for (std::size_t i = 0; i <= segments; ++i) starts[i] = static_cast<std::int32_t>(i * length);
  return starts;
}

/// Scores of one chunk of documents for some queries, sorted on the GPU.
class ChunkSearch {
 public:
  explicit ChunkSearch(std::size_t q, std::size_t n)
      : scores_(q * n), sorted_scores_(q * n), indices_(q * n), sorted_indices_(q * n), starts_(q + 1) {}

  void run(const float* queries, std::size_t q, const float* documents, std::size_t n, std::size_t d) {
    const dim3 threads(tile, tile);
    const dim3 blocks(static_cast<unsigned>((n + tile - 1) / tile), static_cast<unsigned>((q + tile - 1) / tile));
    score_tile<<<blocks, threads>>>(queries, q, documents, n, d, scores_.data(), indices_.data());
    check(cudaGetLastError(), "score_tile");
    starts_.copy_from(segment_starts(q, n).data(), q + 1);
    std::size_t bytes = 0;
    sort(nullptr, bytes, q, n);
    if (bytes > scratch_.size()) scratch_ = DeviceBuffer<char>(bytes);
    sort(scratch_.data(), bytes, q, n);
  }

  /// Push the best of each query into its heap.
  void push(std::size_t q, std::size_t n, std::size_t k, std::size_t first_document, TopK* best) const {
    const std::size_t keep = std::min(k, n);
    std::vector<float> scores(keep);
    std::vector<std::int32_t> indices(keep);
    for (std::size_t i = 0; i < q; ++i) {
      sorted_scores_.copy_to(scores.data(), keep, i * n);
      sorted_indices_.copy_to(indices.data(), keep, i * n);
      for (std::size_t j = 0; j < keep; ++j)
        best[i].push({scores[j], static_cast<std::int64_t>(first_document) + indices[j]});
    }
  }

 private:
  void sort(void* scratch, std::size_t& bytes, std::size_t q, std::size_t n) {
    check(cub::DeviceSegmentedSort::StableSortPairsDescending(
              scratch, bytes, scores_.data(), sorted_scores_.data(), indices_.data(), sorted_indices_.data(),
              static_cast<std::int64_t>(q * n), static_cast<std::int64_t>(q), starts_.data(), starts_.data() + 1),
          "segmented sort");
  }

  DeviceBuffer<float> scores_, sorted_scores_;
  DeviceBuffer<std::int32_t> indices_, sorted_indices_, starts_;
  DeviceBuffer<char> scratch_{1};
};

}  // namespace

void topk(const float* queries, std::size_t q, const float* documents, std::size_t n, std::size_t d, std::size_t k,
          float* scores, std::int64_t* indices) {
  std::vector<TopK> best(q, TopK(k));
  const std::size_t q_step = std::min(q, chunk_queries), n_step = std::min(n, chunk_documents);
  DeviceBuffer<float> device_queries(q_step * d), device_documents(n_step * d);
  ChunkSearch search(q_step, n_step);
  for (std::size_t first = 0; first < n; first += n_step) {
    const std::size_t documents_now = std::min(n_step, n - first);
    device_documents.copy_from(documents + first * d, documents_now * d);
    for (std::size_t query = 0; query < q; query += q_step) {
      const std::size_t queries_now = std::min(q_step, q - query);
      device_queries.copy_from(queries + query * d, queries_now * d);
      search.run(device_queries.data(), queries_now, device_documents.data(), documents_now, d);
      search.push(queries_now, documents_now, k, first, best.data() + query);
    }
  }
  for (std::size_t i = 0; i < q; ++i) {
    const std::vector<Scored> found = best[i].take();
    for (std::size_t j = 0; j < found.size(); ++j) {
      scores[i * k + j] = found[j].score;
      indices[i * k + j] = found[j].index;
    }
  }
}

}  // namespace revector::cuda
