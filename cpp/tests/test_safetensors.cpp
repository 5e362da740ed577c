#include "core/encoder/safetensors.hpp"

#include <cstring>
#include <limits>

#include "check.hpp"
#include "kernels/vec/half.hpp"
#include "model_folder.hpp"

namespace {

using revector::EncoderError;
using revector::SafetensorsFile;

/// The message with which a file of these bytes is refused; "" if it is not.
std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  folder.write("x.safetensors", bytes);
  try {
    const SafetensorsFile file(folder.path("x.safetensors"));
    return "";
  } catch (const EncoderError& error) {
    return error.what();
  }
}

bool refuses(const std::string& header, const std::string& data, const char* reason) {
  const std::string message = refusal(safetensors_bytes(header, data));
  if (message.find(reason) == std::string::npos) std::printf("  message: %s\n", message.c_str());
  return message.find(reason) != std::string::npos;
}

template <class T>
std::string raw(std::vector<T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(tensors_come_back_as_they_were_written) {
  const TemporaryFolder folder;
  const Tensors tensors = {
      {"a", random_tensor({3, 5}, 1)}, {"b", random_tensor({7}, 2)}, {"c", random_tensor({0, 4}, 3)}};
  folder.write("x.safetensors", safetensors_of(tensors));
  const SafetensorsFile file(folder.path("x.safetensors"));
  for (const auto& [name, tensor] : tensors) {
    CHECK(file.contains(name));
    CHECK(file.floats(name, tensor.shape) == tensor.values);
  }
  CHECK(!file.contains("d"));
}

TEST(every_dtype_is_converted_whatever_its_alignment) {
  const TemporaryFolder folder;
  const std::string header =
      R"({"__metadata__": {"format": "pt"},
          "pad": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
          "f16": {"dtype": "F16", "shape": [2], "data_offsets": [1, 5]},
          "bf16": {"dtype": "BF16", "shape": [2], "data_offsets": [5, 9]},
          "f64": {"dtype": "F64", "shape": [1], "data_offsets": [9, 17]},
          "i32": {"dtype": "I32", "shape": [1], "data_offsets": [17, 21]},
          "i64": {"dtype": "I64", "shape": [], "data_offsets": [21, 29]},
          "odd": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [29, 30]}})";
  const std::string data = raw<std::uint8_t>({1}) + raw<std::uint16_t>({0x3C00, 0xC100}) +
                           raw<std::uint16_t>({0x3F80, 0xC020}) + raw<double>({0.25}) + raw<std::int32_t>({-7}) +
                           raw<std::int64_t>({1LL << 40}) + "x";
  folder.write("x.safetensors", safetensors_bytes(header, data));
  const SafetensorsFile file(folder.path("x.safetensors"));
  CHECK(file.floats("f16", {2}) == std::vector<float>({1.0F, -2.5F}));
  CHECK(file.floats("bf16", {2}) == std::vector<float>({1.0F, -2.5F}));
  CHECK(file.floats("f64", {1}) == std::vector<float>({0.25F}));
  CHECK(file.integers("i32", {1}) == std::vector<std::int64_t>({-7}));
  CHECK(file.integers("i64", {}) == std::vector<std::int64_t>({1LL << 40}));
  CHECK_THROWS(EncoderError, file.floats("pad", {1}));
  CHECK_THROWS(EncoderError, file.floats("odd", {1}));
  CHECK_THROWS(EncoderError, file.floats("i32", {1}));
  CHECK_THROWS(EncoderError, file.integers("f16", {2}));
  CHECK_THROWS(EncoderError, file.floats("f16", {1, 2}));
  CHECK_THROWS(EncoderError, file.floats("absent", {1}));
}

TEST(float16_is_exact_for_every_pattern) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    const float value = from_float16(bits);
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == 31)
      CHECK(fraction ? std::isnan(value) : value == sign * std::numeric_limits<double>::infinity());
    else
      CHECK(value == sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24)));
  }
}

TEST(truncated_files_are_refused) {
  const std::string whole = safetensors_of({{"a", random_tensor({4, 4}, 1)}});
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK(!refusal(whole.substr(0, n)).empty());
  CHECK(refusal(whole).empty());
}

TEST(headers_that_lie_about_their_length_are_refused) {
  for (std::uint64_t length : {std::uint64_t{9}, std::uint64_t{1} << 31, std::uint64_t{1} << 62, ~std::uint64_t{0}})
    CHECK(refusal(raw<std::uint64_t>({length}) + "{}").find("header claims") != std::string::npos);
}

TEST(malformed_headers_are_refused) {
  CHECK(refuses("not json", "", "not a JSON object"));
  CHECK(refuses("[]", "", "not a JSON object"));
  CHECK(refuses(std::string(100000, '['), "", "not a JSON object"));
  CHECK(refuses(R"({"a": 3})", "", "has no dtype"));
  CHECK(refuses(R"({"a": {"dtype": 3}})", "", "has no dtype"));
  CHECK(refuses(R"({"a": {"dtype": "F32", "data_offsets": [0, 0]}})", "", "has no list 'shape'"));
  CHECK(refuses(R"({"a": {"dtype": "F32", "shape": [0]}})", "", "has no list 'data_offsets'"));
  CHECK(refuses(R"({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", "1234", "expected whole numbers"));
  CHECK(
      refuses(R"({"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}})", "1234", "expected whole numbers"));
}

TEST(offsets_that_do_not_fit_are_refused) {
  CHECK(refuses(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}})", "12345678", "should lie at"));
  CHECK(refuses(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", "1234", "should lie at"));
  CHECK(refuses(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})", "1234", "truncated"));
  CHECK(refuses(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", "1234", "has 4 bytes"));
  CHECK(refuses(R"({"a": {"dtype": "F32", "shape": [4611686018427387905], "data_offsets": [0, 4]}})", "1234",
                "has 4 bytes"));
  CHECK(refuses(R"({"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}})", "",
                "has 0 bytes"));
}

TEST(tensors_that_share_bytes_are_refused) {
  const std::string a = R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, )";
  CHECK(
      refuses(a + R"("b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", "12345678", "'a' and 'b' share"));
  CHECK(
      refuses(a + R"("b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})", "12345678", "'a' and 'b' share"));
  CHECK(refuses(a + R"("b": {"dtype": "odd", "shape": [1], "data_offsets": [7, 9]}})", "123456789", "share bytes"));
  const std::string apart = R"("b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
                               "c": {"dtype": "F32", "shape": [0], "data_offsets": [4, 4]}})";
  CHECK(refusal(safetensors_bytes(a + apart, "123456781234")).empty());
}

TEST(what_is_no_file_is_refused) {
  const TemporaryFolder folder;
  CHECK_THROWS(EncoderError, SafetensorsFile(folder.path("absent")));
  CHECK_THROWS(EncoderError, SafetensorsFile(folder.path()));
}

}  // namespace

TEST_MAIN()
