/// @file
/// Opening the CUDA plugin at its first use.
#pragma once

#include "cuda/plugin.hpp"

namespace revector {

/// The plugin's functions, with a GPU that answers.
/// @throws DeviceUnavailable if the plugin is not installed, is of another build, or finds no GPU
const cuda::PluginTable& cuda_plugin();

/// @throws DeviceUnavailable with the status's message unless it is ok
void require_ok(const cuda::Status& status);

}  // namespace revector
