/// @file
/// Memory that is read here and there.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace revector {

/// Frees what allocate_large() gave.
struct FreeLarge {
  std::align_val_t alignment{1};
  void operator()(std::byte* memory) const { ::operator delete(memory, alignment); }
};
using LargeMemory = std::unique_ptr<std::byte[], FreeLarge>;

/// Uninitialised memory from the start of a page; of a huge one, where the system has them and the memory is as large.
/// Rows that lie anywhere in a gigabyte miss the TLB almost every time with pages of 4 KiB, which costs a walk of a
/// graph a sixth of its time.
/// @throws std::bad_alloc
inline LargeMemory allocate_large(std::size_t bytes) {
  constexpr std::size_t page_bytes = 4096, huge_page_bytes = std::size_t{2} << 20U;
  const std::align_val_t alignment{bytes < huge_page_bytes ? page_bytes : huge_page_bytes};
  LargeMemory memory(static_cast<std::byte*>(::operator new(bytes, alignment)), FreeLarge{alignment});
#if defined(__linux__)
  // The last pages stay small, so that no more is taken than asked for. A refusal changes nothing but the speed.
  if (bytes >= huge_page_bytes) madvise(memory.get(), bytes / huge_page_bytes * huge_page_bytes, MADV_HUGEPAGE);
#endif
  return memory;
}

}  // namespace revector
