// Any bytes as model.safetensors.index.json beside two sound shards.
#include "model.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFolder folder;
  static const bool written = [] {
    Tensors shards[2];
    for (const auto& [name, tensor] : tensors_of_all_families()) shards[name.size() % 2][name] = tensor;
    folder.write("a.safetensors", safetensors_of(shards[0]));
    folder.write("b.safetensors", safetensors_of(shards[1]));
    folder.write("config.json", bert_config(fuzz_shape).dump());
    return true;
  }();
  (void)written;
  folder.write("model.safetensors.index.json", text_of(data, size));
  load_and_run(folder);
  return 0;
}
