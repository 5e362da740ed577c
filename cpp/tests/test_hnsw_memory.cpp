// Running out of memory at any moment of an add() leaves a sound index. This program replaces operator new with one
// that can be told to fail.
#include <atomic>
#include <cstdlib>
#include <new>

#include "check.hpp"
#include "hnsw_rows.hpp"

namespace {

std::atomic<long> allocations_left{-1};  // negative: no limit

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (allocations_left >= 0 && allocations_left-- == 0) {
    allocations_left = -1;
    throw std::bad_alloc();
  }
  void* memory =
      std::aligned_alloc(alignment, (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept try {
  return allocate(bytes, alignof(std::max_align_t));
} catch (const std::bad_alloc&) {
  return nullptr;
}
// Not inlined: gcc 12 would see free() for memory of an operator new whose body it cannot see, and warn.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

using revector::HnswIndex;
using revector::Metric;

/// Let the n-th allocation of an add() fail. @return false if it needed fewer
bool add_fails(HnswIndex& index, Rows& x, std::span<const std::int64_t> labels, long n) {
  allocations_left = n;
  try {
    index.add(x.view(), labels);
  } catch (const std::bad_alloc&) {
    return true;
  }
  allocations_left = -1;
  return false;
}

TEST(an_add_that_runs_out_of_memory_adds_no_label_and_breaks_nothing) {
  Rows x(400, 6, 1), more(300, 6, 2), queries(20, 6, 3);
  std::vector<std::int64_t> labels = first_labels(300);
  for (std::int64_t& label : labels) label += 370;  // 30 of them are updates
  HnswIndex index(6, Metric::l2, {4, 20, 1});
  index.add(x.view(), first_labels(400));
  long n = 0;
  for (; add_fails(index, more, labels, n); n += 1 + n / 4) {
    CHECK(index.size() == 400 && index.contains(399) && !index.contains(400));
    const Found found(index, queries, 5, 50);
    for (std::int64_t label : found.labels) CHECK(label >= 0 && label < 400);
  }
  CHECK(n > 100);
  CHECK(index.size() == 670);
  Rows all(670, 6, 1);
  std::copy(more.values.begin(), more.values.end(), all.row(370));
  CHECK(recall(index, all, queries, 5, 100) >= 0.95);
}

}  // namespace

TEST_MAIN()
