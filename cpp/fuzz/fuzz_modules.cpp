// Any bytes as one of the files that describe the pipeline; the first byte says which.
#include "model.hpp"

namespace {

struct Part {
  const char *name, *sound;
};
constexpr Part parts[] = {
    {"modules.json", R"([{"type": "s.Transformer", "path": ""}, {"type": "s.Pooling", "path": "p"},
                         {"type": "s.Dense", "path": "d"}, {"type": "s.Normalize", "path": "n"}])"},
    {"p/config.json", R"({"pooling_mode_cls_token": true})"},
    {"d/config.json", R"({"in_features": 4, "out_features": 5, "use_residual": true})"},
    {"sentence_bert_config.json", R"({"max_seq_length": 8})"},
    {"tokenizer_config.json", R"({"model_max_length": 8})"}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFolder folder;
  static const bool written = [] {
    write_model(folder, bert_config(fuzz_shape), tensors_of_all_families());
    folder.write("d/model.safetensors", safetensors_of({{"linear.weight", random_tensor({5, 4}, 1)},
                                                        {"linear.bias", random_tensor({5}, 2)},
                                                        {"residual.weight", random_tensor({5, 4}, 3)}}));
    for (const Part& part : parts) folder.write(part.name, part.sound);
    return true;
  }();
  (void)written;
  if (size == 0) return 0;
  const std::size_t spoiled = data[0] % std::size(parts);
  folder.write(parts[spoiled].name, text_of(data + 1, size - 1));
  if (spoiled == 4) std::filesystem::remove(folder.path(parts[3].name));  // or its limit goes first
  load_and_run(folder);
  folder.write(parts[spoiled].name, parts[spoiled].sound);
  if (spoiled == 4) folder.write(parts[3].name, parts[3].sound);
  return 0;
}
