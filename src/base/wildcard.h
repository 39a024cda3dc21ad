// Patterns in which "*" is any run of characters and every other character is itself.
#pragma once

#include <string_view>

namespace bastide {

bool matches_wildcard(std::string_view pattern, std::string_view text);

}  // namespace bastide
