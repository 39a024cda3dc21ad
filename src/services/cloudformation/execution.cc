#include "services/cloudformation/execution.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "net/loop.h"
#include "services/cloudformation/stack_policy.h"
#include "services/cloudformation/types.h"

namespace bastide::services::cfn {
namespace {

constexpr const char* kReplacing =
    "Requested update requires the creation of a new physical resource; hence creating one.";

const Handler* handler_of(const std::string& type) {
  auto it = all_handlers().find(type);
  return it == all_handlers().end() ? nullptr : &it->second;
}

}  // namespace

Result<void> Execution::load() {
  rows_ = TRY(records_.resources(stack_));
  return {};
}

void Execution::internal(const Error& e) {
  if (!broken_) broken_ = e;
  stop_ = true;
}

Context Execution::context(const ResourceRow& row) const {
  Context c;
  c.client = &client_;
  c.principal = actor_;
  c.account = stack_.account;
  c.region = stack_.region;
  c.stack_name = stack_.name;
  c.stack_id = stack_.arn();
  c.logical = row.logical;
  c.type = row.type;
  c.known = row.known;
  c.capabilities = stack_.capabilities;
  if (row.pending) {
    c.token = row.pending->token;
    c.suffix = row.pending->suffix;
    c.started = row.pending->started;
  }
  c.sleep = [](Millis d) { net::sleep_for(d); };
  return c;
}

bool Execution::save(const ResourceRow& row, const std::vector<std::string>& statuses) {
  auto written = records_.db().write([&](store::Writer& w) -> Result<void> {
    TRY(records_.put_resource(w, stack_, row));
    for (const auto& status : statuses) {
      const bool last = &status == &statuses.back();
      const std::string physical = !row.physical.empty() ? row.physical
                                   : row.pending         ? row.pending->physical
                                                         : "";
      TRY(records_.event(w, stack_, row.logical, physical, row.type, status, last ? row.reason : "",
                         row.updated));
    }
    return {};
  });
  if (!written) internal(written.error());
  return written.ok();
}

std::string Execution::reason_of(const Error& e, const std::string& token) const {
  if (e.code == "Cancelled") return e.message;
  if (!e.fault) return "Internal Failure";
  return fmt::format(
      "Resource handler returned message: \"{} (Error Code: {})\" (RequestToken: {}, HandlerErrorCode: {})",
      e.message, e.code, token,
      is_existing(e)                                            ? "AlreadyExists"
      : is_missing(e)                                           ? "NotFound"
      : e.code.find("AccessDenied") != std::string::npos        ? "AccessDenied"
      : e.code == "NotStabilized" || e.code == "NotUpdatable"   ? e.code.c_str()
      : e.code.find("LimitExceeded") != std::string::npos       ? "ServiceLimitExceeded"
      : e.code.find("Throttl") != std::string::npos             ? "Throttling"
      : e.code.find("DependencyViolation") != std::string::npos ? "ResourceConflict"
                                                                : "InvalidRequest");
}

bool Execution::fail(ResourceRow& row, const std::string& status, const Error& why) {
  stop_ = true;
  row.status = status;
  row.reason = reason_of(why, row.pending ? row.pending->token : stack_.operation);
  if (why.code == "ValidationError") row.reason = why.message;
  row.updated = clock_.wall();
  row.pending.reset();
  failed.push_back(row.logical);
  save(row, {status});
  return false;
}

Result<std::optional<json::Value>> Execution::ref(const std::string& logical) {
  auto it = rows_.find(logical);
  if (it == rows_.end() || !it->second.made()) return std::optional<json::Value>();
  return std::optional<json::Value>(json::Value(it->second.physical));
}

Result<std::optional<json::Value>> Execution::attribute(const std::string& logical, const std::string& name) {
  auto it = rows_.find(logical);
  if (it == rows_.end() || !it->second.made()) return std::optional<json::Value>();
  const json::Value* v = it->second.attributes.find(name);
  if (v == nullptr) {
    return validation(fmt::format("Attribute {} of resource {} is not known", name, logical));
  }
  return std::optional<json::Value>(*v);
}

// {{resolve:ssm:NAME[:VERSION]}} and {{resolve:secretsmanager:ID[:SecretString[:KEY[:STAGE[:VERSION]]]]}}.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
Result<void> Execution::resolve_dynamic(json::Value& value) {
  if (value.is_array()) {
    for (auto& one : value.array()) TRY(resolve_dynamic(one));
    return {};
  }
  if (value.is_object()) {
    for (auto& [key, one] : value.object()) TRY(resolve_dynamic(one));
    return {};
  }
  if (!value.is_string()) return {};
  std::string text = value.string();
  size_t at = 0;
  bool changed = false;
  while ((at = text.find("{{resolve:", at)) != std::string::npos) {
    const size_t end = text.find("}}", at);
    if (end == std::string::npos) break;
    const std::string inside = text.substr(at + 10, end - at - 10);
    const size_t colon = inside.find(':');
    const std::string service = inside.substr(0, colon);
    std::string rest = colon == std::string::npos ? "" : inside.substr(colon + 1);
    std::string got;
    if (service == "ssm" || service == "ssm-secure") {
      const json::Value out =
          TRY(client_.call(actor_, stack_.account, stack_.region, "ssm", "GetParameter",
                           json::object({{"Name", rest}, {"WithDecryption", service == "ssm-secure"}})));
      const json::Value* p = out.find("Parameter");
      got = p == nullptr ? "" : p->get("Value");
    } else if (service == "secretsmanager") {
      std::string id, tail;
      const size_t marker = rest.find(":SecretString");
      id = rest.substr(0, marker);
      std::vector<std::string> parts;
      if (marker != std::string::npos) {
        for (auto part : split(std::string_view(rest).substr(marker + 1), ':')) parts.emplace_back(part);
      }
      json::Value in = json::object({{"SecretId", id}});
      if (parts.size() > 2 && !parts[2].empty()) in["VersionStage"] = parts[2];
      if (parts.size() > 3 && !parts[3].empty()) in["VersionId"] = parts[3];
      const json::Value out =
          TRY(client_.call(actor_, stack_.account, stack_.region, "secretsmanager", "GetSecretValue", in));
      got = out.get("SecretString");
      if (parts.size() > 1 && !parts[1].empty()) {
        auto body = json::parse(got);
        const json::Value* v = body ? body->find(parts[1]) : nullptr;
        if (v == nullptr) return validation("Could not find a value associated with JSONKey in SecretString");
        got = scalar_text(*v);
      }
    } else {
      return validation("Dynamic reference is not supported: " + service);
    }
    text.replace(at, end + 2 - at, got);
    at += got.size();
    changed = true;
  }
  if (changed) value = std::move(text);
  return {};
}

Result<json::Value> Execution::properties_of(const ResourceDecl& decl) {
  json::Value properties = TRY(evaluate_properties(scope_, decl.properties));
  TRY(resolve_dynamic(properties));
  if (!resolved(properties)) {
    return validation(fmt::format(
        "Template format error: Unresolved resource dependencies in the properties of {}", decl.logical));
  }
  properties = TRY(coerce_properties(decl.type, decl.logical, std::move(properties)));
  merge_tags(decl.type, stack_.tags, properties);
  return properties;
}

Result<void> Execution::deploy(const Template& t, Scope scope, Purpose purpose) {
  purpose_ = purpose;
  scope_ = std::move(scope);
  scope_.stack_id = stack_.arn();
  scope_.ref = [this](const std::string& logical) { return ref(logical); };
  scope_.attribute = [this](const std::string& logical, const std::string& name) {
    return attribute(logical, name);
  };
  scope_.import_value = [this](const std::string& name) -> Result<json::Value> {
    std::optional<Records::Export> found;
    TRY(records_.db().read([&](store::Reader& r) -> Result<void> {
      found = TRY(records_.find_export(r, stack_.account, stack_.region, name));
      return {};
    }));
    if (!found) return validation(fmt::format("No export named {} found", name));
    if (std::find(imports.begin(), imports.end(), name) == imports.end()) imports.push_back(name);
    return json::Value(found->value);
  };
  const auto wanted = TRY(wanted_resources(t, scope_));
  std::map<std::string, const Wanted*> by_name;
  std::vector<Node> nodes;
  for (const auto& one : wanted) {
    by_name[one.decl->logical] = &one;
    nodes.push_back({one.decl->logical, one.after});
  }
  for (auto& [logical, row] : rows_) {
    if (by_name.count(logical) == 0 && row.made() && !permitted(row, "Update:Delete")) break;
  }
  run_graph(std::move(nodes), [&](const std::string& logical) {
    if (purpose_ == Purpose::update) cancel_if_asked();
    return !stop_ && deploy_one(*by_name.at(logical));
  });
  if (broken_) return *broken_;
  return {};
}

// CancelUpdateStack leaves a note; what has not begun does not begin.
void Execution::cancel_if_asked() {
  const auto note = records_.db().get({stack_.account, stack_.region, kCancelKind, stack_.id()});
  if (!note || !*note || (*note)->body.get("operation") != stack_.operation) return;
  stop_ = true;
  stack_problem = "User initiated";
}

bool Execution::deploy_one(const Wanted& wanted) {
  const ResourceDecl& decl = *wanted.decl;
  ResourceRow& row = rows_[decl.logical];
  const Handler* handler = handler_of(decl.type);
  const bool fresh = row.logical.empty();
  row.logical = decl.logical;
  if (fresh) row.type = decl.type;
  const std::vector<std::string> depends(wanted.after.begin(), wanted.after.end());
  const bool settings_changed =
      !fresh && (row.depends != depends || row.deletion_policy != decl.deletion_policy ||
                 row.replace_policy != decl.update_replace_policy);
  row.depends = depends;
  row.deletion_policy = decl.deletion_policy;
  row.replace_policy = decl.update_replace_policy;
  if (purpose_ == Purpose::rollback) restore_replaced(row);
  const bool there = row.made() && row.status != "CREATE_FAILED";
  auto properties = properties_of(decl);
  if (!properties || handler == nullptr) {
    return fail(row, there ? "UPDATE_FAILED" : "CREATE_FAILED",
                properties ? validation("Unrecognized resource type: " + decl.type) : properties.error());
  }
  const bool skipped =
      std::find(stack_.retain.begin(), stack_.retain.end(), row.logical) != stack_.retain.end();
  if (purpose_ == Purpose::rollback && there && skipped) {
    row.attempted = nullptr;
    row.status = "UPDATE_COMPLETE";
    row.updated = clock_.wall();
    return save(row, {row.status});
  }
  if (!there) {
    row.type = decl.type;
    if (auto it = adopt.find(decl.logical); it != adopt.end())
      return import(row, *handler, decl, std::move(*properties), it->second);
    return create(row, *handler, decl, std::move(*properties), false);
  }
  const auto changed = changed_properties(row.properties, *properties);
  // What a nested stack's template says may have changed under the same address.
  const bool look = row.type == "AWS::CloudFormation::Stack" && purpose_ == Purpose::update;
  if (changed.empty() && row.type == decl.type && row.attempted.is_null() && !row.pending && !look) {
    return settings_changed ? save(row, {}) : true;
  }
  bool replace = row.type != decl.type || handler->apply == nullptr;
  for (const auto& property : changed) replace = replace || needs_replacement(decl.type, property);
  if (!replace && !permitted(row, "Update:Modify")) return false;
  if (!replace) return update(row, *handler, std::move(*properties));
  if (!permitted(row, "Update:Replace")) return false;
  const std::string named = handler->name_property;
  if (row.type == decl.type && !named.empty() && !properties->get(named).empty() && !row.pending &&
      !differs(row.properties, *properties, named.c_str())) {
    return fail(
        row, "UPDATE_FAILED",
        validation(fmt::format("CloudFormation cannot update a stack when a custom-named resource requires "
                               "replacing. Rename {} and update the stack again.",
                               properties->get(named))));
  }
  return create(row, *handler, decl, std::move(*properties), true);
}

// The stack's policy counts in updates, not in what rolls them back.
bool Execution::permitted(ResourceRow& row, const char* action) {
  if (purpose_ != Purpose::update) return true;
  const json::Value& policy = stack_.update_policy.is_null() ? stack_.policy : stack_.update_policy;
  const std::string why = denied_by(policy, action, row.logical, row.type);
  if (!why.empty())
    fail(row, std::string_view(action) == "Update:Delete" ? "DELETE_FAILED" : "UPDATE_FAILED",
         validation(why));
  return why.empty();
}

// The resource that this update replaced still stands: it takes its place again.
void Execution::restore_replaced(ResourceRow& row) {
  for (auto it = row.leftovers.begin(); it != row.leftovers.end(); ++it) {
    if (it->operation != stack_.operation || it->policy == "Delete!") continue;
    Leftover old = std::move(*it);
    row.leftovers.erase(it);
    if (row.made()) {
      row.leftovers.push_back(
          {row.physical, row.type, "Delete!", stack_.operation, row.properties, row.attributes});
    }
    row.physical = old.physical;
    row.type = old.type;
    row.properties = std::move(old.properties);
    row.attributes = std::move(old.attributes);
    row.attempted = nullptr;
    row.pending.reset();
    row.status = "UPDATE_COMPLETE";
    row.reason.clear();
    row.updated = clock_.wall();
    save(row, {"UPDATE_COMPLETE"});
    return;
  }
}

bool Execution::create(ResourceRow& row, const Handler& handler, const ResourceDecl& decl,
                       json::Value properties, bool replacing) {
  const bool resumed = row.pending.has_value();
  if (!resumed) {
    row.pending = ResourceRow::Pending{new_uuid(), random_text(12, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
                                       "", clock_.wall()};
    row.status = replacing ? "UPDATE_IN_PROGRESS" : "CREATE_IN_PROGRESS";
    row.reason = replacing ? kReplacing : "";
    row.updated = clock_.wall();
    if (!save(row, {row.status})) return false;
  }
  Context c = context(row);
  c.type = decl.type;
  c.resumed = resumed;
  const std::function<bool()> cancelled = [this] { return stop_; };
  c.cancelled = &cancelled;
  std::string physical = row.pending->physical;
  json::Value attributes;
  Result<void> outcome;
  if (physical.empty() && resumed && handler.find != nullptr) {
    auto found = handler.find(c, properties);
    if (found) {
      physical = *found;
    } else {
      outcome = found.error();
    }
  }
  if (outcome && physical.empty()) {
    auto made = handler.make(c, properties);
    if (made) {
      physical = std::move(made->physical);
      attributes = std::move(made->attributes);
    } else {
      outcome = made.error();
    }
  }
  if (outcome && handler.waits && row.pending->physical.empty()) {
    row.pending->physical = physical;
    row.reason = "Resource creation Initiated";
    row.updated = clock_.wall();
    if (!save(row, {row.status})) return false;
  }
  if (outcome && handler.apply != nullptr) outcome = handler.apply(c, physical, nullptr, properties);
  if (outcome && !decl.creation_policy.is_null()) outcome = wait_for_signals(c, decl);
  if (outcome && attributes.is_null() && handler.attributes != nullptr) {
    auto got = handler.attributes(c, physical, properties);
    if (got) {
      attributes = std::move(*got);
    } else {
      outcome = got.error();
    }
  }
  if (!physical.empty()) row.known.push_back(physical);
  if (!outcome) {
    if (replacing) {
      if (!physical.empty()) {
        row.leftovers.push_back(
            {physical, decl.type, "Delete!", stack_.operation, std::move(properties), nullptr});
      }
    } else {
      row.physical = physical;
      row.properties = std::move(properties);
    }
    return fail(row, replacing ? "UPDATE_FAILED" : "CREATE_FAILED", outcome.error());
  }
  if (replacing) {
    row.leftovers.push_back(
        {row.physical, row.type, row.replace_policy, stack_.operation, row.properties, row.attributes});
  }
  row.type = decl.type;
  row.physical = std::move(physical);
  row.properties = std::move(properties);
  row.attributes = std::move(attributes);
  row.attempted = nullptr;
  row.updated = clock_.wall();
  row.reason.clear();
  const std::string begun = replacing ? "UPDATE_IN_PROGRESS" : "CREATE_IN_PROGRESS";
  row.status = replacing ? "UPDATE_COMPLETE" : "CREATE_COMPLETE";
  row.pending.reset();
  if (handler.waits || replacing) return save(row, {row.status});
  return save(row, {begun, row.status});
}

bool Execution::update(ResourceRow& row, const Handler& handler, json::Value properties) {
  // What is really there is somewhere between the two when an update in place did not end.
  const json::Value before =
      purpose_ == Purpose::rollback && !row.attempted.is_null() ? row.attempted : row.properties;
  if (purpose_ != Purpose::rollback || row.attempted.is_null()) row.attempted = properties;
  row.status = "UPDATE_IN_PROGRESS";
  row.reason.clear();
  row.updated = clock_.wall();
  if (!save(row, {row.status})) return false;
  Context c = context(row);
  c.resumed = true;
  c.token = new_uuid();
  const std::function<bool()> cancelled = [this] { return stop_; };
  c.cancelled = &cancelled;
  Result<void> outcome = handler.apply(c, row.physical, before, properties);
  json::Value attributes = row.attributes;
  if (outcome && handler.attributes != nullptr) {
    auto got = handler.attributes(c, row.physical, properties);
    if (got) {
      attributes = std::move(*got);
    } else {
      outcome = got.error();
    }
  }
  if (!outcome) return fail(row, "UPDATE_FAILED", outcome.error());
  row.properties = std::move(properties);
  row.attributes = std::move(attributes);
  row.attempted = nullptr;
  row.status = "UPDATE_COMPLETE";
  row.updated = clock_.wall();
  return save(row, {row.status});
}

Result<std::vector<Output>> Execution::outputs(const Template& t) {
  std::vector<Output> out;
  for (const auto& o : t.outputs) {
    if (!o.condition.empty() && !scope_.conditions.at(o.condition)) continue;
    const auto value = TRY(evaluate(scope_, o.value));
    if (!value || !resolved(*value) || value->is_object() || value->is_array()) {
      return validation(
          fmt::format("Template format error: Output {} is malformed. The Value field of every Outputs "
                      "member must evaluate to a String.",
                      o.name));
    }
    Output one{o.name, scalar_text(*value), o.description, ""};
    if (!o.export_name.is_null()) {
      const auto name = TRY(evaluate(scope_, o.export_name));
      if (!name || !resolved(*name) || scalar_text(*name).empty()) {
        return validation(fmt::format(
            "Template format error: Output {} is malformed. The Name field of every Export member must be "
            "specified and consist only of alphanumeric characters, colons, or hyphens.",
            o.name));
      }
      one.export_name = scalar_text(*name);
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace bastide::services::cfn
