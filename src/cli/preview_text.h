// A preview and drift for reading.
#pragma once

#include <string>
#include <vector>

#include "architecture/preview.h"

namespace bastide::cli {

std::string text_of(const architecture::Preview& p);
std::string text_of(const std::vector<architecture::DriftedResource>& drift);

}  // namespace bastide::cli
