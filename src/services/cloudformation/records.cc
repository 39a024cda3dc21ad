#include "services/cloudformation/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::services::cfn {
namespace {

constexpr const char* kPurpose = "cloudformation";

json::Value text_list(const std::vector<std::string>& list) {
  json::Value out = json::array();
  for (const auto& one : list) out.push(one);
  return out;
}

std::vector<std::string> texts(const json::Value& body, const char* key) {
  std::vector<std::string> out;
  for (const auto& one : body.get_array(key)) {
    if (one.is_string()) out.push_back(one.string());
  }
  return out;
}

json::Value pairs(const std::vector<std::pair<std::string, std::string>>& list) {
  json::Value out = json::array();
  for (const auto& [a, b] : list) out.push(json::array({a, b}));
  return out;
}

std::vector<std::pair<std::string, std::string>> pairs(const json::Value& body, const char* key) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& one : body.get_array(key)) {
    if (one.is_array() && one.array().size() == 2)
      out.emplace_back(one.array()[0].string(), one.array()[1].string());
  }
  return out;
}

json::Value leftover_json(const Leftover& l) {
  return json::object({{"physical", l.physical},
                       {"type", l.type},
                       {"policy", l.policy},
                       {"operation", l.operation},
                       {"properties", l.properties},
                       {"attributes", l.attributes}});
}

json::Value member(const json::Value& v, const char* key) {
  const json::Value* found = v.find(key);
  return found == nullptr ? json::Value() : *found;
}

std::string export_id(const std::string& name) { return hex(sha256(name)); }
std::string import_key(const std::string& account, const std::string& region, const std::string& name) {
  return account + "/" + region + "/" + name;
}

}  // namespace

json::Value principal_json(const aws::Principal& p) {
  json::Value sessions = json::array();
  for (const auto& policy : p.session_policies) sessions.push(policy.source());
  return json::object({{"kind", static_cast<int>(p.kind)},
                       {"account", p.account},
                       {"arn", p.arn},
                       {"id", p.id},
                       {"name", p.name},
                       {"role_arn", p.role_arn},
                       {"access_key_id", p.access_key_id},
                       {"session_policies", std::move(sessions)},
                       {"tags", pairs(p.tags)},
                       {"session_tags", pairs(p.session_tags)},
                       {"transitive_tags", text_list(p.transitive_tags)},
                       {"source_identity", p.source_identity},
                       {"mfa", p.mfa},
                       {"mfa_at", p.mfa_at},
                       {"issued_at", p.issued_at},
                       {"expires_at", p.expires_at}});
}

aws::Principal principal_of(const json::Value& v) {
  aws::Principal p;
  p.kind =
      static_cast<aws::Principal::Kind>(v.get_int("kind", static_cast<int>(aws::Principal::Kind::anonymous)));
  p.account = v.get("account");
  p.arn = v.get("arn");
  p.id = v.get("id");
  p.name = v.get("name");
  p.role_arn = v.get("role_arn");
  p.access_key_id = v.get("access_key_id");
  for (const auto& policy : v.get_array("session_policies")) p.session_policies.emplace_back(policy);
  p.tags = pairs(v, "tags");
  p.session_tags = pairs(v, "session_tags");
  p.transitive_tags = texts(v, "transitive_tags");
  p.source_identity = v.get("source_identity");
  p.mfa = v.get_bool("mfa");
  p.mfa_at = v.get_int("mfa_at");
  p.issued_at = v.get_int("issued_at");
  p.expires_at = v.get_int("expires_at");
  return p;
}

std::string new_uuid() {
  std::string b = random_bytes(16);
  b[6] = static_cast<char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<char>((b[8] & 0x3f) | 0x80);
  const std::string h = hex(b);
  return h.substr(0, 8) + "-" + h.substr(8, 4) + "-" + h.substr(12, 4) + "-" + h.substr(16, 4) + "-" +
         h.substr(20);
}

json::Value text_map(const std::map<std::string, std::string>& map) {
  json::Value out = json::object();
  for (const auto& [k, v] : map) out[k] = v;
  return out;
}

std::map<std::string, std::string> text_map(const json::Value& object) {
  std::map<std::string, std::string> out;
  if (!object.is_object()) return out;
  for (const auto& [k, v] : object.object()) {
    if (v.is_string()) out[k] = v.string();
  }
  return out;
}

std::string Stack::arn() const { return aws::make_arn("cloudformation", region, account, "stack/" + id()); }

json::Value Version::to_json() const {
  return json::object({{"text", text},
                       {"parameters", text_map(parameters)},
                       {"tags", tags},
                       {"processed", processed},
                       {"imports", text_map(imports)}});
}

