#include "core/crc32c.hpp"

#include <array>
#include <cstring>

namespace revector {
namespace {

constexpr std::uint32_t polynomial = 0x82F63B78U;  // reflected; Castagnoli, Braeuer & Herrmann 1993
constexpr std::size_t lanes = 8;

using Table = std::array<std::array<std::uint32_t, 256>, lanes>;

/// table[k][b]: the checksum of byte b and k zero bytes after it.
constexpr Table make_table() {
  Table table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? polynomial : 0);
    table[0][byte] = crc;
  }
  for (std::size_t k = 1; k < lanes; ++k)
    for (std::size_t byte = 0; byte < 256; ++byte)
      table[k][byte] = (table[k - 1][byte] >> 8U) ^ table[0][table[k - 1][byte] & 0xFFU];
  return table;
}

constexpr Table table = make_table();

}  // namespace

std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t before) {
  const auto* next = static_cast<const unsigned char*>(data);
  std::uint32_t crc = ~before;
  for (; bytes >= lanes; bytes -= lanes, next += lanes) {  // eight bytes at a time (Kounavis & Berry 2005)
    std::uint64_t word = 0;
    std::memcpy(&word, next, lanes);
    word ^= crc;
    crc = 0;
    for (std::size_t k = 0; k < lanes; ++k) crc ^= table[lanes - 1 - k][(word >> (8 * k)) & 0xFFU];
  }
  for (; bytes > 0; --bytes, ++next) crc = (crc >> 8U) ^ table[0][(crc ^ *next) & 0xFFU];
  return ~crc;
}

}  // namespace revector
