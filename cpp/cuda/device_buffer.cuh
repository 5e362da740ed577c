/// @file
/// Memory on the GPU, and the one place that looks at CUDA's error codes.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace revector::cuda {

class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// @throws CudaError naming what failed
inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw CudaError(std::string(what) + ": " + cudaGetErrorString(error));
}

/// An owned array of n elements on the current GPU.
template <class T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(std::size_t n) : n_(n) { check(cudaMalloc(&data_, n * sizeof(T)), "cudaMalloc"); }
  ~DeviceBuffer() { cudaFree(data_); }
  DeviceBuffer(DeviceBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), n_(other.n_) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(n_, other.n_);
    return *this;
  }

  T* data() { return data_; }
  std::size_t size() const { return n_; }
  void copy_from(const T* host, std::size_t n) {
    check(cudaMemcpy(data_, host, n * sizeof(T), cudaMemcpyHostToDevice), "copy to the GPU");
  }
  void copy_to(T* host, std::size_t n, std::size_t offset) const {
    check(cudaMemcpy(host, data_ + offset, n * sizeof(T), cudaMemcpyDeviceToHost), "copy from the GPU");
  }

 private:
  T* data_ = nullptr;
  std::size_t n_ = 0;
};

}  // namespace revector::cuda