Version Version::from(const json::Value& v) {
  Version out;
  out.text = v.get("text");
  out.parameters = text_map(member(v, "parameters"));
  if (const json::Value* tags = v.find("tags"); tags != nullptr && tags->is_array()) out.tags = *tags;
  out.processed = v.get("processed");
  out.imports = text_map(member(v, "imports"));
  return out;
}

std::string Records::seal(const json::Value& value, const std::string& context) {
  return base64(keyring_.seal(kPurpose, json::print(value), context));
}

Result<json::Value> Records::unseal(const json::Value& sealed, const std::string& context) {
  if (!sealed.is_string()) return error("Invalid", "cloudformation: a sealed value is missing");
  const std::string bytes = TRY(unbase64(sealed.string()));
  const std::string text = TRY(keyring_.unseal(kPurpose, bytes, context));
  return json::parse(text);
}

Result<void> Records::put(store::Writer& w, const Stack& s) {
  json::Value outputs = json::array();
  for (const auto& o : s.outputs) {
    outputs.push(json::object(
        {{"key", o.key}, {"value", o.value}, {"description", o.description}, {"export", o.export_name}}));
  }
  const json::Value secret =
      json::object({{"outputs", std::move(outputs)}, {"parameters", text_map(s.parameters)}});
  json::Value body = json::object({{"name", s.name},
                                   {"uuid", s.uuid},
                                   {"status", s.status},
                                   {"reason", s.reason},
                                   {"description", s.description},
                                   {"created", s.created},
                                   {"updated", s.updated},
                                   {"deleted", s.deleted},
                                   {"role_arn", s.role_arn},
                                   {"principal", principal_json(s.principal)},
                                   {"capabilities", text_list(s.capabilities)},
                                   {"notification_arns", text_list(s.notification_arns)},
                                   {"retain", text_list(s.retain)},
                                   {"imports", text_list(s.imports)},
                                   {"on_failure", s.on_failure},
                                   {"keep_failed_update", s.keep_failed_update},
                                   {"timeout_minutes", s.timeout_minutes},
                                   {"termination_protection", s.termination_protection},
                                   {"operation", s.operation},
                                   {"client_token", s.client_token},
                                   {"change_set_id", s.change_set_id},
                                   {"tags", s.tags},
                                   {"parent", s.parent},
                                   {"policy", s.policy},
                                   {"update_policy", s.update_policy},
                                   {"private", seal(secret, s.arn())}});
  std::vector<store::Index> indexes;
  if (!s.gone()) {
    for (const auto& name : s.imports) indexes.push_back({"import", import_key(s.account, s.region, name)});
  }
  return w.put(s.key(), body, indexes);
}

Result<Stack> Records::stack_of(const store::Resource& r) {
  Stack s;
  const json::Value& b = r.body;
  s.account = r.key.account;
  s.region = r.key.region;
  s.name = b.get("name");
  s.uuid = b.get("uuid");
  s.status = b.get("status");
  s.reason = b.get("reason");
  s.description = b.get("description");
  s.created = b.get_int("created");
  s.updated = b.get_int("updated");
  s.deleted = b.get_int("deleted");
  s.role_arn = b.get("role_arn");
  s.principal = principal_of(member(b, "principal"));
  s.capabilities = texts(b, "capabilities");
  s.notification_arns = texts(b, "notification_arns");
  s.retain = texts(b, "retain");
  s.imports = texts(b, "imports");
  s.on_failure = b.get("on_failure", "ROLLBACK");
  s.keep_failed_update = b.get_bool("keep_failed_update");
  s.timeout_minutes = b.get_int("timeout_minutes");
  s.parent = b.get("parent");
  s.policy = member(b, "policy");
  s.update_policy = member(b, "update_policy");
  s.termination_protection = b.get_bool("termination_protection");
  s.operation = b.get("operation");
  s.client_token = b.get("client_token");
  s.change_set_id = b.get("change_set_id");
  if (const json::Value* tags = b.find("tags"); tags != nullptr && tags->is_array()) s.tags = *tags;
  const json::Value secret = TRY(unseal(member(b, "private"), s.arn()));
  s.parameters = text_map(member(secret, "parameters"));
  for (const auto& o : secret.get_array("outputs")) {
    s.outputs.push_back({o.get("key"), o.get("value"), o.get("description"), o.get("export")});
  }
  return s;
}

Result<std::optional<Stack>> Records::stack(const std::string& account, const std::string& region,
                                            const std::string& id) {
  const auto r = TRY(db_.get({account, region, kStackKind, id}));
  if (!r) return std::optional<Stack>();
  auto s = TRY(stack_of(*r));
  return std::optional<Stack>(std::move(s));
}

