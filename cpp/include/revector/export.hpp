/// @file
/// Symbol visibility: everything is hidden but what carries REVECTOR_API.
#pragma once

#define REVECTOR_API __attribute__((visibility("default")))
