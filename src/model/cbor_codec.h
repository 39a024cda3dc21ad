// Structs to and from CBOR (RFC 8949), as rpc-v2-cbor carries both.
// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/check.h"
#include "model/type.h"

namespace bastide::model {

Result<void> read_cbor(std::string_view bytes, const Type& type, void* out, Check* check);
void write_cbor(std::string& out, const Type& type, const void* value);
// A map of texts: errors.
void write_cbor_texts(std::string& out,
                      std::initializer_list<std::pair<std::string_view, std::string_view>> texts);
// The text of a map's member; empty where there is none.
std::string cbor_text(std::string_view bytes, std::string_view key);

}  // namespace bastide::model