Result<std::optional<Stack>> Records::find(store::Reader& r, const std::string& account,
                                           const std::string& region, const std::string& name) {
  if (name.starts_with("arn:")) {
    auto arn = aws::parse_arn(name);
    if (!arn || arn->account != account || !arn->resource.starts_with("stack/"))
      return std::optional<Stack>();
    const auto row = TRY(r.get({account, arn->region, kStackKind, arn->resource.substr(6)}));
    if (!row) return std::optional<Stack>();
    auto s = TRY(stack_of(*row));
    return std::optional<Stack>(std::move(s));
  }
  const auto rows = TRY(r.list(account, region, kStackKind, "", 1'000'000, name + "/"));
  for (const auto& row : rows) {
    if (row.body.get("status") == "DELETE_COMPLETE") continue;
    auto s = TRY(stack_of(row));
    return std::optional<Stack>(std::move(s));
  }
  return std::optional<Stack>();
}

Result<std::vector<Stack>> Records::stacks(const std::string& account, const std::string& region) {
  std::vector<Stack> out;
  const auto rows = TRY(db_.list(account, region, kStackKind));
  for (const auto& row : rows) {
    auto s = TRY(stack_of(row));
    out.push_back(std::move(s));
  }
  return out;
}

Result<std::optional<Version>> Records::version(const Stack& s, const char* which) {
  const std::string id = s.id() + "/" + which;
  const auto row = TRY(db_.get({s.account, s.region, kTemplateKind, id}));
  if (!row) return std::optional<Version>();
  const json::Value body = TRY(unseal(member(row->body, "private"), s.arn() + id));
  return std::optional<Version>(Version::from(body));
}

Result<void> Records::put_version(store::Writer& w, const Stack& s, const char* which, const Version& v) {
  const std::string id = s.id() + "/" + which;
  return w.put({s.account, s.region, kTemplateKind, id},
               json::object({{"private", seal(v.to_json(), s.arn() + id)}}));
}

Result<void> Records::remove_version(store::Writer& w, const Stack& s, const char* which) {
  TRY(w.remove({s.account, s.region, kTemplateKind, s.id() + "/" + which}));
  return {};
}

Result<void> Records::put_resource(store::Writer& w, const Stack& s, const ResourceRow& r) {
  json::Value leftovers = json::array();
  for (const auto& l : r.leftovers) leftovers.push(leftover_json(l));
  const json::Value secret = json::object({{"properties", r.properties},
                                           {"attributes", r.attributes},
                                           {"attempted", r.attempted},
                                           {"leftovers", std::move(leftovers)}});
  const std::string id = s.id() + "/" + r.logical;
  json::Value body = json::object({{"logical", r.logical},
                                   {"type", r.type},
                                   {"physical", r.physical},
                                   {"status", r.status},
                                   {"reason", r.reason},
                                   {"updated", r.updated},
                                   {"deletion_policy", r.deletion_policy},
                                   {"replace_policy", r.replace_policy},
                                   {"depends", text_list(r.depends)},
                                   {"imported", r.imported},
                                   {"known", text_list(r.known)},
                                   {"private", seal(secret, s.arn() + id)}});
  if (r.pending) {
    body["pending"] = json::object({{"token", r.pending->token},
                                    {"suffix", r.pending->suffix},
                                    {"physical", r.pending->physical},
                                    {"started", r.pending->started}});
  }
  return w.put({s.account, s.region, kResourceKind, id}, body);
}

Result<void> Records::remove_resource(store::Writer& w, const Stack& s, const std::string& logical) {
  TRY(w.remove({s.account, s.region, kResourceKind, s.id() + "/" + logical}));
  return {};
}

Result<std::map<std::string, ResourceRow>> Records::resources(const Stack& s) {
  std::map<std::string, ResourceRow> out;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    const auto rows = TRY(reader.list(s.account, s.region, kResourceKind, "", 1'000'000, s.id() + "/"));
    for (const auto& row : rows) {
      ResourceRow r;
      const json::Value& b = row.body;
      r.logical = b.get("logical");
      r.type = b.get("type");
      r.physical = b.get("physical");
      r.status = b.get("status");
      r.reason = b.get("reason");
      r.updated = b.get_int("updated");
      r.deletion_policy = b.get("deletion_policy", "Delete");
      r.replace_policy = b.get("replace_policy", "Delete");
      r.depends = texts(b, "depends");
      r.imported = b.get("imported");
      r.known = texts(b, "known");
      if (const json::Value* p = b.find("pending")) {
        r.pending = ResourceRow::Pending{p->get("token"), p->get("suffix"), p->get("physical"),
                                         p->get_int("started")};
      }
      const json::Value secret = TRY(unseal(member(b, "private"), s.arn() + row.key.id));
      r.properties = member(secret, "properties");
      r.attributes = member(secret, "attributes");
      r.attempted = member(secret, "attempted");
      for (const auto& l : secret.get_array("leftovers")) {
        r.leftovers.push_back({l.get("physical"), l.get("type"), l.get("policy"), l.get("operation"),
                               member(l, "properties"), member(l, "attributes")});
      }
      out[r.logical] = std::move(r);
    }
    return {};
  }));
  return out;
}

