// Where a value stands in a configuration file, so that it can be set without touching another byte: JSON
// (`a.b.0.c`), YAML in block style (`a.b.c`) and .env (`NAME`). Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace bastide::secrets {

enum class Format { json, yaml, env };
// By the name's end: .json; .yaml, .yml; .env, .env.*, or anything ending in .env or .properties.
Result<Format> format_of(std::string_view file_name);

// The text with the value at `path` set to the string `value`; what is missing on the way is made.
Result<std::string> set_value(std::string_view text, Format format, const std::string& path,
                              const std::string& value);
// The text without it; "NotFound" where it is not there.
Result<std::string> unset_value(std::string_view text, Format format, const std::string& path);

}  // namespace bastide::secrets
