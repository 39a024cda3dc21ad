// Scalars as text: what query, XML, headers and URIs share.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/type.h"

namespace bastide::model {

// Strings, base64 of blobs, true and false, numbers, times in ISO 8601 unless the type says otherwise.
void append_scalar(std::string& out, const Type& type, const void* value,
                   TimeFormat time = TimeFormat::by_protocol);
// "Malformed" where the text is none of its kind.
Result<void> read_scalar(std::string_view text, const Type& type, void* out,
                         TimeFormat time = TimeFormat::by_protocol);

// `quoted`: in JSON, where a text time stands in quotes.
void append_time(std::string& out, Millis time, TimeFormat format, TimeFormat fallback, bool quoted = false);

}  // namespace bastide::model
