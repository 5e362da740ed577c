#include "core/hnsw/faiss_kinds.hpp"

#include <algorithm>
#include <iterator>

namespace revector::hnsw {
namespace {

struct Kind {
  std::string_view letters, name;
};

/// Those that faiss 1.7 to 1.15 write; old letters of the same class are left out where nothing writes them any more.
constexpr Kind kinds[] = {
    {"IxFI", "IndexFlatIP"},
    {"IxF2", "IndexFlatL2"},
    {"IxFl", "IndexFlat"},
    {"IxHE", "IndexLSH"},
    {"IxHe", "IndexLSH"},
    {"IxPQ", "IndexPQ"},
    {"IxPq", "IndexPQ"},
    {"IxPo", "IndexPQ"},
    {"IxSQ", "IndexScalarQuantizer"},
    {"IxLa", "IndexLattice"},
    {"IxRQ", "IndexResidualQuantizer"},
    {"IxRq", "IndexResidualQuantizer"},
    {"IxLS", "IndexLocalSearchQuantizer"},
    {"IxPR", "IndexProductResidualQuantizer"},
    {"IxPL", "IndexProductLocalSearchQuantizer"},
    {"ImRQ", "ResidualCoarseQuantizer"},
    {"ImLS", "LocalSearchCoarseQuantizer"},
    {"Imiq", "MultiIndexQuantizer"},
    {"Ix2L", "Index2Layer"},
    {"IxPT", "IndexPreTransform"},
    {"IxRF", "IndexRefine"},
    {"IRMf", "IndexRowwiseMinMaxFP16"},
    {"IRMh", "IndexRowwiseMinMax"},
    {"Ixrq", "IndexRaBitQ"},
    {"IwFl", "IndexIVFFlat"},
    {"IwFd", "IndexIVFFlatDedup"},
    {"IvFl", "IndexIVFFlat"},
    {"IvFL", "IndexIVFFlat"},
    {"IwSq", "IndexIVFScalarQuantizer"},
    {"IwSQ", "IndexIVFScalarQuantizer"},
    {"IvSQ", "IndexIVFScalarQuantizer"},
    {"IwPQ", "IndexIVFPQ"},
    {"IvPQ", "IndexIVFPQ"},
    {"IwQR", "IndexIVFPQR"},
    {"IvQR", "IndexIVFPQR"},
    {"IwSh", "IndexIVFSpectralHash"},
    {"IwLS", "IndexIVFLocalSearchQuantizer"},
    {"IwRQ", "IndexIVFResidualQuantizer"},
    {"IwPR", "IndexIVFProductResidualQuantizer"},
    {"IwPL", "IndexIVFProductLocalSearchQuantizer"},
    {"IwIQ", "IndexIVFIndependentQuantizer"},
    {"Iwrq", "IndexIVFRaBitQ"},
    {"IPfs", "IndexPQFastScan"},
    {"IwPf", "IndexIVFPQFastScan"},
    {"IxMp", "IndexIDMap"},
    {"IxM2", "IndexIDMap2"},
    {"IHNf", "IndexHNSWFlat"},
    {"IHNp", "IndexHNSWPQ"},
    {"IHNs", "IndexHNSWSQ"},
    {"IHN2", "IndexHNSW2Level"},
    {"IHNc", "IndexHNSWCagra"},
    {"IHc2", "IndexHNSWCagra"},
    {"INSf", "IndexNSGFlat"},
    {"INSp", "IndexNSGPQ"},
    {"INSs", "IndexNSGSQ"},
    {"INNf", "IndexNNDescentFlat"},
    {"IBxF", "IndexBinaryFlat"},
    {"IBwF", "IndexBinaryIVF"},
    {"IBFf", "IndexBinaryFromFloat"},
    {"IBHf", "IndexBinaryHNSW"},
    {"IBHh", "IndexBinaryHash"},
    {"IBHm", "IndexBinaryMultiHash"},
    {"IBMp", "IndexBinaryIDMap"},
    {"IBM2", "IndexBinaryIDMap2"},
};

}  // namespace

std::string_view faiss_kind(std::string_view letters) {
  const auto* found =
      std::find_if(std::begin(kinds), std::end(kinds), [letters](const Kind& kind) { return kind.letters == letters; });
  return found == std::end(kinds) ? std::string_view() : found->name;
}

std::string printable(std::string_view letters) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char letter : letters) {
    const auto code = static_cast<unsigned char>(letter);
    if (code >= ' ' && code < 0x7f)
      text += letter;
    else
      text.append("\\x").append(1, digits[code / 16]).append(1, digits[code % 16]);
  }
  return text;
}

}  // namespace revector::hnsw
