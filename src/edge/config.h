// A snapshot made ready to route by: which listener, rule and target group a request belongs to. Built off
// the loop, then swapped in whole; its target groups share the targets of the snapshot before.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "edge/distribution.h"
#include "edge/target.h"
#include "internal/edge.h"
#include "net/tls.h"

namespace bastide::edge {

// A forward action's choice among groups by weight: exact over each run of `total` requests.
struct Choice {
  std::vector<std::pair<Group*, int>> groups;
  int total = 0;
  int stride = 1;
  int position = 0;
  Group* next();  // nothing where every weight is 0
};

struct Action {
  const internal::EdgeAction* spec = nullptr;
  Choice choice;
};

struct Listener {
  internal::EdgeListener spec;
  std::vector<Action> actions;  // of the rules, in their order; the last one is the default action
};

struct Route {
  Listener* listener = nullptr;
  Action* action = nullptr;
  int priority = 0;  // 0: the default action
};

class Config {
 public:
  // Checks certificates and builds the tables. Without targets; see adopt_targets().
  static Result<std::shared_ptr<Config>> build(internal::EdgeSnapshot snapshot);

  // On the loop: takes the targets of `before` that are still there, and marks the others gone.
  void adopt_targets(Config* before);

  // Nothing where no listener of the socket has this name.
  Route route(bool https, std::string_view host_name, std::string_view path);

  Distribution* distribution(std::string_view host_name);  // nothing where none has the name
  bool has_listener(bool https, std::string_view host_name) { return listener_of(https, host_name) != nullptr; }
  const std::vector<std::unique_ptr<Distribution>>& distributions() const { return distributions_; }
  bool private_origins() const { return private_origins_; }
  const std::string& authority() const { return authority_; }

  int64_t number() const { return number_; }
  const std::shared_ptr<net::TlsContext>& tls() const { return tls_; }
  const std::vector<std::unique_ptr<Group>>& groups() const { return groups_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Names {
    std::unordered_map<std::string, Listener*, Hash, std::equal_to<>> exact;
    std::unordered_map<std::string, Listener*, Hash, std::equal_to<>> wildcard;  // without "*"
    Listener* any = nullptr;                                                     // of the name "*"
  };
  Listener* listener_of(bool https, std::string_view host_name);
  std::vector<std::unique_ptr<Distribution>> distributions_;
  std::unordered_map<std::string, Distribution*, Hash, std::equal_to<>> distribution_names_;  // "*." as ".name"
  bool private_origins_ = false;
  std::string authority_;

  int64_t number_ = 0;
  std::shared_ptr<net::TlsContext> tls_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Group>> groups_;
  std::unordered_map<std::string, Group*> group_by_id_;
  Names names_[2];
};

}  // namespace bastide::edge
