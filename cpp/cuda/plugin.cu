#include "cuda/plugin.hpp"

#include <cstdio>

#include "cuda/device_buffer.cuh"
#include "cuda/similarity.cuh"

namespace revector::cuda {
namespace {

/// Run body; what it throws becomes the status.
template <class Body>
Status guarded(Body&& body) noexcept {
  Status status{true, ""};
  try {
    body();
  } catch (const std::exception& error) {
    status.ok = false;
    std::snprintf(status.message, sizeof(status.message), "%s", error.what());
  }
  return status;
}

Status probe() {
  return guarded([] {
    int devices = 0;
    check(cudaGetDeviceCount(&devices), "looking for a GPU");
    if (devices == 0) throw CudaError("no GPU found");
  });
}

Status guarded_topk(const float* queries, std::size_t q, const float* documents, std::size_t n, std::size_t d,
                    std::size_t k, float* scores, std::int64_t* indices) {
  return guarded([&] { topk(queries, q, documents, n, d, k, scores, indices); });
}

}  // namespace
}  // namespace revector::cuda

extern "C" __attribute__((visibility("default"))) const revector::cuda::PluginTable* revector_cuda_plugin() {
  static const revector::cuda::PluginTable table{revector::cuda::plugin_abi, revector::cuda::probe,
                                                 revector::cuda::guarded_topk};
  return &table;
}