Result<void> Records::event(store::Writer& w, const Stack& s, const std::string& logical,
                            const std::string& physical, const std::string& type, const std::string& status,
                            const std::string& reason, Millis at) {
  const int64_t n = TRY(w.next("cloudformation.event/" + s.uuid));
  const std::string event_id = type == "AWS::CloudFormation::Stack"
                                   ? new_uuid()
                                   : fmt::format("{}-{}-{}", logical, status, iso8601(at));
  return w.put({s.account, s.region, kEventKind, fmt::format("{}/{:012}", s.id(), n)},
               json::object({{"id", event_id},
                             {"logical", logical},
                             {"physical", physical},
                             {"type", type},
                             {"status", status},
                             {"reason", reason},
                             {"at", at},
                             {"token", s.client_token},
                             {"operation", s.operation}}));
}

Result<void> Records::event(store::Writer& w, const Stack& s, Millis at) {
  return event(w, s, s.name, s.arn(), "AWS::CloudFormation::Stack", s.status, s.reason, at);
}

Result<std::vector<Event>> Records::events(const Stack& s) {
  std::vector<Event> out;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    const auto rows = TRY(reader.list(s.account, s.region, kEventKind, "", 1'000'000, s.id() + "/"));
    for (const auto& row : rows) {
      const json::Value& b = row.body;
      out.push_back({b.get("id"), b.get("logical"), b.get("physical"), b.get("type"), b.get("status"),
                     b.get("reason"), b.get("token"), b.get("operation"), b.get_int("at")});
    }
    return {};
  }));
  std::reverse(out.begin(), out.end());
  return out;
}

Result<std::vector<Records::Export>> Records::exports(const std::string& account, const std::string& region) {
  std::vector<Export> out;
  const auto rows = TRY(db_.list(account, region, kExportKind));
  for (const auto& row : rows) {
    const json::Value value = TRY(unseal(member(row.body, "private"), row.key.id));
    out.push_back({row.body.get("name"), row.body.get("stack"), value.is_string() ? value.string() : ""});
  }
  std::sort(out.begin(), out.end(), [](const Export& a, const Export& b) { return a.name < b.name; });
  return out;
}

Result<std::optional<Records::Export>> Records::find_export(store::Reader& r, const std::string& account,
                                                            const std::string& region,
                                                            const std::string& name) {
  const auto row = TRY(r.get({account, region, kExportKind, export_id(name)}));
  if (!row) return std::optional<Export>();
  const json::Value value = TRY(unseal(member(row->body, "private"), row->key.id));
  return std::optional<Export>(Export{name, row->body.get("stack"), value.is_string() ? value.string() : ""});
}

Result<std::vector<std::string>> Records::importers(store::Reader& r, const std::string& account,
                                                    const std::string& region, const std::string& name) {
  std::vector<std::string> out;
  const auto rows = TRY(r.find(kStackKind, "import", import_key(account, region, name)));
  for (const auto& row : rows) out.push_back(row.body.get("name"));
  return out;
}

Result<void> Records::put_exports(store::Writer& w, const Stack& s) {
  std::set<std::string> kept;
  for (const auto& o : s.outputs) {
    if (o.export_name.empty() || s.gone()) continue;
    kept.insert(o.export_name);
    const auto there = TRY(find_export(w, s.account, s.region, o.export_name));
    if (there && there->stack_arn != s.arn()) {
      const auto arn = TRY(aws::parse_arn(there->stack_arn));
      return fault("ValidationError", fmt::format("Export with name {} is already exported by stack {}.",
                                                  o.export_name, split(arn.resource, '/')[1]));
    }
    if (there && there->value == o.value) continue;
    if (there) {
      const auto users = TRY(importers(w, s.account, s.region, o.export_name));
      if (!users.empty()) {
        return fault("ValidationError", fmt::format("Export {} cannot be updated as it is in use by {}",
                                                    o.export_name, join(users, ", ")));
      }
    }
    const std::string id = export_id(o.export_name);
    TRY(w.put({s.account, s.region, kExportKind, id},
              json::object(
                  {{"name", o.export_name}, {"stack", s.arn()}, {"private", seal(json::Value(o.value), id)}}),
              {{"stack", s.arn()}}));
  }
  const auto mine = TRY(w.find(kExportKind, "stack", s.arn()));
  for (const auto& row : mine) {
    const std::string name = row.body.get("name");
    if (kept.count(name) != 0) continue;
    const auto users = TRY(importers(w, s.account, s.region, name));
    if (!users.empty()) {
      return fault("ValidationError",
                   fmt::format("Export {} cannot be deleted as it is in use by {}", name, join(users, ", ")));
    }
    TRY(w.remove(row.key));
  }
  return {};
}

}  // namespace bastide::services::cfn
