// Words of a Dockerfile: quotes, escapes and variables.
// https://docs.docker.com/reference/dockerfile/#environment-replacement
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bastide::delivery {

using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

// Replaces $x, ${x}, ${x:-word}, ${x-word}, ${x:+word}, ${x+word}; removes quotes and escapes. Single quotes
// keep everything as it is. An error says what is wrong with the text.
Result<std::string> substitute(std::string_view text, char escape, const Lookup& lookup);

// Splits at white space outside quotes; quotes and escapes stay for substitute().
Result<std::vector<std::string>> split_words(std::string_view text, char escape);

}  // namespace bastide::delivery
