// Any bytes as config.json beside sound weights of every family.
#include "model.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFolder folder;
  static const bool written = [] {
    folder.write("model.safetensors", safetensors_of(tensors_of_all_families()));
    return true;
  }();
  (void)written;
  folder.write("config.json", text_of(data, size));
  load_and_run(folder);
  return 0;
}
