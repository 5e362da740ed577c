#include "core/cuda_plugin.hpp"

#include <dlfcn.h>

#include <string>

#include "revector/device.hpp"
#include "revector/errors.hpp"

namespace revector {
namespace {

constexpr const char* plugin_name = "librevector_cuda.so";

/// Path of the plugin: beside the library that this code is in.
std::string plugin_path() {
  Dl_info self{};
  dladdr(reinterpret_cast<const void*>(&cuda_plugin), &self);
  const std::string library = self.dli_fname != nullptr ? self.dli_fname : "";
  return library.substr(0, library.rfind('/') + 1) + plugin_name;
}

const cuda::PluginTable& open_plugin() {
  void* handle = dlopen(plugin_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    throw DeviceUnavailable(std::string("no CUDA plugin: ") + dlerror() +
                            "; build revector with -DREVECTOR_CUDA=ON, or use device 'cpu'");
  using Entry = const cuda::PluginTable* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(handle, "revector_cuda_plugin"));
  const cuda::PluginTable* table = entry != nullptr ? entry() : nullptr;
  if (table == nullptr || table->abi != cuda::plugin_abi)
    throw DeviceUnavailable(plugin_path() + " belongs to another build of revector; build both together");
  return *table;
}

}  // namespace

const cuda::PluginTable& cuda_plugin() {
  static const cuda::PluginTable& table = open_plugin();  // tried again at the next call if it throws
  require_ok(table.probe());
  return table;
}

void require_ok(const cuda::Status& status) {
  if (!status.ok) throw DeviceUnavailable(std::string("CUDA: ") + status.message);
}

bool cuda_available() {
  try {
    cuda_plugin();
    return true;
  } catch (const DeviceUnavailable&) {
    return false;
  }
}

}  // namespace revector
