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

/// Threads of the process-wide pool, the calling thread included. By default REVECTOR_NUM_THREADS, else the number of
/// CPUs this process may run on.
REVECTOR_API std::size_t num_threads();

/// Change the size of the pool. Not to be called while other threads are inside the library.
/// @throws InvalidArgument if n is 0 or above 1024
REVECTOR_API void set_num_threads(std::size_t n);

/// Version of the library, "major.minor.patch".
REVECTOR_API std::string version();

}  // namespace revector
