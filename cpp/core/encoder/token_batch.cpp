#include "core/encoder/token_batch.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "core/checks.hpp"

namespace revector {
void TokenBatch::require_valid(std::size_t vocabulary, std::size_t max_length) const {
  require_offsets(offsets, ids.size());
  for (std::size_t i = 0; i < n_texts(); ++i) {
    if (max_length != 0 && length(i) > max_length)
      throw InvalidArgument("text " + std::to_string(i) + " has " + std::to_string(length(i)) +
                            " tokens, the model takes " + std::to_string(max_length) + "; truncate it");
    for (std::int32_t id : text(i))
      if (id < 0 || static_cast<std::size_t>(id) >= vocabulary)
        throw InvalidArgument("text " + std::to_string(i) + " holds token id " + std::to_string(id) +
                              ", expected 0 to " + std::to_string(vocabulary - 1) +
                              "; does the tokeniser belong to the model?");
  }
}

void TokenBatch::stop_if_cancelled() const {
  if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed))
    throw Cancelled("encoding was called off by its caller");
}

void TokenBatch::require_types(std::size_t n_types) const {
  if (types.empty()) return;
  if (types.size() != ids.size())
    throw InvalidArgument("there are " + std::to_string(types.size()) + " token types, expected one for each of the " +
                          std::to_string(ids.size()) + " ids");
  for (std::int32_t type : types)
    if (type < 0 || static_cast<std::size_t>(type) >= n_types)
      throw InvalidArgument("a token has type " + std::to_string(type) + ", expected 0 to " +
                            std::to_string(n_types - 1));
}

std::vector<Chunk> plan_chunks(const TokenBatch& batch, std::size_t target) {
  std::vector<std::size_t> order(batch.n_texts());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return batch.length(a) != batch.length(b) ? batch.length(a) > batch.length(b) : a < b;
  });
  std::vector<Chunk> chunks;
  for (std::size_t text : order) {
    const std::size_t length = batch.length(text);
    if (chunks.empty() || chunks.back().n_tokens + length > target) chunks.emplace_back();
    chunks.back().texts.push_back(text);
    chunks.back().n_tokens += length;
  }
  return chunks;
}

}  // namespace revector
