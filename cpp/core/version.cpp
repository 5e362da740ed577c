#include "revector/device.hpp"

namespace revector {

std::string version() { return REVECTOR_VERSION; }

}  // namespace revector
