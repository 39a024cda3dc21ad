// One resource type, as the engine drives it: make, apply what make did not, change in place, remove.
// Handlers are plain functions over JSON that call the type's service; they keep nothing and may run side by
// side in fibers. A handler must stand being repeated: after a kill the engine asks `find` what the
// interrupted attempt had made, then applies again.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "aws/local_client.h"
#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::services::cfn {

class Context {
 public:
  aws::LocalClient* client = nullptr;
  aws::Principal principal;
  std::string account, region, stack_name, stack_id, logical, type;
  std::string token;               // of this attempt, an UUID
  std::string suffix;              // what makes generated names unique; the same after a resume
  bool resumed = false;            // an earlier attempt was interrupted
  Millis started = 0;              // of the first attempt
  std::vector<std::string> known;  // physical ids that this logical id has or had: never taken for a new one
  json::Value stack_tags = json::array();            // [{Key, Value}]
  std::vector<std::string> capabilities;             // that were acknowledged for the stack
  const std::function<bool()>* cancelled = nullptr;  // the stack gave up meanwhile
  std::function<void(Millis)> sleep;                 // waits

  Result<json::Value> call(const char* service, const char* operation, json::Value input) const;
  // STACK-LOGICAL-SUFFIX cut to fit, as CloudFormation names what has no name.
  std::string generated_name(size_t max, bool lower_case = false) const;
  // The given property, else a generated name.
  std::string name(const json::Value& properties, const char* property, size_t max,
                   bool lower_case = false) const;
  // The resource's tags with the stack's below them; `system` adds aws:cloudformation:*.
  json::Value tags(const json::Value& properties, bool system = false) const;
  bool is_cancelled() const { return cancelled != nullptr && *cancelled && (*cancelled)(); }
  // Polls every `step` until `done` says true; "NotStabilized" after `bound`.
  Result<void> wait_until(Millis bound, Millis step, const std::function<Result<bool>()>& done) const;
};

struct Made {
  std::string physical;
  json::Value attributes;  // for Fn::GetAtt; null: ask `attributes`
};

struct Handler {
  const char* name_property = "";  // a custom name: replacement needs another one
  bool waits = false;              // takes longer than a call: told as "Resource creation Initiated" at once
  Result<Made> (*make)(const Context&, const json::Value& properties) = nullptr;
  // After make with a null `old`, and for updates in place.
  Result<void> (*apply)(const Context&, const std::string& physical, const json::Value& old,
                        const json::Value& next) = nullptr;
  Result<void> (*remove)(const Context&, const std::string& physical,
                         const json::Value& properties) = nullptr;
  Result<json::Value> (*attributes)(const Context&, const std::string& physical,
                                    const json::Value& properties) = nullptr;
  // What an interrupted attempt has made; an empty text where it made nothing.
  Result<std::string> (*find)(const Context&, const json::Value& properties) = nullptr;
  // The properties that stand, for drift; nothing: the type's drift is not checked. Missing: it is deleted.
  Result<json::Value> (*read)(const Context&, const std::string& physical,
                              const json::Value& properties) = nullptr;
};

using Handlers = std::map<std::string, Handler>;
const Handlers& all_handlers();

void add_iam(Handlers&);
void add_iam_policies(Handlers&);
void add_kms(Handlers&);
void add_ecr(Handlers&);
void add_logs(Handlers&);
void add_ecs(Handlers&);
void add_elbv2(Handlers&);
void add_cloudfront(Handlers&);
void add_s3(Handlers&);
void add_ec2(Handlers&);
void add_ec2_groups(Handlers&);
void add_ec2_peering(Handlers&);
void add_ssm(Handlers&);
void add_secretsmanager(Handlers&);
void add_organizations(Handlers&);
void add_stacks(Handlers&);
void add_cloudwatch(Handlers&);
void add_sns(Handlers&);
void read_iam(Handlers&);  // after those that make them
void read_network(Handlers&);

// ---- what handlers share

bool is_missing(const Error& e);                          // NoSuchEntity, ...NotFound..., ...DoesNotExist...
bool is_existing(const Error& e);                         // ...AlreadyExists..., ...Duplicate...
Result<void> unless_missing(Result<json::Value> answer);  // removing what is gone is done
Result<void> unless_existing(Result<json::Value> answer);
Result<void> done(Result<json::Value> answer);  // only whether it went well
Error not_updatable(const Context& c, const std::string& property);

json::Value pick(const json::Value& from, std::initializer_list<const char*> keys);  // those that are there
std::string document(const json::Value& policy);                                     // its JSON text
bool differs(const json::Value& old, const json::Value& next, const char* key);
std::vector<std::string> strings(const json::Value& object, const char* key);
std::vector<std::string> only_in(const std::vector<std::string>& these,
                                 const std::vector<std::string>& not_those);

// Of [{Key, Value}] tags: what must be set, and which keys must go.
struct TagChange {
  json::Value set = json::array();
  json::Value remove = json::array();
  bool any() const { return !set.array().empty() || !remove.array().empty(); }
};
TagChange tag_change(const Context& c, const json::Value& old, const json::Value& next);

}  // namespace bastide::services::cfn
