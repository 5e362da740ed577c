// Packing of documents and weights into integer panels by whole registers; after int8_format.inl and
// avx512_packing.inl. The bytes are those of Panels, which the tests compare.
#include <cstddef>
#include <cstdint>

namespace {

template <class Format>
struct IntegerPacking {
  static constexpr std::size_t lanes = Vec::width;

  /// 64 elements of a row, rounded to whole multiples of the column's scale.
  static __m512i along_k(const float* row, std::size_t count, Vec factor) {
    alignas(64) std::int8_t bytes[4 * lanes];
    for (std::size_t v = 0; v < 4; ++v) {
      const std::size_t first = v * lanes,
                        left = count > first ? LanePacking<Format>::at_most(count - first, lanes) : 0;
      const Vec whole = round(Vec::load_first(row + (left > 0 ? first : 0), left) * factor);
      _mm_store_si128(reinterpret_cast<__m128i*>(bytes + first), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(whole.lanes)));
    }
    return _mm512_load_si512(bytes);
  }

  /// One register's width of a panel; see LanePacking.
  static void pack_columns(const float* b, std::size_t stride, std::size_t columns, std::size_t k, char* panel,
                           float* scales, std::int32_t* sums) {
    Vec factors[lanes];
    __m512i totals[lanes];
    for (std::size_t c = 0; c < lanes; ++c) {
      const Extremes found = c < columns ? extremes_of(b + c * stride, k) : Extremes{0, 0};
      scales[c] = Format::column_step(found.lowest, found.highest);
      factors[c] = Vec::set(scales[c] > 0 ? 1 / scales[c] : 0);
      totals[c] = _mm512_setzero_si512();
    }
    const std::size_t depth = rounded_up(k, Format::k_unit) / Format::group;
    for (std::size_t l = 0; l < depth; l += lanes) {
      const std::size_t first = l * Format::group;
      __m512i rows[lanes];
      for (std::size_t c = 0; c < lanes; ++c) {
        rows[c] = c < columns ? along_k(b + c * stride + first, k - first, factors[c]) : _mm512_setzero_si512();
        totals[c] = _mm512_dpbusd_epi32(totals[c], _mm512_set1_epi8(1), rows[c]);
      }
      transpose_lanes(rows);
      for (std::size_t i = 0; i < LanePacking<Format>::at_most(depth - l, lanes); ++i)
        _mm512_storeu_si512(panel + (l + i) * panel_width * 4, rows[i]);
    }
    for (std::size_t c = 0; c < lanes; ++c) sums[c] = _mm512_reduce_add_epi32(totals[c]);
  }

  static void pack_transposed(const float* b, std::size_t stride, std::size_t n, std::size_t k, void* packed) {
    auto* panel = static_cast<char*>(packed);
    const std::size_t elements = rounded_up(k, Format::k_unit) * panel_width;
    for (std::size_t j = 0; j < n; j += panel_width, panel += Panels<Format>::panel_bytes(k)) {
      auto* known = reinterpret_cast<typename Format::Columns*>(panel + elements);
      for (std::size_t v = 0; v < panel_width; v += lanes) {
        const std::size_t columns = j + v < n ? LanePacking<Format>::at_most(n - j - v, lanes) : 0;
        pack_columns(columns > 0 ? b + (j + v) * stride : b, stride, columns, k, panel + v * 4, known->scale + v,
                     known->sum + v);
      }
    }
  }

  static void pack(const float* b, std::size_t stride, std::size_t k, std::size_t n, void* packed) {
    Panels<Format>::pack(b, stride, k, n, packed);
  }
};

}  // namespace
