/// @file
/// CRC-32C (Castagnoli): what tells whether a file is as it was written.
#pragma once

#include <cstddef>
#include <cstdint>

namespace revector {

/// The checksum of bytes that follow those whose checksum is `before` (0: none do).
std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t before = 0);

}  // namespace revector
