#include "edge/config.h"

#include <algorithm>
#include <numeric>

#include "base/bytes.h"
#include "edge/pattern.h"

namespace bastide::edge {

Group* Choice::next() {
  if (total == 0) return nullptr;
  position = (position + stride) % total;
  int at = position;
  for (const auto& [group, weight] : groups) {
    if (at < weight) return group;
    at -= weight;
  }
  return nullptr;
}

Result<std::shared_ptr<Config>> Config::build(internal::EdgeSnapshot snapshot) {
  auto out = std::make_shared<Config>();
  out->number_ = snapshot.number;
  if (!snapshot.certificates.empty()) {
    std::vector<net::TlsContext::Certificate> certificates;
    for (auto& c : snapshot.certificates) {
      certificates.push_back({std::move(c.chain_pem), std::move(c.key_pem), std::move(c.names)});
    }
    out->tls_ = TRY(net::TlsContext::server(certificates));
  }
  for (auto& g : snapshot.target_groups) {
    out->groups_.push_back(std::make_unique<Group>(std::move(g)));
    out->group_by_id_[out->groups_.back()->spec.id] = out->groups_.back().get();
  }
  for (auto& spec : snapshot.listeners) {
    auto listener = std::make_unique<Listener>();
    listener->spec = std::move(spec);
    auto add = [&](const internal::EdgeAction& spec_of_action) {
      Action action;
      action.spec = &spec_of_action;
      for (const auto& w : spec_of_action.forward) {
        action.choice.groups.emplace_back(out->group_by_id_.at(w.target_group), w.weight);
        action.choice.total += w.weight;
      }
      // A stride near the golden section, without a common factor, spreads the weights evenly.
      auto& c = action.choice;
      c.stride = std::max(1, c.total * 618 / 1000);
      while (c.total > 0 && std::gcd(c.stride, c.total) != 1) ++c.stride;
      listener->actions.push_back(std::move(action));
    };
    for (const auto& rule : listener->spec.rules) add(rule.action);
    add(listener->spec.fallback);
    auto& names = out->names_[listener->spec.socket == "https"];
    for (const auto& name : listener->spec.host_names) {
      auto key = lower(name);
      if (key == "*") {
        if (names.any == nullptr) names.any = listener.get();
      } else if (key.substr(0, 2) == "*.") {
        names.wildcard.emplace(key.substr(1), listener.get());
      } else {
        names.exact.emplace(std::move(key), listener.get());
      }
    }
    out->listeners_.push_back(std::move(listener));
  }
  for (auto& spec : snapshot.distributions) {
    auto distribution = std::make_unique<Distribution>(std::move(spec));
    for (const auto& name : distribution->spec.names) {
      auto key = lower(name);
      out->distribution_names_.emplace(key.substr(key.starts_with("*.") ? 1 : 0), distribution.get());
    }
    out->distributions_.push_back(std::move(distribution));
  }
  out->private_origins_ = snapshot.private_origins;
  out->authority_ = std::move(snapshot.authority_pem);
  return out;
}

Distribution* Config::distribution(std::string_view host_name) {
  if (distributions_.empty() || host_name.size() > 253) return nullptr;
  const auto name = lower(host_name);
  auto exact = distribution_names_.find(std::string_view(name));
  if (exact != distribution_names_.end()) return exact->second;
  const auto dot = name.find('.');
  if (dot == std::string::npos) return nullptr;
  auto wildcard = distribution_names_.find(std::string_view(name).substr(dot));
  return wildcard == distribution_names_.end() ? nullptr : wildcard->second;
}

void Config::adopt_targets(Config* before) {
  std::unordered_map<std::string, std::shared_ptr<Target>> known;
  if (before != nullptr) {
    for (const auto& g : before->groups_) {
      for (const auto& t : g->targets) known[g->spec.id + '\n' + t->spec.id] = t;
    }
  }
  for (auto& g : groups_) {
    for (auto& spec : g->spec.targets) {
      auto found = known.find(g->spec.id + '\n' + spec.id);
      bool same = found != known.end() && found->second->spec.address == spec.address &&
                  found->second->spec.port == spec.port && !(found->second->spec.draining && !spec.draining);
      if (same) {
        auto target = found->second;
        known.erase(found);
        target->spec = spec;
        if (spec.draining) target->drop_idle(INT64_MAX);
        target->wake.set();
        g->targets.push_back(std::move(target));
      } else {
        g->targets.push_back(std::make_shared<Target>(g->spec.id, spec));
      }
    }
  }
  for (auto& [key, target] : known) {
    target->gone = true;
    target->drop_idle(INT64_MAX);
    target->wake.set();
  }
}

Listener* Config::listener_of(bool https, std::string_view host_name) {
  char folded[260];
  if (host_name.size() > sizeof folded) return nullptr;
  for (size_t i = 0; i < host_name.size(); ++i) {
    char c = host_name[i];
    folded[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  std::string_view name(folded, host_name.size());
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  auto& names = names_[https];
  auto exact = names.exact.find(name);
  if (exact != names.exact.end()) return exact->second;
  for (auto dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
    auto found = names.wildcard.find(name.substr(dot));
    if (found != names.wildcard.end()) return found->second;
  }
  return names.any;
}

Route Config::route(bool https, std::string_view host_name, std::string_view path) {
  Route out;
  out.listener = listener_of(https, host_name);
  if (out.listener == nullptr) return out;
  const auto& rules = out.listener->spec.rules;
  for (size_t i = 0; i < rules.size(); ++i) {
    const auto& r = rules[i];
    auto host_fits = [&](const std::string& p) { return matches(p, host_name, true); };
    auto path_fits = [&](const std::string& p) { return matches(p, path, false); };
    if (!r.hosts.empty() && std::none_of(r.hosts.begin(), r.hosts.end(), host_fits)) continue;
    if (!r.paths.empty() && std::none_of(r.paths.begin(), r.paths.end(), path_fits)) continue;
    out.action = &out.listener->actions[i];
    out.priority = r.priority;
    return out;
  }
  out.action = &out.listener->actions.back();
  return out;
}

}  // namespace bastide::edge
