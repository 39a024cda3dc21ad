#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "architecture/architecture.h"
#include "architecture/own_stacks.h"
#include "architecture/reader.h"
#include "base/bytes.h"
#include "sys/file.h"

namespace bastide::architecture {
namespace {

constexpr size_t kMaxFileBytes = 256u << 10;
const std::vector<std::string> kRoles = {"admin", "developer", "readonly"};

// Names become parts of stacks, hosts, roles and repositories.
bool good_name(const std::string& name) {
  if (name.empty() || name.size() > 32 || name.front() == '-' || name.back() == '-') return false;
  for (char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return name[0] >= 'a' && name[0] <= 'z';
}

bool good_path(const std::string& path) {
  return !path.empty() && path[0] != '/' && path.find("..") == std::string::npos && path.size() <= 255;
}

// A /16 to /20 of private addresses (two subnets of a quarter each must hold containers).
bool good_cidr(const std::string& text, uint32_t* base, unsigned* bits) {
  unsigned a = 0, b = 0, c = 0, d = 0, length = 0;
  int used = 0;
  if (sscanf(text.c_str(), "%3u.%3u.%3u.%3u/%2u%n", &a, &b, &c, &d, &length, &used) != 5 ||
      static_cast<size_t>(used) != text.size())
    return false;
  if (a > 255 || b > 255 || c > 255 || d > 255 || length < 16 || length > 20) return false;
  *base = (a << 24) | (b << 16) | (c << 8) | d;
  *bits = length;
  return (a == 10 || (a == 172 && b >= 16 && b < 32) || (a == 192 && b == 168)) &&
         (*base & (0xffffffffu >> length)) == 0;
}

class File {
 public:
  File(const yaml::Node& root, const std::string& file) : read_(file), root_(root) {}

  Result<Architecture> load() {
    // Environments come first: everything else may name them.
    if (const auto* n = root_.find("environments")) environments(*n);
    const std::vector<std::string> required = {"name", "environments", "apps"};
    read_.map(root_, "the file",
              {{"name",
                [&](const yaml::Node& n) {
                  read_.text(a_.name, "name")(n);
                  check_name(a_.name, n.mark, "name");
                }},
               {"region", read_.text(a_.region, "region")},
               {"environments", [](const yaml::Node&) {}},
               {"groups", [&](const yaml::Node& n) { groups(n); }},
               {"people", [&](const yaml::Node& n) { people(n); }},
               {"apps", [&](const yaml::Node& n) { apps(n); }},
               {"policies", [&](const yaml::Node& n) { policies(n); }},
               {"notify",
                [&](const yaml::Node& n) {
                  a_.notify = read_.texts(n, "notify");
                  for (const auto& who : a_.notify) {
                    if (who.find('@') == std::string::npos && !who.starts_with("https://") && !who.starts_with("http://"))
                      read_.wrong(n.mark, fmt::format("notify: '{}' is neither a mail address nor a URL", who));
                  }
                }},
               {"pipeline", [&](const yaml::Node& n) { pipeline(n); }}},
              required);
    check_people();
    TRY(read_.result());
    return std::move(a_);
  }

 private:
  void check_name(const std::string& name, const yaml::Mark& mark, const std::string& what) {
    if (!good_name(name)) {
      read_.wrong(
          mark, fmt::format("{} '{}' must be 1 to 32 lower-case letters, digits and hyphens, a letter first",
                            what, name));
    }
  }

  void environments(const yaml::Node& node) {
    std::vector<std::pair<uint32_t, unsigned>> blocks{{(10u << 24), 16}};  // of shared-services
    read_.names(
        node, "environments", [&](const std::string& name, const yaml::Mark& mark, const yaml::Node& value) {
          check_name(name, mark, "environment");
          if (name == "management" || name == "security" || name == "shared-services") {
            read_.wrong(
                mark,
                fmt::format("'{}' is an account of every architecture and cannot be an environment", name));
          }
          Environment e{name, ""};
          read_.map(
              value, "environment " + name,
              {{"cidr",
                [&](const yaml::Node& n) {
                  read_.text(e.cidr, "cidr")(n);
                  uint32_t base = 0;
                  unsigned bits = 0;
                  if (!good_cidr(e.cidr, &base, &bits)) {
                    read_.wrong(
                        n.mark,
                        fmt::format("cidr '{}' must be a private IPv4 block of /16 to /20, like 10.10.0.0/16",
                                    e.cidr));
                    return;
                  }
                  for (const auto& [other, length] : blocks) {
                    const unsigned shorter = std::min(bits, length);
                    if ((base >> (32 - shorter)) == (other >> (32 - shorter))) {
                      read_.wrong(n.mark, fmt::format("cidr '{}' overlaps another network of the "
                                                      "architecture (10.0.0.0/16 is shared-services')",
                                                      e.cidr));
                      return;
                    }
                  }
                  blocks.emplace_back(base, bits);
                }}},
              {"cidr"});
          a_.environments.push_back(std::move(e));
        });
    if (node.kind == yaml::Node::Kind::map && a_.environments.empty())
      read_.wrong(node.mark, "at least one environment is needed");
    if (a_.environments.size() > 8) read_.wrong(node.mark, "at most 8 environments are supported");
  }

  std::vector<std::string> accounts() const {
    std::vector<std::string> out = {"management", "security", "shared-services"};
    for (const auto& e : a_.environments) out.push_back(e.name);
    return out;
  }

  std::vector<std::string> environment_names() const {
    std::vector<std::string> out;
    for (const auto& e : a_.environments) out.push_back(e.name);
    return out;
  }

  // "unknown account 'stge'; did you mean 'stage'?"
  bool known(const std::string& name, const std::vector<std::string>& all, const yaml::Mark& mark,
             const std::string& what) {
    if (std::find(all.begin(), all.end(), name) != all.end()) return true;
    const std::string near = closest(name, all);
    read_.wrong(mark, near.empty() ? fmt::format("unknown {} '{}'; known are {}", what, name, join(all, ", "))
                                   : fmt::format("unknown {} '{}'; did you mean '{}'?", what, name, near));
    return false;
  }

  void groups(const yaml::Node& node) {
    read_.names(
        node, "groups", [&](const std::string& name, const yaml::Mark& mark, const yaml::Node& value) {
          check_name(name, mark, "group");
          Group g{name, {}};
          read_.map(value, "group " + name,
                    {{"roles",
                      [&](const yaml::Node& roles) {
                        read_.names(
                            roles, "roles",
                            [&](const std::string& account, const yaml::Mark& where, const yaml::Node& list) {
                              if (!known(account, accounts(), where, "account")) return;
                              for (const auto& role : read_.texts(list, "roles of " + account)) {
                                if (known(role, kRoles, list.mark, "role")) g.roles[account].push_back(role);
                              }
                            });
                      }}},
                    {"roles"});
          a_.groups.push_back(std::move(g));
        });
  }

  void people(const yaml::Node& node) {
    read_.names(
        node, "people", [&](const std::string& name, const yaml::Mark& mark, const yaml::Node& value) {
          if (name.empty() || name.size() > 64 ||
              name.find_first_not_of(
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-") !=
                  std::string::npos) {
            read_.wrong(
                mark,
                fmt::format("'{}' cannot be a user's name: letters, digits and +=,.@_- only, at most 64",
                            name));
          }
          Person p{name, {}};
          read_.map(value, "person " + name,
                    {{"groups",
                      [&](const yaml::Node& n) {
                        p.groups = read_.texts(n, "groups");
                        for (const auto& g : p.groups) group_uses_.emplace_back(g, n.mark);
                      }}},
                    {"groups"});
          a_.people.push_back(std::move(p));
        });
  }

  void check_people() {
    std::vector<std::string> all;
    for (const auto& g : a_.groups) all.push_back(g.name);
    for (const auto& [group, mark] : group_uses_) known(group, all, mark, "group");
  }

  void size(const yaml::Node& node, Size& s, const std::string& what) {
    read_.map(node, what,
              {{"count", read_.number(s.count, "count", 0, 100)},
               {"cpu", [&](const yaml::Node& n) { read_.number(s.cpu, "cpu", 64, 16384)(n); }},
               {"memory", read_.number(s.memory, "memory", 32, 122880)}});
  }

  void apps(const yaml::Node& node) {
    read_.names(node, "apps", [&](const std::string& name, const yaml::Mark& mark, const yaml::Node& value) {
      check_name(name, mark, "app");
      if (name.size() > 20) read_.wrong(mark, "an app's name has at most 20 characters");
      App app;
      app.name = name;
      app.source = ".";
      for (const auto& e : a_.environments) app.sizes[e.name] = {};
      auto path = [&](std::string& out, const char* what) {
        return [this, &out, what](const yaml::Node& n) {
          read_.text(out, what)(n);
          if (!good_path(out))
            read_.wrong(n.mark, fmt::format("{} '{}' must be a path inside the repository", what, out));
        };
      };
      read_.map(value, "app " + name,
                {{"source", path(app.source, "source")},
                 {"dockerfile", path(app.dockerfile, "dockerfile")},
                 {"build", read_.text(app.build, "build")},
                 {"test", read_.text(app.test, "test")},
                 {"image", read_.text(app.build_image, "image")},
                 {"network", read_.flag(app.network, "network")},
                 {"port", read_.number(app.port, "port", 1, 65535)},
                 {"health",
                  [&](const yaml::Node& n) {
                    read_.text(app.health, "health")(n);
                    if (app.health.empty() || app.health[0] != '/')
                      read_.wrong(n.mark, "health must be a path that begins with '/'");
                  }},
                 {"static", path(app.static_folder, "static")},
                 {"alarms",
                  [&](const yaml::Node& n) {
                    std::string which;
                    read_.text(which, "alarms")(n);
                    if (which != "default" && which != "none")
                      read_.wrong(n.mark, "alarms is 'default' or 'none'");
                    app.alarms = which != "none";
                  }},
                 {"config", path(app.config, "config")},
                 {"size",
                  [&](const yaml::Node& sizes) {
                    read_.names(sizes, "size",
                                [&](const std::string& env, const yaml::Mark& where, const yaml::Node& one) {
                                  if (known(env, environment_names(), where, "environment"))
                                    size(one, app.sizes[env], "size of " + env);
                                });
                  }},
                 {"variables", [&](const yaml::Node& all) {
                    read_.names(all, "variables",
                                [&](const std::string& env, const yaml::Mark& where, const yaml::Node& one) {
                                  if (!known(env, environment_names(), where, "environment")) return;
                                  read_.names(
                                      one, "variables of " + env,
                                      [&](const std::string& key, const yaml::Mark&, const yaml::Node& v) {
                                        read_.text(app.variables[env][key], "variable " + key)(v);
                                      });
                                });
                  }}});
      a_.apps.push_back(std::move(app));
    });
    if (node.kind == yaml::Node::Kind::map && a_.apps.empty())
      read_.wrong(node.mark, "at least one app is needed");
    if (a_.apps.size() > 40) read_.wrong(node.mark, "at most 40 apps are supported");
  }

  // Accounts by name, or "environments", "platform" (security and shared-services), "everything" (both).
  std::vector<std::string> targets(const yaml::Node& node) {
    std::vector<std::string> out, known_names = accounts();
    known_names.erase(known_names.begin());  // service control policies do not bind the management account
    for (const char* group : {"environments", "platform", "everything"}) known_names.emplace_back(group);
    auto add = [&](const std::string& name) {
      if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
    };
    for (const auto& name : read_.texts(node, "accounts")) {
      if (name == "management") {
        read_.wrong(node.mark, "service control policies do not bind the management account");
        continue;
      }
      if (!known(name, known_names, node.mark, "account")) continue;
      const bool all = name == "everything";
      if (all || name == "platform") {
        add("security");
        add("shared-services");
      }
      if (all || name == "environments") {
        for (const auto& e : a_.environments) add(e.name);
      }
      if (!all && name != "platform" && name != "environments") add(name);
    }
    return out;
  }

  void policies(const yaml::Node& node) {
    read_.names(node, "policies", [&](const std::string& name, const yaml::Mark& mark, const yaml::Node& value) {
      check_name(name, mark, "policy");
      Architecture::Policy p;
      p.name = name;
      read_.map(value, "policy " + name,
                {{"accounts", [&](const yaml::Node& n) { p.accounts = targets(n); }},
                 {"deny",
                  [&](const yaml::Node& n) {
                    p.deny = read_.texts(n, "deny");
                    for (const auto& action : p.deny) {
                      if (action != "*" && action.find(':') == std::string::npos)
                        read_.wrong(n.mark, fmt::format("'{}' is no action; one looks like iam:CreateUser", action));
                    }
                  }},
                 {"document",
                  [&](const yaml::Node& n) {
                    auto document = yaml::to_json(n);
                    if (!document || !document->is_object() || !document->has("Statement")) {
                      read_.wrong(n.mark, "document must be a policy, a map with a Statement");
                    } else {
                      p.document = std::move(*document);
                    }
                  }}},
                {"accounts"});
      if (p.deny.empty() == p.document.is_null())
        read_.wrong(mark, fmt::format("policy {} needs either 'deny' or 'document'", name));
      a_.policies.push_back(std::move(p));
    });
    if (a_.policies.size() > 20) read_.wrong(node.mark, "at most 20 policies are supported");
  }

  void pipeline(const yaml::Node& node) {
    read_.map(node, "pipeline",
              {{"branch", read_.text(a_.branch, "branch")},
               {"promote", [&](const yaml::Node& promote) {
                  a_.promote_tag.clear();
                  read_.map(promote, "promote",
                            {{"tag", read_.text(a_.promote_tag, "tag")},
                             {"branch", read_.text(a_.promote_branch, "branch")},
                             {"approval", read_.flag(a_.approval, "approval")}});
                }}});
  }

  Reader read_;
  const yaml::Node& root_;
  Architecture a_;
  std::vector<std::pair<std::string, yaml::Mark>> group_uses_;
};

}  // namespace

Result<Architecture> parse(const std::string& text, const std::string& file_name) {
  auto root = yaml::parse(text, {.bytes = kMaxFileBytes});
  if (!root) {
    // "line 3, column 5: why" becomes "file:3:5: why".
    std::string why = root.error().message;
    int line = 0, column = 0, used = 0;
    if (sscanf(why.c_str(), "line %d, column %d: %n", &line, &column, &used) == 2 && used > 0) {
      why = fmt::format("{}:{}:{}: {}", file_name, line, column, why.substr(static_cast<size_t>(used)));
    } else {
      why = file_name + ": " + why;
    }
    return error("Invalid", why);
  }
  return File(*root, file_name).load();
}

Result<Architecture> load(const std::string& path) {
  std::string file = path;
  if (!file.ends_with(".yaml") && !file.ends_with(".yml"))
    file += file.ends_with('/') ? "bastide.yaml" : "/bastide.yaml";
  const std::string text = TRY(sys::read_file(file, kMaxFileBytes));
  auto a = TRY(parse(text, file));
  std::vector<std::string> accounts = {"management", "security", "shared-services"};
  for (const auto& e : a.environments) accounts.push_back(e.name);
  const size_t slash = file.rfind('/');
  a.own_stacks = TRY(read_own_stacks(slash == std::string::npos ? "." : file.substr(0, slash), accounts));
  return a;
}

}  // namespace bastide::architecture
