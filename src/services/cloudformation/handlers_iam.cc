// AWS::IAM::Role, User, Group, UserToGroupAddition, InstanceProfile, AccessKey.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_IAM.html
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {
namespace {

using json::Value;

// What roles, users and groups have in common: {Role}Name, Attach{Role}Policy, Put{Role}Policy, ...
struct Noun {
  const char* word;
  std::string name_key() const { return std::string(word) + "Name"; }
  Result<Value> call(const Context& c, const char* before, const char* after, Value input) const {
    return c.call("iam", (std::string(before) + word + after).c_str(), std::move(input));
  }
};
constexpr Noun kRole{"Role"}, kUser{"User"}, kGroup{"Group"};

Result<void> sync_policies(const Context& c, const Noun& noun, const std::string& name, const Value& old,
                           const Value& next) {
  const auto before = strings(old, "ManagedPolicyArns"), after = strings(next, "ManagedPolicyArns");
  for (const auto& arn : old.is_null() ? after : only_in(after, before)) {
    TRY(done(noun.call(c, "Attach", "Policy", json::object({{noun.name_key(), name}, {"PolicyArn", arn}}))));
  }
  for (const auto& arn : only_in(before, after)) {
    TRY(unless_missing(
        noun.call(c, "Detach", "Policy", json::object({{noun.name_key(), name}, {"PolicyArn", arn}}))));
  }
  std::vector<std::string> names;
  for (const auto& policy : next.get_array("Policies")) {
    names.push_back(policy.get("PolicyName"));
    TRY(done(noun.call(c, "Put", "Policy",
                       json::object({{noun.name_key(), name},
                                     {"PolicyName", policy.get("PolicyName")},
                                     {"PolicyDocument", document(*policy.find("PolicyDocument"))}}))));
  }
  for (const auto& policy : old.get_array("Policies")) {
    if (only_in({policy.get("PolicyName")}, names).empty()) continue;
    TRY(unless_missing(
        noun.call(c, "Delete", "Policy",
                  json::object({{noun.name_key(), name}, {"PolicyName", policy.get("PolicyName")}}))));
  }
  return {};
}

Result<void> sync_boundary(const Context& c, const Noun& noun, const std::string& name, const Value& old,
                           const Value& next) {
  if (old.is_null() || !differs(old, next, "PermissionsBoundary")) return {};
  const std::string arn = next.get("PermissionsBoundary");
  if (arn.empty()) {
    return unless_missing(
        noun.call(c, "Delete", "PermissionsBoundary", json::object({{noun.name_key(), name}})));
  }
  return done(noun.call(c, "Put", "PermissionsBoundary",
                        json::object({{noun.name_key(), name}, {"PermissionsBoundary", arn}})));
}

Result<void> sync_tags(const Context& c, const Noun& noun, const std::string& name, const Value& old,
                       const Value& next) {
  if (old.is_null()) return {};
  const TagChange change = tag_change(c, old, next);
  if (!change.set.array().empty()) {
    TRY(done(noun.call(c, "Tag", "", json::object({{noun.name_key(), name}, {"Tags", change.set}}))));
  }
  if (!change.remove.array().empty()) {
    TRY(done(noun.call(c, "Untag", "", json::object({{noun.name_key(), name}, {"TagKeys", change.remove}}))));
  }
  return {};
}

// The service's answer about one of them, and whether an interrupted attempt has made it.
Result<Value> got(const Context& c, const Noun& noun, const std::string& name) {
  return noun.call(c, "Get", "", json::object({{noun.name_key(), name}}));
}

Result<std::string> find_named(const Context& c, const Noun& noun, const std::string& name) {
  auto answer = got(c, noun, name);
  if (!answer && is_missing(answer.error())) return std::string();
  if (!answer) return std::move(answer).error();
  const Value* body = answer->find(noun.word);
  const Value* made = body == nullptr ? nullptr : body->find("CreateDate");
  // Somebody else's of the same name is older than our attempt.
  if (made != nullptr && made->is_number() && (made->number() + 1) * 1000 < static_cast<double>(c.started))
    return std::string();
  return name;
}

Value arn_of(const Value& answer, const Noun& noun, const char* id = nullptr) {
  Value out = json::object();
  const Value* body = answer.find(noun.word);
  if (body == nullptr) return out;
  out["Arn"] = body->get("Arn");
  if (id != nullptr) out[id] = body->get(id);
  return out;
}

Value tagged(const Context& c, const Value& properties, Value input) {
  Value tags = c.tags(properties);
  if (!tags.array().empty()) input["Tags"] = std::move(tags);
  return input;
}

// ---- Role

Result<Made> make_role(const Context& c, const Value& p) {
  Value in = pick(p, {"Path", "Description", "MaxSessionDuration", "PermissionsBoundary"});
  const std::string name = c.name(p, "RoleName", 64);
  in["RoleName"] = name;
  in["AssumeRolePolicyDocument"] = document(*p.find("AssumeRolePolicyDocument"));
  Value out = TRY(c.call("iam", "CreateRole", tagged(c, p, std::move(in))));
  return Made{name, arn_of(out, kRole, "RoleId")};
}

Result<void> apply_role(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (!old.is_null()) {
    if (differs(old, next, "AssumeRolePolicyDocument")) {
      TRY(done(c.call("iam", "UpdateAssumeRolePolicy",
                      json::object({{"RoleName", name},
                                    {"PolicyDocument", document(*next.find("AssumeRolePolicyDocument"))}}))));
    }
    if (differs(old, next, "Description") || differs(old, next, "MaxSessionDuration")) {
      TRY(done(c.call("iam", "UpdateRole",
                      json::object({{"RoleName", name},
                                    {"Description", next.get("Description")},
                                    {"MaxSessionDuration", next.get_int("MaxSessionDuration", 3600)}}))));
    }
    TRY(sync_boundary(c, kRole, name, old, next));
    TRY(sync_tags(c, kRole, name, old, next));
  }
  return sync_policies(c, kRole, name, old, next);
}

template <const Noun& noun>
Result<void> remove_noun(const Context& c, const std::string& name, const Value& p) {
  Value nothing = json::object();
  auto synced = sync_policies(c, noun, name, p, nothing);
  if (!synced && !is_missing(synced.error())) return synced;
  return unless_missing(noun.call(c, "Delete", "", json::object({{noun.name_key(), name}})));
}

Result<Value> role_attributes(const Context& c, const std::string& name, const Value&) {
  const Value answer = TRY(got(c, kRole, name));
  return arn_of(answer, kRole, "RoleId");
}

template <const Noun& noun>
Result<std::string> find_noun(const Context& c, const Value& p) {
  return find_named(c, noun, c.name(p, noun.name_key().c_str(), noun.word == kGroup.word ? 128 : 64));
}

template <const Noun& noun>
Result<Value> noun_attributes(const Context& c, const std::string& name, const Value&) {
  const Value answer = TRY(got(c, noun, name));
  return arn_of(answer, noun);
}

// ---- User

Result<Made> make_user(const Context& c, const Value& p) {
  Value in = pick(p, {"Path", "PermissionsBoundary"});
  const std::string name = c.name(p, "UserName", 64);
  in["UserName"] = name;
  Value out = TRY(c.call("iam", "CreateUser", tagged(c, p, std::move(in))));
  return Made{name, arn_of(out, kUser)};
}

Result<void> apply_user(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (!old.is_null()) {
    if (differs(old, next, "Path")) {
      TRY(done(c.call("iam", "UpdateUser",
                      json::object({{"UserName", name}, {"NewPath", next.get("Path", "/")}}))));
    }
    TRY(sync_boundary(c, kUser, name, old, next));
    TRY(sync_tags(c, kUser, name, old, next));
  }
  const auto before = strings(old, "Groups"), after = strings(next, "Groups");
  for (const auto& group : old.is_null() ? after : only_in(after, before)) {
    TRY(done(c.call("iam", "AddUserToGroup", json::object({{"GroupName", group}, {"UserName", name}}))));
  }
  for (const auto& group : only_in(before, after)) {
    TRY(unless_missing(
        c.call("iam", "RemoveUserFromGroup", json::object({{"GroupName", group}, {"UserName", name}}))));
  }
  if (const Value* login = next.find("LoginProfile");
      login != nullptr && differs(old, next, "LoginProfile")) {
    Value in = pick(*login, {"Password", "PasswordResetRequired"});
    in["UserName"] = name;
    auto created = c.call("iam", "CreateLoginProfile", in);
    if (!created && is_existing(created.error())) created = c.call("iam", "UpdateLoginProfile", in);
    TRY(done(std::move(created)));
  } else if (login == nullptr && old.has("LoginProfile")) {
    TRY(unless_missing(c.call("iam", "DeleteLoginProfile", json::object({{"UserName", name}}))));
  }
  return sync_policies(c, kUser, name, old, next);
}

Result<void> remove_user(const Context& c, const std::string& name, const Value& p) {
  for (const auto& group : strings(p, "Groups")) {
    TRY(unless_missing(
        c.call("iam", "RemoveUserFromGroup", json::object({{"GroupName", group}, {"UserName", name}}))));
  }
  if (p.has("LoginProfile")) {
    TRY(unless_missing(c.call("iam", "DeleteLoginProfile", json::object({{"UserName", name}}))));
  }
  return remove_noun<kUser>(c, name, p);
}

// ---- Group

Result<Made> make_group(const Context& c, const Value& p) {
  Value in = pick(p, {"Path"});
  const std::string name = c.name(p, "GroupName", 128);
  in["GroupName"] = name;
  const Value out = TRY(c.call("iam", "CreateGroup", std::move(in)));
  return Made{name, arn_of(out, kGroup)};
}

Result<void> apply_group(const Context& c, const std::string& name, const Value& old, const Value& next) {
  if (!old.is_null() && differs(old, next, "Path")) {
    TRY(done(c.call("iam", "UpdateGroup",
                    json::object({{"GroupName", name}, {"NewPath", next.get("Path", "/")}}))));
  }
  return sync_policies(c, kGroup, name, old, next);
}

// ---- UserToGroupAddition

Result<Made> make_addition(const Context& c, const Value&) {
  const std::string id = c.generated_name(128);
  return Made{id, json::object({{"Id", id}})};
}

Result<void> change_membership(const Context& c, const Value& p, const char* operation,
                               const std::string& user) {
  return unless_missing(
      c.call("iam", operation, json::object({{"GroupName", p.get("GroupName")}, {"UserName", user}})));
}

Result<void> apply_addition(const Context& c, const std::string&, const Value& old, const Value& next) {
  const bool moved = differs(old, next, "GroupName");
  const auto before = strings(old, "Users"), after = strings(next, "Users");
  for (const auto& user : moved ? after : only_in(after, before)) {
    TRY(done(c.call("iam", "AddUserToGroup",
                    json::object({{"GroupName", next.get("GroupName")}, {"UserName", user}}))));
  }
  for (const auto& user : moved ? before : only_in(before, after)) {
    TRY(change_membership(c, old, "RemoveUserFromGroup", user));
  }
  return {};
}

Result<void> remove_addition(const Context& c, const std::string&, const Value& p) {
  for (const auto& user : strings(p, "Users")) TRY(change_membership(c, p, "RemoveUserFromGroup", user));
  return {};
}

Result<Value> id_attribute(const Context&, const std::string& physical, const Value&) {
  return json::object({{"Id", physical}});
}

Result<std::string> find_generated(const Context& c, const Value&) { return c.generated_name(128); }

// ---- InstanceProfile

Value profile_arn(const Value& answer) {
  const Value* profile = answer.find("InstanceProfile");
  return json::object({{"Arn", profile == nullptr ? "" : profile->get("Arn")}});
}

Result<Made> make_profile(const Context& c, const Value& p) {
  Value in = pick(p, {"Path"});
  const std::string name = c.name(p, "InstanceProfileName", 128);
  in["InstanceProfileName"] = name;
  const Value out = TRY(c.call("iam", "CreateInstanceProfile", std::move(in)));
  return Made{name, profile_arn(out)};
}

Result<void> apply_profile(const Context& c, const std::string& name, const Value& old, const Value& next) {
  const auto before = strings(old, "Roles"), after = strings(next, "Roles");
  for (const auto& role : only_in(before, after)) {
    TRY(unless_missing(c.call("iam", "RemoveRoleFromInstanceProfile",
                              json::object({{"InstanceProfileName", name}, {"RoleName", role}}))));
  }
  for (const auto& role : only_in(after, before)) {
    auto added = c.call("iam", "AddRoleToInstanceProfile",
                        json::object({{"InstanceProfileName", name}, {"RoleName", role}}));
    TRY(c.resumed ? unless_existing(std::move(added)) : done(std::move(added)));
  }
  return {};
}

Result<void> remove_profile(const Context& c, const std::string& name, const Value& p) {
  TRY(apply_profile(c, name, p, json::object()));
  return unless_missing(
      c.call("iam", "DeleteInstanceProfile", json::object({{"InstanceProfileName", name}})));
}

Result<Value> profile_attributes(const Context& c, const std::string& name, const Value&) {
  const Value out = TRY(c.call("iam", "GetInstanceProfile", json::object({{"InstanceProfileName", name}})));
  return profile_arn(out);
}

Result<std::string> find_profile(const Context& c, const Value& p) {
  const std::string name = c.name(p, "InstanceProfileName", 128);
  auto out = c.call("iam", "GetInstanceProfile", json::object({{"InstanceProfileName", name}}));
  if (!out && is_missing(out.error())) return std::string();
  if (!out) return std::move(out).error();
  return name;
}

// ---- AccessKey

Result<Made> make_key(const Context& c, const Value& p) {
  const Value out = TRY(c.call("iam", "CreateAccessKey", pick(p, {"UserName"})));
  const Value* key = out.find("AccessKey");
  if (key == nullptr) return error("CreateAccessKey answered without a key");
  return Made{key->get("AccessKeyId"), json::object({{"Id", key->get("AccessKeyId")},
                                                     {"SecretAccessKey", key->get("SecretAccessKey")}})};
}

Result<void> apply_key(const Context& c, const std::string& id, const Value& old, const Value& next) {
  const std::string status = next.get("Status", "Active");
  if (status == old.get("Status", "Active")) return {};
  return done(
      c.call("iam", "UpdateAccessKey",
             json::object({{"UserName", next.get("UserName")}, {"AccessKeyId", id}, {"Status", status}})));
}

Result<void> remove_key(const Context& c, const std::string& id, const Value& p) {
  return unless_missing(
      c.call("iam", "DeleteAccessKey", json::object({{"UserName", p.get("UserName")}, {"AccessKeyId", id}})));
}

// The secret of a key made by an interrupted attempt is lost: the key goes, and another one is made.
Result<std::string> find_key(const Context& c, const Value& p) {
  const Value out = TRY(c.call("iam", "ListAccessKeys", pick(p, {"UserName"})));
  for (const auto& key : out.get_array("AccessKeyMetadata")) {
    const Value* made = key.find("CreateDate");
    if (made == nullptr || !made->is_number() || (made->number() + 1) * 1000 < static_cast<double>(c.started))
      continue;
    if (only_in({key.get("AccessKeyId")}, c.known).empty()) continue;
    TRY(remove_key(c, key.get("AccessKeyId"), p));
  }
  return std::string();
}

}  // namespace

void add_iam(Handlers& h) {
  h["AWS::IAM::Role"] = {.name_property = "RoleName",
                         .make = make_role,
                         .apply = apply_role,
                         .remove = remove_noun<kRole>,
                         .attributes = role_attributes,
                         .find = find_noun<kRole>};
  h["AWS::IAM::User"] = {.name_property = "UserName",
                         .make = make_user,
                         .apply = apply_user,
                         .remove = remove_user,
                         .attributes = noun_attributes<kUser>,
                         .find = find_noun<kUser>};
  h["AWS::IAM::Group"] = {.name_property = "GroupName",
                          .make = make_group,
                          .apply = apply_group,
                          .remove = remove_noun<kGroup>,
                          .attributes = noun_attributes<kGroup>,
                          .find = find_noun<kGroup>};
  h["AWS::IAM::UserToGroupAddition"] = {.make = make_addition,
                                        .apply = apply_addition,
                                        .remove = remove_addition,
                                        .attributes = id_attribute,
                                        .find = find_generated};
  h["AWS::IAM::InstanceProfile"] = {.name_property = "InstanceProfileName",
                                    .make = make_profile,
                                    .apply = apply_profile,
                                    .remove = remove_profile,
                                    .attributes = profile_attributes,
                                    .find = find_profile};
  h["AWS::IAM::AccessKey"] = {.make = make_key, .apply = apply_key, .remove = remove_key, .find = find_key};
}

}  // namespace bastide::services::cfn
