/// @file
/// Texts as packed token ids, and how they are dealt out to threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace revector {

/// Token ids of texts, one after the other without padding. Does not own them.
struct TokenBatch {
  std::span<const std::int32_t> ids;
  std::span<const std::int64_t> offsets;         ///< n_texts + 1
  std::span<const std::int32_t> types;           ///< one for each id; empty: all of type 0
  const std::atomic<bool>* cancelled = nullptr;  ///< set once the rows are no longer wanted; may be null
  std::size_t unpooled = 0;                      ///< tokens at the front of each text that are not pooled

  std::size_t n_texts() const { return offsets.size() - 1; }
  std::span<const std::int32_t> text(std::size_t i) const {
    return ids.subspan(static_cast<std::size_t>(offsets[i]), length(i));
  }
  std::size_t type(std::size_t text, std::size_t token) const {
    return types.empty() ? 0 : static_cast<std::size_t>(types[static_cast<std::size_t>(offsets[text]) + token]);
  }
  std::size_t length(std::size_t i) const { return static_cast<std::size_t>(offsets[i + 1] - offsets[i]); }

  /// @throws InvalidArgument naming the text unless offsets ascend from 0 to the number of ids, every id is below
  ///         `vocabulary` and no text has more than `max_length` tokens (0: any number)
  void require_valid(std::size_t vocabulary, std::size_t max_length) const;

  /// To be called every few hundredths of a second of work. @throws Cancelled
  void stop_if_cancelled() const;
  /// @throws InvalidArgument unless there are no types, or one below `n_types` for each id
  void require_types(std::size_t n_types) const;
};

/// Whole texts that one thread carries through the model together.
struct Chunk {
  std::vector<std::size_t> texts;
  std::size_t n_tokens = 0;
};

/// Deal texts out in chunks of about `target` tokens (a longer text is a chunk of its own), the longest texts first:
/// then the threads finish at nearly the same time, and texts of one chunk are of like length.
std::vector<Chunk> plan_chunks(const TokenBatch& batch, std::size_t target);

}  // namespace revector
