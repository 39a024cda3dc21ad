#include "services/cloudformation/handler.h"

#include <algorithm>

#include "base/bytes.h"

namespace bastide::services::cfn {
namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const json::Value* own_tags(const json::Value& properties) {
  const json::Value* tags = properties.find("Tags");
  return tags != nullptr && (tags->is_array() || tags->is_object()) ? tags : nullptr;
}

void put_tag(json::Value& tags, const std::string& key, const std::string& value) {
  for (auto& tag : tags.array()) {
    if (tag.get("Key") == key) {
      tag["Value"] = value;
      return;
    }
  }
  tags.push(json::object({{"Key", key}, {"Value", value}}));
}

}  // namespace

const Handlers& all_handlers() {
  static const Handlers all = [] {
    Handlers h;
    add_iam(h);
    add_iam_policies(h);
    add_kms(h);
    add_cloudfront(h);
    add_ecr(h);
    add_logs(h);
    add_ecs(h);
    add_elbv2(h);
    add_ec2(h);
    add_ec2_groups(h);
    add_ec2_peering(h);
    add_ssm(h);
    add_secretsmanager(h);
    add_s3(h);
    add_organizations(h);
    add_stacks(h);
    add_cloudwatch(h);
    add_sns(h);
    read_iam(h);
    read_network(h);
    return h;
  }();
  return all;
}

Result<json::Value> Context::call(const char* service, const char* operation, json::Value input) const {
  return client->call(principal, account, region, service, operation, input);
}

std::string Context::generated_name(size_t max, bool lower_case) const {
  std::string front = stack_name + "-" + logical;
  const size_t room = max - suffix.size() - 1;
  if (front.size() > room) {
    // Both names stay readable: each keeps its share.
    const size_t half = (room - 1) / 2;
    const std::string a = stack_name.substr(0, std::max(half, room - 1 - std::min(room - 1, logical.size())));
    front = a + "-" + logical.substr(0, room - 1 - a.size());
  }
  std::string out = front + "-" + suffix;
  return lower_case ? lower(out) : out;
}

std::string Context::name(const json::Value& properties, const char* property, size_t max,
                          bool lower_case) const {
  const std::string given = properties.get(property);
  return given.empty() ? generated_name(max, lower_case) : given;
}

json::Value Context::tags(const json::Value& properties, bool system) const {
  json::Value out = json::array();
  for (const auto& tag : stack_tags.array()) put_tag(out, tag.get("Key"), tag.get("Value"));
  if (const json::Value* own = own_tags(properties)) {
    if (own->is_array()) {
      for (const auto& tag : own->array()) put_tag(out, tag.get("Key"), tag.get("Value"));
    } else {
      for (const auto& [key, value] : own->object())
        put_tag(out, key, value.is_string() ? value.string() : json::print(value));
    }
  }
  if (system) {
    put_tag(out, "aws:cloudformation:stack-name", stack_name);
    put_tag(out, "aws:cloudformation:stack-id", stack_id);
    put_tag(out, "aws:cloudformation:logical-id", logical);
  }
  return out;
}

Result<void> Context::wait_until(Millis bound, Millis step,
                                 const std::function<Result<bool>()>& finished) const {
  for (Millis waited = 0;; waited += step) {
    const bool yes = TRY(finished());
    if (yes) return {};
    if (is_cancelled()) return fault("Cancelled", "Resource creation cancelled");
    if (waited >= bound) return fault("NotStabilized", type + " did not stabilize.");
    sleep(step);
  }
}

bool is_missing(const Error& e) {
  return contains(e.code, "NoSuchEntity") || contains(e.code, "NotFound") ||
         contains(e.code, "DoesNotExist") || e.code.starts_with("NoSuch") || contains(e.code, "NotAttached") ||
         contains(e.code, "InvalidAssociationID") || e.code == "PolicyNotAttachedException";
}

bool is_existing(const Error& e) {
  return contains(e.code, "AlreadyExists") || contains(e.code, "Duplicate") ||
         e.code == "ResourceExistsException" || e.code == "Resource.AlreadyAssociated";
}

Result<void> unless_missing(Result<json::Value> answer) {
  if (!answer && !is_missing(answer.error())) return std::move(answer).error();
  return {};
}

Result<void> unless_existing(Result<json::Value> answer) {
  if (!answer && !is_existing(answer.error())) return std::move(answer).error();
  return {};
}

Result<void> done(Result<json::Value> answer) {
  if (!answer) return std::move(answer).error();
  return {};
}

Error not_updatable(const Context& c, const std::string& property) {
  return fault("NotUpdatable",
               "You cannot change the " + property + " property of " + c.type + " after it is made.");
}

json::Value pick(const json::Value& from, std::initializer_list<const char*> keys) {
  json::Value out = json::object();
  for (const char* key : keys) {
    if (const json::Value* v = from.find(key)) out[key] = *v;
  }
  return out;
}

std::string document(const json::Value& policy) {
  return policy.is_string() ? policy.string() : json::print(policy);
}

bool differs(const json::Value& old, const json::Value& next, const char* key) {
  const json::Value* a = old.find(key);
  const json::Value* b = next.find(key);
  if (a == nullptr || b == nullptr) return a != b;
  return !(*a == *b);
}

std::vector<std::string> strings(const json::Value& object, const char* key) {
  std::vector<std::string> out;
  for (const auto& v : object.get_array(key)) {
    if (v.is_string()) out.push_back(v.string());
  }
  return out;
}

std::vector<std::string> only_in(const std::vector<std::string>& these,
                                 const std::vector<std::string>& not_those) {
  std::vector<std::string> out;
  for (const auto& one : these) {
    if (std::find(not_those.begin(), not_those.end(), one) == not_those.end()) out.push_back(one);
  }
  return out;
}

TagChange tag_change(const Context& c, const json::Value& old, const json::Value& next) {
  TagChange out;
  const json::Value before = c.tags(old), after = c.tags(next);
  for (const auto& tag : after.array()) {
    bool same = false;
    for (const auto& was : before.array()) same = same || was == tag;
    if (!same || old.is_null()) out.set.push(tag);
  }
  for (const auto& was : before.array()) {
    bool kept = false;
    for (const auto& tag : after.array()) kept = kept || tag.get("Key") == was.get("Key");
    if (!kept) out.remove.push(was.get("Key"));
  }
  return out;
}

}  // namespace bastide::services::cfn
