/// @file
/// What the first four letters of a file of faiss mean.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace revector::hnsw {

constexpr std::size_t faiss_letters = 4;

/// The class whose file begins with these letters; empty for others.
std::string_view faiss_kind(std::string_view letters);

/// Bytes of a file for a message: what is not a printable letter as \xNN.
std::string printable(std::string_view letters);

}  // namespace revector::hnsw
