// The tables that describe model types: what the generator writes beside each struct, and what the one codec
// walks to read, validate and write them in every protocol. Constant data; no function here allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace bastide::model {

struct Empty;  // an operation without input or output
struct Operation;

}  // namespace bastide::model
