// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html
#include "base/crypto.h"
#include "services/secretsmanager/secret.h"

namespace bastide::services {
namespace {

std::string without(std::string_view alphabet, const std::string& excluded) {
  std::string out;
  for (const char c : alphabet) {
    if (excluded.find(c) == std::string::npos) out += c;
  }
  return out;
}

bool has_any(const std::string& text, const std::string& alphabet) {
  return text.find_first_of(alphabet) != std::string::npos;
}

}  // namespace

Result<std::string> random_password(const PasswordWish& wish) {
  std::vector<std::string> kinds;
  auto add = [&](bool wanted, std::string_view alphabet) {
    if (!wanted) return;
    auto left = without(alphabet, wish.exclude);
    if (!left.empty()) kinds.push_back(std::move(left));
  };
  add(wish.lower, "abcdefghijklmnopqrstuvwxyz");
  add(wish.upper, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  add(wish.numbers, "0123456789");
  add(wish.punctuation, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");
  add(wish.space, " ");
  if (kinds.empty()) {
    return fault("InvalidParameterException",
                 "The password contains no characters: everything was excluded.");
  }
  const auto length = static_cast<size_t>(wish.length);
  if (wish.each && length < kinds.size()) {
    return fault("InvalidParameterException", "Password length is too short based on the required types.");
  }
  std::string alphabet;
  for (const auto& kind : kinds) alphabet += kind;
  // Drawing anew keeps every password with all kinds equally likely.
  constexpr int kDraws = 10'000;
  for (int i = 0; i < kDraws; ++i) {
    std::string password = random_text(length, alphabet);
    bool whole = true;
    for (const auto& kind : kinds) whole = whole && (!wish.each || has_any(password, kind));
    if (whole) return password;
    wipe(password);
  }
  return fault("InvalidParameterException", "Password length is too short based on the required types.");
}

}  // namespace bastide::services
