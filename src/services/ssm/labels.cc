// Labels and tags. https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-labels.html
#include <algorithm>

#include "base/bytes.h"
#include "services/ssm/ssm.h"

namespace bastide::services {

namespace m = model::ssm;

namespace {

constexpr long kMaxLabels = 10;
constexpr size_t kMaxTags = 50;

Result<void> check_type(const std::string& type) {
  if (type == "Parameter") return {};
  return fault("InvalidResourceType", "The resource type is not valid. Valid resource types are: Parameter.");
}

Error no_resource(const std::string& id) {
  return fault("InvalidResourceId",
               "The resource ID \"" + id + "\" is not valid. Verify the ID and try again.");
}

Error no_version(const std::string& name, int64_t number) {
  return fault("ParameterVersionNotFound", "Systems Manager could not find version " +
                                               std::to_string(number) + " of " + name +
                                               ". Verify the version and try again.");
}

}  // namespace

Result<m::LabelParameterVersionResult> Ssm::label(Call& call, const m::LabelParameterVersionRequest& q) {
  const auto which = TRY(ssm::select_parameter(q.name));
  const auto found = TRY(find(call, which));
  m::LabelParameterVersionResult out;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto p = TRY(reread(w, call.account, call.region, found.name));
    if (!p) return ssm::not_found();
    const int64_t number = q.parameter_version.value_or(p->latest.number);
    if (number < p->oldest || number > p->latest.number) return no_version(p->name, number);
    out.invalid_labels.emplace();
    for (const auto& name : q.labels) {
      if (ssm::valid_label(name)) {
        p->labels[name] = number;
      } else {
        out.invalid_labels->push_back(name);
      }
    }
    if (std::count_if(p->labels.begin(), p->labels.end(), [&](const auto& l) { return l.second == number; }) >
        kMaxLabels) {
      return fault("ParameterVersionLabelLimitExceeded",
                   "A parameter version can have a maximum of ten labels.");
    }
    out.parameter_version = number;
    return put(w, *p);
  }));
  return out;
}

Result<m::UnlabelParameterVersionResult> Ssm::unlabel(Call& call,
                                                      const m::UnlabelParameterVersionRequest& q) {
  const auto which = TRY(ssm::select_parameter(q.name));
  const auto found = TRY(find(call, which));
  m::UnlabelParameterVersionResult out;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto p = TRY(reread(w, call.account, call.region, found.name));
    if (!p) return ssm::not_found();
    if (q.parameter_version < p->oldest || q.parameter_version > p->latest.number) {
      return no_version(p->name, q.parameter_version);
    }
    out.removed_labels.emplace();
    out.invalid_labels.emplace();
    for (const auto& name : q.labels) {
      const auto it = p->labels.find(name);
      if (it != p->labels.end() && it->second == q.parameter_version) {
        p->labels.erase(it);
        out.removed_labels->push_back(name);
      } else {
        out.invalid_labels->push_back(name);
      }
    }
    return put(w, *p);
  }));
  return out;
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_AddTagsToResource.html
Result<m::AddTagsToResourceResult> Ssm::add_tags(Call& call, const m::AddTagsToResourceRequest& q) {
  TRY(check_type(q.resource_type));
  const auto which = TRY(ssm::select_parameter(q.resource_id));
  const auto found = TRY(load(call, which));
  if (!found) return no_resource(q.resource_id);
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto p = TRY(reread(w, call.account, call.region, found->name));
    if (!p) return no_resource(q.resource_id);
    for (const auto& tag : q.tags) {
      if (lower(tag.key).starts_with("aws:") && call.principal.called_via.empty()) {
        return fault("ValidationException", "Tag keys that begin with aws: are reserved.");
      }
      p->tags[tag.key] = tag.value;
    }
    if (p->tags.size() > kMaxTags) {
      return fault("TooManyTagsError",
                   "The Targets parameter includes too many tags. Remove one or more tags and try the "
                   "command again.");
    }
    return put(w, *p);
  }));
  return m::AddTagsToResourceResult{};
}

Result<m::RemoveTagsFromResourceResult> Ssm::remove_tags(Call& call,
                                                         const m::RemoveTagsFromResourceRequest& q) {
  TRY(check_type(q.resource_type));
  const auto which = TRY(ssm::select_parameter(q.resource_id));
  const auto found = TRY(load(call, which));
  if (!found) return no_resource(q.resource_id);
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto p = TRY(reread(w, call.account, call.region, found->name));
    if (!p) return no_resource(q.resource_id);
    for (const auto& key : q.tag_keys) p->tags.erase(key);
    return put(w, *p);
  }));
  return m::RemoveTagsFromResourceResult{};
}

Result<m::ListTagsForResourceResult> Ssm::list_tags(Call& call, const m::ListTagsForResourceRequest& q) {
  TRY(check_type(q.resource_type));
  const auto which = TRY(ssm::select_parameter(q.resource_id));
  const auto found = TRY(load(call, which));
  if (!found) return no_resource(q.resource_id);
  m::ListTagsForResourceResult out;
  out.tag_list.emplace();
  for (const auto& [key, value] : found->tags) out.tag_list->push_back({key, value});
  return out;
}

}  // namespace bastide::services
