/// @file
/// Which instructions and how many threads the library uses.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "revector/export.hpp"

namespace revector {

/// Instruction sets, weakest first. The names are those of the files in cpp/kernels/<family>/; avx512
/// includes VNNI.
enum class Isa { scalar, avx2, avx512, avx512_bf16, amx };

/// Name of an instruction set, as REVECTOR_ISA takes it.
REVECTOR_API const char* isa_name(Isa isa);

/// The instruction sets that this build has and this CPU (with this operating system) can run, weakest first.
REVECTOR_API std::vector<Isa> available_isas();

/// The instruction set in use: the best available, or the one that REVECTOR_ISA names. Decided once a process.
/// @throws DeviceUnavailable if REVECTOR_ISA is unknown or not available here
REVECTOR_API Isa active_isa();

/// Where a function computes.
enum class Device { cpu, cuda };

/// Whether the CUDA plugin is installed and finds a GPU. Never throws for want of one.
REVECTOR_API bool cuda_available();

/// Threads of the process-wide pool, the calling thread included; fewer within a ThreadLimit. By default
/// REVECTOR_NUM_THREADS, else the least of: the CPUs that this process may run on, the CPU quota of its control groups
/// (version 1 or 2, rounded up), OMP_NUM_THREADS.
/// @throws InvalidArgument if REVECTOR_NUM_THREADS is not an integer from 1 to 1024
REVECTOR_API std::size_t num_threads();

/// Where the number comes from: "affinity 8, quota 1.5", "REVECTOR_NUM_THREADS", "set_num_threads". Throws as
/// num_threads().
REVECTOR_API std::string num_threads_reason();

/// Change the size of the pool, also for children of fork(). Not to be called while other threads are inside the
/// library.
/// @throws InvalidArgument if n is 0 or above 1024
REVECTOR_API void set_num_threads(std::size_t n);

/// While it lives, what this thread calls uses at most n threads of the pool, this one included.
class REVECTOR_API ThreadLimit {
 public:
  /// @param n  0: no limit but those that hold already
  explicit ThreadLimit(std::size_t n);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  std::size_t before_;
};

/// Hand blocks that were freed back to the operating system. glibc keeps those below some megabytes, for each thread
/// that freed some: after a stage of many such blocks they may be most of what a process holds. It takes milliseconds.
/// May be called from any thread; does nothing with another C library.
REVECTOR_API void return_freed_memory();

/// Version of the library, "major.minor.patch".
REVECTOR_API std::string version();

}  // namespace revector
