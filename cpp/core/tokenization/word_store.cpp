#include "core/tokenization/word_store.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include "core/tokenization/words.hpp"

namespace revector {
namespace {

constexpr std::size_t bytes_a_word = 48;
constexpr std::size_t most_units = 0xFFFFFFFEU;  // a slot has 32 bits for a position
constexpr std::size_t first_slots = 1024;

/// Both halves of a product of 128 bits: each bit of the factors reaches all of the result.
std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

/// Up to eight bytes as a number; longer words give their last eight.
std::uint64_t last_bytes(std::string_view word) {
  if (word.size() >= 8) return eight_bytes(word.data() + word.size() - 8);
  std::uint64_t value = 0;
  std::memcpy(&value, word.data(), word.size());
  return value;
}

std::size_t units(std::size_t bytes) { return (bytes + sizeof(std::uint32_t) - 1) / sizeof(std::uint32_t); }

std::size_t length_of(const std::uint32_t* record) { return *record & 0xFFU; }

WordStore::Ids ids_of(const std::uint32_t* record) {
  return {reinterpret_cast<const std::int32_t*>(record + 1 + units(length_of(record))), *record >> 8U};
}

bool holds(const std::uint32_t* record, std::string_view word) {
  return length_of(record) == word.size() && std::memcmp(record + 1, word.data(), word.size()) == 0;
}

}  // namespace

WordStore::WordStore(std::size_t most_words)
    : most_words_(most_words),
      room_(std::min(units(most_words * bytes_a_word), most_units)),
      // Whoever does not know the seed cannot write a text whose words all collide.
      seed_(std::uint64_t{std::random_device()()} << 32U | std::random_device()()),
      records_(std::make_unique_for_overwrite<std::uint32_t[]>(room_)) {
  publish(std::make_unique<const Slots>(first_slots));
}

std::uint32_t WordStore::hash(std::string_view word) const {
  constexpr std::uint64_t odd = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio
  std::uint64_t sum = seed_ ^ word.size();
  for (std::size_t i = 0; i + 8 < word.size(); i += 8) sum = mixed(sum ^ eight_bytes(word.data() + i), odd);
  return static_cast<std::uint32_t>(mixed(sum ^ last_bytes(word), odd) >> 32U);
}

WordStore::Ids WordStore::find(std::string_view word) const {
  const Slots& slots = *slots_.load(std::memory_order_acquire);
  const std::uint32_t wanted = hash(word);
  for (std::size_t i = wanted & slots.mask;; i = (i + 1) & slots.mask) {
    const std::uint64_t slot = slots.values[i].load(std::memory_order_acquire);
    if (slot == 0) return {};
    if (slot >> 32U == wanted && holds(record_of(slot), word)) return ids_of(record_of(slot));
  }
}

bool WordStore::add(std::string_view word, std::span<const std::int32_t> ids) {
  if (word.size() > longest_word || ids.size() > most_ids || find(word).first != nullptr) return true;
  const std::size_t letters = units(word.size()), end = used_ + 1 + letters + ids.size();
  if (size() >= most_words_ || end > room_) return false;
  if (2 * (size() + 1) > all_slots_.back()->mask) grow();
  std::uint32_t* record = &records_[used_];
  *record = static_cast<std::uint32_t>(word.size() | ids.size() << 8U);
  std::memcpy(record + 1, word.data(), word.size());
  std::copy(ids.begin(), ids.end(), record + 1 + letters);
  all_slots_.back()->put(std::uint64_t{hash(word)} << 32U | (used_ + 1));
  used_ = end;
  size_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void WordStore::Slots::put(std::uint64_t slot) const {
  std::size_t i = (slot >> 32U) & mask;
  while (values[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & mask;
  values[i].store(slot, std::memory_order_release);
}

void WordStore::publish(std::unique_ptr<const Slots> slots) {
  all_slots_.push_back(std::move(slots));
  slots_.store(all_slots_.back().get(), std::memory_order_release);
}

void WordStore::grow() {
  const Slots& full = *all_slots_.back();
  auto larger = std::make_unique<const Slots>(2 * (full.mask + 1));
  for (std::size_t i = 0; i <= full.mask; ++i)
    if (const std::uint64_t slot = full.values[i].load(std::memory_order_relaxed); slot != 0) larger->put(slot);
  publish(std::move(larger));
}

}  // namespace revector
