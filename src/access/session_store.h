// Where the command line keeps sessions: in the keyring of the desktop (libsecret's secret-tool) where there
// is one, else in files that are sealed under a key of this machine and user (0600), never in clear.
// Blocking; for clients, not for control.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace bastide::access {

class SessionStore {
 public:
  // `folder`: of the user ("~/.config/bastide"); `house` tells one Bastide from another.
  SessionStore(std::string folder, std::string house)
      : folder_(std::move(folder)), house_(std::move(house)) {}

  Result<void> put(const std::string& name, const json::Value& value);
  // Nothing: there is none, or it cannot be opened on this machine.
  Result<std::optional<json::Value>> get(const std::string& name);
  Result<void> remove(const std::string& name);
  Result<void> remove_all();  // of this house
  std::string place() const;  // for people: "the keyring", or the folder

 private:
  std::string path_of(const std::string& name) const;
  std::string label_of(const std::string& name) const;
  Result<std::string> machine_key();

  std::string folder_, house_;
};

// $XDG_CONFIG_HOME/bastide, else ~/.config/bastide.
std::string default_session_folder();

}  // namespace bastide::access
