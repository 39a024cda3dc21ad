#include "services/cloudformation/difference.h"

#include "services/cloudformation/handler.h"
#include "services/cloudformation/types.h"

namespace bastide::services::cfn {
namespace {

struct Shape {
  const ResourceDecl* decl = nullptr;
  json::Value properties;
};

// Resources with everything resolved but what other resources will give.
Result<std::map<std::string, Shape>> shapes(const Side& side) {
  std::map<std::string, Shape> out;
  if (side.t == nullptr) return out;
  const auto wanted = TRY(wanted_resources(*side.t, side.scope));
  Scope open = side.scope;
  open.ref = {};
  open.attribute = {};
  open.import_value = {};
  for (const auto& w : wanted) {
    json::Value properties = TRY(evaluate_properties(open, w.decl->properties));
    if (resolved(properties)) {
      auto coerced = coerce_properties(w.decl->type, w.decl->logical, properties);
      if (coerced) properties = std::move(*coerced);
    }
    merge_tags(w.decl->type, side.version->tags, properties);
    out[w.decl->logical] = {w.decl, std::move(properties)};
  }
  return out;
}

Result<json::Value> outputs(const Side& side) {
  json::Value out = json::object();
  if (side.t == nullptr) return out;
  Scope open = side.scope;
  open.ref = {};
  open.attribute = {};
  open.import_value = {};
  for (const auto& o : side.t->outputs) {
    if (!o.condition.empty() && !side.scope.conditions.at(o.condition)) continue;
    const auto value = TRY(evaluate(open, o.value));
    const auto name = TRY(evaluate(open, o.export_name));
    out[o.name] = json::array({value ? *value : json::Value(), name ? *name : json::Value(), o.description});
  }
  return out;
}

std::string physical_of(const std::map<std::string, ResourceRow>& rows, const std::string& logical) {
  auto it = rows.find(logical);
  return it == rows.end() ? "" : it->second.physical;
}

Change modified(const Shape& was, const Shape& is) {
  Change c;
  c.action = "Modify";
  c.logical = is.decl->logical;
  c.type = is.decl->type;
  auto handler = all_handlers().find(c.type);
  const bool always =
      handler == all_handlers().end() || handler->second.apply == nullptr || was.decl->type != is.decl->type;
  bool replace = false;
  for (const auto& property : changed_properties(was.properties, is.properties)) {
    const bool anew = always || needs_replacement(c.type, property);
    replace = replace || anew;
    c.details.push_back({property == "Tags" ? "Tags" : "Properties", property == "Tags" ? "" : property,
                         anew ? "Always" : "Never", "Static", "DirectModification", ""});
  }
  if (was.decl->deletion_policy != is.decl->deletion_policy) {
    c.details.push_back({"DeletionPolicy", "", "Never", "Static", "DirectModification", ""});
  }
  if (was.decl->update_replace_policy != is.decl->update_replace_policy) {
    c.details.push_back({"UpdateReplacePolicy", "", "Never", "Static", "DirectModification", ""});
  }
  if (was.decl->type != is.decl->type) replace = true;
  c.replacement = replace ? "True" : "False";
  if (replace)
    c.policy_action = is.decl->update_replace_policy == "Retain" ? "ReplaceAndRetain" : "ReplaceAndDelete";
  return c;
}

// Properties that take something from a resource that is replaced change with it.
bool follow_replaced(const Shape& is, const std::set<std::string>& replaced, Change& c) {
  bool any = false;
  for (const auto& [property, value] : is.properties.object()) {
    for (const auto& name : references(value)) {
      if (replaced.count(name) == 0) continue;
      const bool anew = needs_replacement(is.decl->type, property);
      c.details.push_back(
          {"Properties", property, anew ? "Conditionally" : "Never", "Dynamic", "ResourceReference", name});
      if (anew && c.replacement != "True") c.replacement = "Conditional";
      any = true;
    }
  }
  return any;
}

}  // namespace

Result<Difference> difference(const Side& before, const Side& after,
                              const std::map<std::string, ResourceRow>& rows) {
  Difference out;
  const auto was = TRY(shapes(before));
  const auto is = TRY(shapes(after));
  std::set<std::string> replaced;
  std::map<std::string, Change> modifications;
  for (const auto& [logical, shape] : is) {
    auto old = was.find(logical);
    if (old == was.end()) {
      Change c;
      c.action = "Add";
      c.logical = logical;
      c.type = shape.decl->type;
      out.changes.push_back(std::move(c));
      continue;
    }
    Change c = modified(old->second, shape);
    if (c.details.empty() && c.replacement != "True") continue;
    if (c.replacement == "True") replaced.insert(logical);
    modifications[logical] = std::move(c);
  }
  // What is replaced takes along what takes something from it, and so on.
  std::set<std::string> seen;
  while (seen.size() != replaced.size()) {
    std::set<std::string> fresh;
    for (const auto& name : replaced) {
      if (seen.insert(name).second) fresh.insert(name);
    }
    for (const auto& [logical, shape] : is) {
      if (was.count(logical) == 0) continue;
      auto it = modifications.find(logical);
      Change c;
      if (it != modifications.end()) c = it->second;
      c.action = "Modify";
      c.logical = logical;
      c.type = shape.decl->type;
      if (c.replacement.empty()) c.replacement = "False";
      if (!follow_replaced(shape, fresh, c)) continue;
      if (c.replacement != "False") replaced.insert(logical);
      modifications[logical] = std::move(c);
    }
  }
  for (auto& [logical, c] : modifications) {
    c.physical = physical_of(rows, logical);
    out.changes.push_back(std::move(c));
  }
  for (const auto& [logical, shape] : was) {
    if (is.count(logical) != 0) continue;
    Change c;
    c.action = "Remove";
    c.logical = logical;
    c.type = shape.decl->type;
    c.physical = physical_of(rows, logical);
    c.policy_action = shape.decl->deletion_policy == "Delete" ? "Delete" : "Retain";
    out.changes.push_back(std::move(c));
  }
  const json::Value old_outputs = TRY(outputs(before));
  const json::Value new_outputs = TRY(outputs(after));
  out.outputs_differ = !(old_outputs == new_outputs);
  return out;
}

json::Value to_json(const std::vector<Change>& changes) {
  json::Value out = json::array();
  for (const auto& c : changes) {
    json::Value details = json::array();
    for (const auto& d : c.details) {
      details.push(json::array({d.attribute, d.name, d.recreation, d.evaluation, d.source, d.entity}));
    }
    out.push(json::object({{"action", c.action},
                           {"logical", c.logical},
                           {"physical", c.physical},
                           {"type", c.type},
                           {"replacement", c.replacement},
                           {"policy", c.policy_action},
                           {"details", std::move(details)}}));
  }
  return out;
}

std::vector<Change> changes_of(const json::Value& list) {
  std::vector<Change> out;
  if (!list.is_array()) return out;
  for (const auto& v : list.array()) {
    Change c;
    c.action = v.get("action");
    c.logical = v.get("logical");
    c.physical = v.get("physical");
    c.type = v.get("type");
    c.replacement = v.get("replacement");
    c.policy_action = v.get("policy");
    for (const auto& d : v.get_array("details")) {
      const auto& a = d.array();
      if (a.size() != 6) continue;
      c.details.push_back(
          {a[0].string(), a[1].string(), a[2].string(), a[3].string(), a[4].string(), a[5].string()});
    }
    out.push_back(std::move(c));
  }
  return out;
}

}  // namespace bastide::services::cfn
