#include "core/encoder/attention.hpp"

#include <algorithm>
#include <cmath>

#include "core/kernels.hpp"

namespace revector {
namespace {

constexpr std::size_t query_block = 48;  // rows of scores held at once: 48 x 512 floats stay in L2

}  // namespace

Attention::Attention(std::size_t hidden, std::size_t heads, std::size_t max_length, Precision precision)
    : hidden_(hidden),
      head_size_(hidden / heads),
      products_(kernels::matmul(precision)),
      keys_(products_.packed_bytes(head_size_, max_length)),
      values_(products_.packed_bytes(max_length, head_size_)),
      scores_(query_block * max_length),
      sums_(query_block),
      queries_(precision, query_block, head_size_),
      weights_(precision, query_block, max_length) {}

void Attention::apply(MatrixView<const float> qkv, MatrixView<float> context, const RelativeBias* bias) {
  const std::size_t n = qkv.rows(), d = head_size_;
  const auto part = [&](std::size_t first) { return MatrixView<const float>(qkv.data() + first, n, d, qkv.stride()); };
  for (std::size_t first = 0; first < hidden_; first += d)
    apply_head(part(first), part(hidden_ + first), part(2 * hidden_ + first),
               {context.data() + first, n, d, context.stride()}, {bias, first / d});
}

void Attention::apply_head(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                           MatrixView<float> context, HeadBias bias) {
  const kernels::KernelTable& table = kernels::table();
  const std::size_t n = q.rows(), d = head_size_;
  const float scale = 1.0F / std::sqrt(static_cast<float>(d));
  products_.pack_transposed(k.data(), k.stride(), n, d, keys_.data());
  products_.pack(v.data(), v.stride(), n, d, values_.data());
  for (std::size_t begin = 0; begin < n; begin += query_block) {
    const std::size_t end = std::min(begin + query_block, n), rows = end - begin;
    const MatrixView<float> scores(scores_.data(), rows, n);
    queries_.assign(q.slice(begin, end));
    products_.multiply(queries_.data(), queries_.stride(), rows, keys_.data(), d, n, {}, scores.data(), n);
    for (std::size_t i = 0; i < rows; ++i) {
      if (bias.all != nullptr)  // the exponential scales what it is given, so the bias goes in enlarged
        table.rows.add_scaled(bias.all->row(bias.head, begin + i), 1.0F / scale, scores.row(i), n);
      sums_[i] = table.nn.exponentials(scores.row(i), n, scale);
    }
    weights_.assign(scores);
    products_.multiply(weights_.data(), weights_.stride(), rows, values_.data(), n, d, {}, context.row(begin),
                       context.stride());
    for (std::size_t i = begin; i < end; ++i)
      table.rows.scale(context.row(i), 1.0F / sums_[i - begin], context.row(i), d);
  }
}

}  // namespace revector
