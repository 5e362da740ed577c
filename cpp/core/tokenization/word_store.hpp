/// @file
/// Words and their ids in two blocks of memory: records, and a hash table of their positions.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace revector {

/// Any number of threads may read while one adds. A record never moves and never changes, and its position is published
/// after it is written; a reader who still looks in a hash table that was outgrown misses the newest words, no more.
/// So nobody locks, and a child of fork() finds nothing locked.
class WordStore {
 public:
  static constexpr std::size_t longest_word = 64, most_ids = 255;

  explicit WordStore(std::size_t most_words);

  /// The ids of a word; `first` is null if it is not known.
  struct Ids {
    const std::int32_t* first = nullptr;
    std::size_t n = 0;
  };
  Ids find(std::string_view word) const;

  /// Add a word unless it is there or too long. By one thread at a time. @return false if there is no room
  bool add(std::string_view word, std::span<const std::int32_t> ids);

  std::size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  /// Open addressing. A slot has the hash in its upper half and 1 + the position of the record in its lower; 0 is free.
  struct Slots {
    explicit Slots(std::size_t n) : mask(n - 1), values(std::make_unique<std::atomic<std::uint64_t>[]>(n)) {}
    void put(std::uint64_t slot) const;

    std::size_t mask;
    std::unique_ptr<std::atomic<std::uint64_t>[]> values;
  };

  std::uint32_t hash(std::string_view word) const;
  const std::uint32_t* record_of(std::uint64_t slot) const { return &records_[(slot & 0xFFFFFFFFU) - 1]; }
  void publish(std::unique_ptr<const Slots> slots);
  void grow();

  std::size_t most_words_, room_;
  std::uint64_t seed_;
  std::size_t used_ = 0;                                 // of the room, in units of 32 bits
  std::unique_ptr<std::uint32_t[]> records_;             // of each word: length and number of ids; its bytes; its ids
  std::vector<std::unique_ptr<const Slots>> all_slots_;  // somebody may still read those that were outgrown
  std::atomic<const Slots*> slots_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace revector
