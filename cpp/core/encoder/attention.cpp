#include "core/encoder/attention.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/dispatch.hpp"

namespace revector {
namespace {

constexpr std::size_t query_block = 48;  // rows of scores held at once: 48 x 512 floats stay in L2

std::size_t rounded_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

Attention::Attention(std::size_t hidden, std::size_t heads, std::size_t max_length)
    : hidden_(hidden), head_size_(hidden / heads) {
  const std::size_t width = kernels::table().matmul.panel_width;
  keys_.resize(rounded_up(max_length, width) * head_size_);
  values_.resize(max_length * rounded_up(head_size_, width));
  scores_.resize(query_block * max_length);
}

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
  table.matmul.pack_transposed(k.data(), k.stride(), n, d, keys_.data());
  table.matmul.pack(v.data(), v.stride(), n, d, values_.data());
  for (std::size_t begin = 0; begin < n; begin += query_block) {
    const std::size_t rows = std::min(query_block, n - begin);
    table.matmul.multiply(q.row(begin), q.stride(), rows, keys_.data(), d, n, nullptr, scores_.data(), n);
    for (std::size_t i = 0; i < rows; ++i) {
      float* scores = scores_.data() + i * n;
      if (bias.all != nullptr)  // softmax scales what it is given, so the bias goes in enlarged
        table.rows.add_scaled(bias.all->row(bias.head, begin + i), 1.0F / scale, scores, n);
      table.nn.softmax(scores, n, scale);
    }
    table.matmul.multiply(scores_.data(), n, rows, values_.data(), n, d, nullptr, context.row(begin), context.stride());
  }
}

}  // namespace revector
