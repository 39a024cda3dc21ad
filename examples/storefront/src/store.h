// The storefront's pages: pure functions of its configuration.
#pragma once

#include <string>
#include <string_view>

struct Settings {
  std::string environment;  // "stage"
  std::string commit;       // full sha of the commit this program was built from
  std::string greeting;     // from the configuration
  std::string secret;       // decrypted at boot; never shown
  bool secret_was_encrypted = false;
};

// Reads the plain JSON that the boot helper hands over: flat string members only.
std::string json_member(std::string_view json, std::string_view name);

std::string html_escape(std::string_view text);
std::string home_page(const Settings& settings);
std::string about_json(const Settings& settings);

// Proof of the secret without the secret: its length and the first hexadecimal digits of a one-way fingerprint.
std::string fingerprint(std::string_view secret);
