// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
#include <re2/re2.h>

#include <algorithm>

#include "base/bytes.h"
#include "services/ssm/ssm.h"

namespace bastide::services {

namespace m = model::ssm;

namespace {

constexpr size_t kStandardValue = 4096, kAdvancedValue = 8192;
constexpr int64_t kMaxVersions = 100;
constexpr int64_t kMaxStandard = 10'000, kMaxAdvanced = 100'000;
constexpr size_t kMaxTags = 50;
constexpr const char* kManagedKey = "alias/aws/ssm";

Error invalid(std::string message) { return fault("ValidationException", std::move(message)); }

Result<void> check_pattern(const std::string& pattern, const std::string& value) {
  if (pattern.empty()) return {};
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  const re2::RE2 compiled(pattern, options);
  if (!compiled.ok()) {
    return fault("InvalidAllowedPatternException",
                 "The request does not meet the regular expression requirement.");
  }
  if (re2::RE2::FullMatch(value, compiled)) return {};
  return fault("ParameterPatternMismatchException",
               "Parameter value, cannot be validated against allowedPattern: " + pattern);
}

Result<std::string> tier_of(const m::PutParameterRequest& q, const std::optional<ssm::Parameter>& old) {
  const std::string wanted = q.tier.value_or(old ? old->latest.tier : "Standard");
  const bool was_advanced = old && old->latest.tier == "Advanced";
  const bool large = q.value.size() > kStandardValue;
  if (q.value.size() > kAdvancedValue) {
    return invalid(
        "The parameter value is too long: advanced-tier parameters support a maximum parameter value of 8192 "
        "characters.");
  }
  if (wanted == "Intelligent-Tiering") return std::string(large || was_advanced ? "Advanced" : "Standard");
  if (wanted == "Standard" && was_advanced) {
    return invalid(
        "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the "
        "advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced "
        "parameter and recreate it as a standard parameter. Be sure to update all references to the "
        "parameter.");
  }
  if (wanted == "Standard" && large) {
    return invalid(
        "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger "
        "parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, "
        "see "
        "https://docs.aws.amazon.com/systems-manager/latest/userguide/"
        "parameter-store-advanced-parameters.html");
  }
  return wanted;
}

}  // namespace

namespace ssm {

// https://docs.aws.amazon.com/general/latest/gr/ssm.html
Result<void> count(store::Writer& w, const Parameter& p, const std::string& from, const std::string& to) {
  if (from == to) return {};
  const store::Key key{p.account, p.region, kCountKind, "parameters"};
  const auto row = TRY(w.get(key));
  json::Value counts = row ? row->body : json::object();
  if (!from.empty()) counts[from] = counts.get_int(from) - 1;
  if (!to.empty()) {
    const int64_t now = counts.get_int(to) + 1, most = to == "Advanced" ? kMaxAdvanced : kMaxStandard;
    if (now > most) {
      return fault("ParameterLimitExceeded",
                   "You have exceeded the number of parameters for this AWS account. Delete one or more "
                   "parameters and try "
                   "again.");
    }
    counts[to] = now;
  }
  return w.put(key, counts);
}

}  // namespace ssm

Result<Ssm::Version> Ssm::plan(const Call& call, const m::PutParameterRequest& q,
                               const std::optional<Parameter>& old) {
  if (old && !q.overwrite.value_or(false)) {
    return fault("ParameterAlreadyExists",
                 "The parameter already exists. To overwrite this value, set the overwrite option in the "
                 "request to true.");
  }
  if (!old && !q.type) return invalid("A parameter type is required when you create a parameter.");
  Version v = old ? old->latest : Version{};
  if (old && q.type && *q.type != v.type) {
    return fault(
        "HierarchyTypeMismatchException",
        "Parameter Store doesn't support changing a parameter type in a hierarchy. For example, you can't "
        "change a "
        "parameter from a String type to a SecureString type. You must create a new, unique parameter.");
  }
  v.number = old ? old->latest.number + 1 : 1;
  if (q.type) v.type = *q.type;
  v.value.clear();
  v.tier = TRY(tier_of(q, old));
  if (q.key_id && !v.secure())
    return invalid("A KeyId can be given for parameters of the type SecureString only.");
  if (q.key_id) v.key_id = *q.key_id;
  if (v.secure() && v.key_id.empty()) v.key_id = kManagedKey;
  if (q.description) v.description = *q.description;
  if (q.allowed_pattern) v.pattern = *q.allowed_pattern;
  if (q.data_type) v.data_type = *q.data_type;
  if (v.data_type != "text") {
    return invalid("The following data type is not supported: " + v.data_type +
                   " (Data type names are all lowercase.) Bastide supports the data type text.");
  }
  TRY(check_pattern(v.pattern, q.value));
  v.user = call.principal.arn;
  v.modified = call.now;
  return v;
}

Result<m::PutParameterResult> Ssm::put_parameter(Call& call, const m::PutParameterRequest& q) {
  const auto which = TRY(ssm::select_parameter(q.name));
  if (!which.selector.empty()) return invalid("Parameter name must be a fully qualified name.");
  TRY(ssm::check_name(which.name));
  if (q.value.empty()) {
    return invalid(
        "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have "
        "length "
        "greater than or equal to 1.");
  }
  if (q.policies && trim(*q.policies) != "[]") {
    return fault("InvalidPolicyTypeException",
                 "Parameter policies are not supported by Bastide: delete parameters yourself.");
  }
  const bool overwrite = q.overwrite.value_or(false);
  if (overwrite && q.tags && !q.tags->empty()) {
    return invalid(
        "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please "
        "remove "
        "overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or "
        "RemoveTagsFromResource.");
  }
  const auto before = TRY(load(call, which));
  const Version planned = TRY(plan(call, q, before));
  const std::string name = before ? before->name : which.name;
  const std::string arn = ssm::parameter_arn(call.region, call.account, name);
  std::string sealed;
  if (planned.secure()) sealed = TRY(encrypt(call, arn, planned, q.value));
  m::PutParameterResult out;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto old = TRY(reread(w, call.account, call.region, name));
    Version v = TRY(plan(call, q, old));
    if (v.secure() != planned.secure() || v.tier != planned.tier || v.key_id != planned.key_id) {
      return fault("TooManyUpdates",
                   "There are concurrent updates for a resource that supports one update at a time.");
    }
    v.value = v.secure() ? sealed : keep_plain(arn, v.number, q.value);
    Parameter p = old ? std::move(*old) : Parameter{call.account, call.region, name, {}, 1, {}, {}};
    TRY(ssm::count(w, p, p.latest.number == 0 ? "" : p.latest.tier, v.tier));
    p.latest = v;
    if (p.latest.number - p.oldest >= kMaxVersions) {
      if (std::any_of(p.labels.begin(), p.labels.end(),
                      [&](const auto& l) { return l.second == p.oldest; })) {
        return fault("ParameterMaxVersionLimitExceeded",
                     "You attempted to create a new version of " + p.name +
                         " by calling the PutParameter API with the overwrite flag. Version " +
                         std::to_string(p.oldest) +
                         ", the oldest version, can't be deleted because it has a label associated with it. "
                         "Move the label to "
                         "another version of the parameter, and try again.");
      }
      TRY(w.remove({p.account, p.region, ssm::kVersionKind, ssm::version_row(p.name, p.oldest)}));
      ++p.oldest;
    }
    if (q.tags) {
      for (const auto& tag : *q.tags) {
        if (lower(tag.key).starts_with("aws:") && call.principal.called_via.empty()) {
          return invalid("Tag keys that begin with aws: are reserved.");
        }
        p.tags[tag.key] = tag.value;
      }
      if (p.tags.size() > kMaxTags) return invalid("A parameter can have no more than 50 tags.");
    }
    TRY(put(w, p));
    out.version = v.number;
    out.tier = v.tier;
    return w.put({p.account, p.region, ssm::kVersionKind, ssm::version_row(p.name, v.number)}, to_json(v));
  }));
  return out;
}

}  // namespace bastide::services
