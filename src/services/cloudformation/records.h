// What CloudFormation keeps: stacks, their templates, resources, events, exports, change sets. Values that
// may be secret (parameters, properties, attributes, outputs) are sealed. Keys: account, region, kind,
// NAME/UUID[/...].
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "aws/principal.h"
#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services::cfn {

inline constexpr const char* kStackKind = "cloudformation.stack";
inline constexpr const char* kTemplateKind = "cloudformation.template";
inline constexpr const char* kResourceKind = "cloudformation.resource";
inline constexpr const char* kEventKind = "cloudformation.event";
inline constexpr const char* kExportKind = "cloudformation.export";
inline constexpr const char* kChangeSetKind = "cloudformation.changeset";
inline constexpr const char* kCancelKind = "cloudformation.cancel";  // an update that is to be rolled back
inline constexpr const char* kSignalKind = "cloudformation.signal";
inline constexpr const char* kJobKind = "cloudformation.stack";

struct Output {
  std::string key, value, description, export_name;
};

struct Stack {
  std::string name, uuid, account, region;
  std::string status, reason, description;
  Millis created = 0, updated = 0, deleted = 0;
  std::string role_arn;
  aws::Principal principal;  // who asked last: resources are made in its name where there is no role
  std::vector<std::string> capabilities, notification_arns, retain, imports;
  std::string on_failure = "ROLLBACK";  // DO_NOTHING, DELETE
  bool keep_failed_update = false;      // DisableRollback of an update
  int64_t timeout_minutes = 0;
  bool termination_protection = false;
  std::string operation;  // an UUID: the operation that runs, or ran last
  std::string client_token;
  std::string change_set_id;
  std::vector<Output> outputs;                    // sealed
  std::map<std::string, std::string> parameters;  // sealed
  json::Value tags = json::array();
  std::string parent;         // ARN of the stack that this one is nested in
  json::Value policy;         // the stack policy; null: everything may change
  json::Value update_policy;  // of the update that runs; null: `policy` counts

  std::string id() const { return name + "/" + uuid; }
  std::string arn() const;
  store::Key key() const { return {account, region, kStackKind, id()}; }
  bool gone() const { return status == "DELETE_COMPLETE"; }
  bool busy() const { return status.ends_with("_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS"; }
};

// A template with what was given to it.
struct Version {
  std::string text;
  std::map<std::string, std::string> parameters;  // sealed
  json::Value tags = json::array();
  std::string processed;                       // after transforms; empty: there are none
  std::map<std::string, std::string> imports;  // resources to take up as they stand: logical -> physical id
  const std::string& executed() const { return processed.empty() ? text : processed; }
  json::Value to_json() const;
  static Version from(const json::Value&);
};

// A physical resource that waits to be deleted: replaced, or left over by a failed replacement.
struct Leftover {
  std::string physical, type, policy, operation;
  json::Value properties, attributes;
};

struct ResourceRow {
  std::string logical, type, physical, status, reason;
  Millis updated = 0;
  std::string deletion_policy = "Delete", replace_policy = "Delete";
  std::vector<std::string> depends, known;
  json::Value properties, attributes;  // sealed: as last applied
  std::string imported;                // the operation that took it up as it stood
  json::Value attempted;               // sealed: of an update in place that has not ended well
  struct Pending {
    std::string token, suffix, physical;
    Millis started = 0;
  };
  std::optional<Pending> pending;   // a create that has begun
  std::vector<Leftover> leftovers;  // sealed

  bool made() const { return !physical.empty() && status != "DELETE_COMPLETE"; }
};

struct Event {
  std::string id, logical, physical, type, status, reason, token, operation;
  Millis at = 0;
};

class Records {
 public:
  Records(store::Database& db, store::Keyring& keyring) : db_(db), keyring_(keyring) {}
  store::Database& db() { return db_; }

  Result<std::optional<Stack>> stack(const std::string& account, const std::string& region,
                                     const std::string& id);
  // By name (the one that is not deleted) or ARN (deleted ones too).
  Result<std::optional<Stack>> find(store::Reader& r, const std::string& account, const std::string& region,
                                    const std::string& name_or_arn);
  Result<std::vector<Stack>> stacks(const std::string& account, const std::string& region);
  Result<void> put(store::Writer& w, const Stack& stack);

  Result<std::optional<Version>> version(const Stack& stack, const char* which);  // "current", "next"
  Result<void> put_version(store::Writer& w, const Stack& stack, const char* which, const Version& version);
  Result<void> remove_version(store::Writer& w, const Stack& stack, const char* which);

  Result<std::map<std::string, ResourceRow>> resources(const Stack& stack);
  Result<void> put_resource(store::Writer& w, const Stack& stack, const ResourceRow& row);
  Result<void> remove_resource(store::Writer& w, const Stack& stack, const std::string& logical);

  Result<void> event(store::Writer& w, const Stack& stack, const std::string& logical,
                     const std::string& physical, const std::string& type, const std::string& status,
                     const std::string& reason, Millis at);
  // The stack's own event.
  Result<void> event(store::Writer& w, const Stack& stack, Millis at);
  Result<std::vector<Event>> events(const Stack& stack);  // newest first

  struct Export {
    std::string name, stack_arn, value;
  };
  Result<std::vector<Export>> exports(const std::string& account, const std::string& region);
  Result<std::optional<Export>> find_export(store::Reader& r, const std::string& account,
                                            const std::string& region, const std::string& name);
  Result<std::vector<std::string>> importers(store::Reader& r, const std::string& account,
                                             const std::string& region,
                                             const std::string& name);  // stack names
  // The stack's exports become those of its outputs; faults where a name is taken, or a changed one is in
  // use.
  Result<void> put_exports(store::Writer& w, const Stack& stack);

  std::string seal(const json::Value& value, const std::string& context);
  Result<json::Value> unseal(const json::Value& sealed, const std::string& context);

 private:
  Result<Stack> stack_of(const store::Resource& r);

  store::Database& db_;
  store::Keyring& keyring_;
};

json::Value principal_json(const aws::Principal& p);
aws::Principal principal_of(const json::Value& v);
std::string new_uuid();
json::Value text_map(const std::map<std::string, std::string>& map);
std::map<std::string, std::string> text_map(const json::Value& object);

}  // namespace bastide::services::cfn
