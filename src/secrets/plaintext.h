// Secrets that stand in clear in a text: keys and tokens of well-known form, private keys, and names such as
// `password` with a literal value. Pure. What it says of a place never holds the value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bastide::secrets {

struct Suspect {
  size_t line = 1;
  std::string what;  // "a password in clear (db_password)"
};

inline constexpr size_t kMaxSuspects = 200;  // of one text

// A line that holds `secrets:ignore` is left out. Binary texts have none.
std::vector<Suspect> find_plaintext(std::string_view file_name, std::string_view text);

}  // namespace bastide::secrets
