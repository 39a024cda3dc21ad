#include "services/cloudformation/drift_detection.h"

#include <algorithm>

#include "net/loop.h"
#include "services/cloudformation/engine.h"
#include "services/cloudformation/handler.h"
#include "services/cloudformation/types.h"

namespace bastide::services::cfn {
namespace {

// What a person may not read again is not compared.
void forget_unreadable(const std::string& type, json::Value& properties) {
  for (const auto& property : unreadable_properties(type)) properties.remove(property);
}

}  // namespace

int Detection::drifted() const {
  return static_cast<int>(std::count_if(resources.begin(), resources.end(), [](const ResourceDrift& r) {
    return r.status == "MODIFIED" || r.status == "DELETED";
  }));
}

Result<Detection> DriftDetection::of(const store::Resource& r) {
  const json::Value& b = r.body;
  Detection d;
  d.id = b.get("id");
  d.status = b.get("status");
  d.reason = b.get("reason");
  d.stack_arn = b.get("stack");
  d.stack_status = b.get("stack_status");
  d.started = b.get_int("started");
  d.checked = b.get_int("checked");
  for (const auto& one : b.get_array("only")) d.only.push_back(one.string());
  if (const json::Value* p = b.find("principal")) d.principal = principal_of(*p);
  const json::Value* sealed = b.find("private");
  if (sealed != nullptr) {
    const json::Value list = TRY(records_.unseal(*sealed, r.key.id));
    if (list.is_array()) {
      for (const auto& one : list.array()) d.resources.push_back(resource_drift_of(one));
    }
  }
  return d;
}

Result<void> DriftDetection::put(store::Writer& w, const Stack& stack, const Detection& d) {
  json::Value only = json::array(), list = json::array();
  for (const auto& one : d.only) only.push(one);
  for (const auto& one : d.resources) list.push(to_json(one));
  return w.put({stack.account, stack.region, kDriftKind, stack.id()},
               json::object({{"id", d.id},
                             {"status", d.status},
                             {"reason", d.reason},
                             {"stack", stack.arn()},
                             {"stack_status", d.stack_status},
                             {"started", d.started},
                             {"checked", d.checked},
                             {"only", std::move(only)},
                             {"principal", principal_json(d.principal)},
                             {"private", records_.seal(list, stack.id())}}),
               {{"detection", d.id}});
}

Result<std::optional<Detection>> DriftDetection::last(const Stack& stack) {
  const auto row = TRY(records_.db().get({stack.account, stack.region, kDriftKind, stack.id()}));
  if (!row) return std::optional<Detection>();
  auto d = TRY(of(*row));
  return std::optional<Detection>(std::move(d));
}

Result<std::optional<Detection>> DriftDetection::by_id(const std::string& account, const std::string& region,
                                                       const std::string& id) {
  const auto rows = TRY(records_.db().find(kDriftKind, "detection", id));
  for (const auto& row : rows) {
    if (row.key.account != account || row.key.region != region) continue;
    auto d = TRY(of(row));
    return std::optional<Detection>(std::move(d));
  }
  return std::optional<Detection>();
}

Result<std::string> DriftDetection::begin(const Stack& stack, const aws::Principal& who,
                                          std::vector<std::string> only) {
  auto before = TRY(last(stack));
  Detection d;
  d.id = new_uuid();
  d.status = "DETECTION_IN_PROGRESS";
  if (before) {
    d.stack_status = before->stack_status;
    d.checked = before->checked;
    d.resources = std::move(before->resources);
  }
  d.started = clock_.wall();
  d.only = std::move(only);
  d.principal = who;
  TRY(records_.db().write([&, this](store::Writer& w) -> Result<void> {
    TRY(put(w, stack, d));
    return w.enqueue(kDriftJob, Engine::job_key(stack), json::object(), clock_.wall());
  }));
  return d.id;
}

Result<ResourceDrift> DriftDetection::detect(const Stack& stack, const ResourceRow& row,
                                             const std::map<std::string, ResourceRow>& rows,
                                             const aws::Principal& who) {
  ResourceDrift d;
  d.logical = row.logical;
  d.physical = row.physical;
  d.type = row.type;
  d.at = clock_.wall();
  d.status = "NOT_CHECKED";
  auto handler = all_handlers().find(row.type);
  if (handler == all_handlers().end() || handler->second.read == nullptr) return d;
  Context c;
  c.client = &client_;
  c.principal = who;
  c.principal.called_via = {"cloudformation.amazonaws.com"};
  c.account = stack.account;
  c.region = stack.region;
  c.stack_name = stack.name;
  c.stack_id = stack.arn();
  c.logical = row.logical;
  c.type = row.type;
  c.sleep = [](Millis t) { net::sleep_for(t); };
  d.expected = row.properties.is_null() ? json::object() : row.properties;
  forget_unreadable(row.type, d.expected);
  auto found = handler->second.read(c, row.physical, row.properties);
  if (!found && is_missing(found.error())) {
    d.status = "DELETED";
    return d;
  }
  if (!found) return std::move(found).error();
  d.actual = std::move(*found);
  d.differences = property_drift(d.expected, d.actual);
  spare_siblings(row, rows, d);
  d.status = d.differences.empty() ? "IN_SYNC" : "MODIFIED";
  return d;
}

Result<void> DriftDetection::keep(const Stack& stack, const ResourceDrift& one) {
  auto d = TRY(last(stack));
  if (!d) {
    d.emplace();
    d->id = new_uuid();
    d->status = "DETECTION_COMPLETE";
  }
  std::erase_if(d->resources, [&](const ResourceDrift& r) { return r.logical == one.logical; });
  d->resources.push_back(one);
  d->checked = one.at;
  d->stack_status = d->drifted() > 0                   ? "DRIFTED"
                    : d->stack_status == "NOT_CHECKED" ? "IN_SYNC"
                                                       : d->stack_status;
  return records_.db().write([&, this](store::Writer& w) { return put(w, stack, *d); });
}

Result<void> DriftDetection::run(const Stack& stack) {
  auto d = TRY(last(stack));
  if (!d || d->status != "DETECTION_IN_PROGRESS") return {};
  const auto rows = TRY(records_.resources(stack));
  std::vector<Node> nodes;
  for (const auto& [logical, row] : rows) {
    if (!row.made()) continue;
    if (!d->only.empty() && std::find(d->only.begin(), d->only.end(), logical) == d->only.end()) continue;
    nodes.push_back({logical, {}});
  }
  std::map<std::string, ResourceDrift> found;
  std::vector<std::string> failures;
  run_graph(nodes, [&](const std::string& logical) {
    auto one = detect(stack, rows.at(logical), rows, d->principal);
    if (one) {
      found[logical] = std::move(*one);
    } else {
      failures.push_back(logical + ": " + one.error().message);
    }
    return true;
  });
  if (d->only.empty()) d->resources.clear();
  for (auto& [logical, one] : found) {
    std::erase_if(d->resources, [&, l = logical](const ResourceDrift& r) { return r.logical == l; });
    d->resources.push_back(std::move(one));
  }
  d->status = failures.empty() ? "DETECTION_COMPLETE" : "DETECTION_FAILED";
  std::sort(failures.begin(), failures.end());
  d->reason = failures.empty() ? "" : "Failed to detect drift on resource " + failures.front();
  const bool any = std::any_of(d->resources.begin(), d->resources.end(),
                               [](const ResourceDrift& r) { return r.status != "NOT_CHECKED"; });
  d->stack_status = d->drifted() > 0 ? "DRIFTED" : any ? "IN_SYNC" : "NOT_CHECKED";
  d->checked = clock_.wall();
  return records_.db().write([&, this](store::Writer& w) { return put(w, stack, *d); });
}

}  // namespace bastide::services::cfn
