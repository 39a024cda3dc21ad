#include "services/elbv2/common.h"

#include <algorithm>
#include <set>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::services::elbv2 {

std::string new_suffix() { return random_text(16, "0123456789abcdef"); }

std::string arn_of(const aws::Call& call, const KindOf& kind, const std::string& id) {
  return aws::make_arn("elasticloadbalancing", call.region, call.account, kind.resource + id);
}

Error validation(std::string message) { return fault("ValidationError", std::move(message)); }

Result<std::string> id_of(const aws::Call& call, const KindOf& kind, const std::string& arn) {
  auto parsed = aws::parse_arn(arn);
  const std::string resource = kind.resource;
  if (!parsed || parsed->service != "elasticloadbalancing")
    return validation("'" + arn + "' is not a valid ARN");
  if (parsed->resource.compare(0, resource.size(), resource) != 0) {
    return validation("'" + arn + "' is not a valid " + kind.arn_member);
  }
  if (parsed->account != call.account || parsed->region != call.region) {
    return fault(kind.not_found, "One or more " + std::string(kind.words) + " not found");
  }
  return parsed->resource.substr(resource.size());
}

Result<json::Value> load(store::Reader& reader, const aws::Call& call, const KindOf& kind,
                         const std::string& arn) {
  auto id = TRY(id_of(call, kind, arn));
  auto found = TRY(reader.get({call.account, call.region, kind.kind, id}));
  if (!found) return fault(kind.not_found, "One or more " + std::string(kind.words) + " not found");
  return std::move(found->body);
}

Result<void> save(store::Writer& writer, const aws::Call& call, const KindOf& kind, const json::Value& body) {
  auto id = TRY(id_of(call, kind, body.get(kind.arn_member)));
  TRY(writer.put({call.account, call.region, kind.kind, id}, body));
  return writer.emit("elbv2.edge", id);
}

Result<void> remove(store::Writer& writer, const aws::Call& call, const KindOf& kind,
                    const std::string& arn) {
  auto id = TRY(id_of(call, kind, arn));
  TRY(writer.remove({call.account, call.region, kind.kind, id}));
  return writer.emit("elbv2.edge", id);
}

Result<std::vector<json::Value>> all(store::Reader& reader, const aws::Call& call, const KindOf& kind,
                                     const std::string& id_prefix) {
  std::vector<json::Value> out;
  for (auto& r : TRY(reader.list(call.account, call.region, kind.kind, "", 1'000'000, id_prefix)))
    out.push_back(std::move(r.body));
  return out;
}

Result<void> check_name(const std::string& name, std::string_view what) {
  bool good = !name.empty() && name.size() <= 32 && name.front() != '-' && name.back() != '-';
  for (unsigned char c : name) good = good && (isalnum(c) || c == '-');
  if (!good) {
    return validation(
        std::string(what) + " name '" + name +
        "' must have 1 to 32 characters, only letters, digits and hyphens, and no hyphen at its ends");
  }
  return {};
}

Result<json::Array> tags_of(const json::Value& request) {
  json::Array out;
  std::set<std::string> keys;
  for (const auto& t : request.get_array("Tags")) {
    if (!keys.insert(t.get("Key")).second)
      return fault("DuplicateTagKeys", "A tag key was specified more than once");
    out.push_back(json::object({{"Key", t.get("Key")}, {"Value", t.get("Value")}}));
  }
  if (out.size() > 50)
    return fault("TooManyTags", "You've reached the limit on the number of tags for this resource");
  return out;
}

Result<json::Array> page(std::vector<json::Value> bodies, const KindOf& kind, const json::Value& request,
                         json::Value& answer) {
  std::string after;
  if (request.has("Marker")) {
    auto plain = unbase64url(request.get("Marker"));
    if (!plain || plain->substr(0, 4) != "arn:") return validation("Invalid marker");
    after = *plain;
  }
  const auto most = std::clamp<int64_t>(request.get_int("PageSize", 400), 1, 400);
  std::sort(bodies.begin(), bodies.end(), [&](const json::Value& a, const json::Value& b) {
    return a.get(kind.arn_member) < b.get(kind.arn_member);
  });
  json::Array out;
  for (auto& body : bodies) {
    if (!after.empty() && body.get(kind.arn_member) <= after) continue;
    if (static_cast<int64_t>(out.size()) == most) {
      answer["NextMarker"] = base64url(out.back().get(kind.arn_member));
      break;
    }
    out.push_back(std::move(body));
  }
  return out;
}

std::vector<std::string> groups_in(const json::Value& actions) {
  std::vector<std::string> out;
  if (!actions.is_array()) return out;
  for (const auto& a : actions.array()) {
    const auto* forward = a.find("ForwardConfig");
    if (forward == nullptr) continue;
    for (const auto& g : forward->get_array("TargetGroups")) out.push_back(g.get("TargetGroupArn"));
  }
  return out;
}

Result<std::vector<json::Value>> users_of(store::Reader& reader, const aws::Call& call,
                                          const std::string& group_arn) {
  std::vector<json::Value> out;
  auto look = [&](const KindOf& kind, const char* member) -> Result<void> {
    for (auto& body : TRY(all(reader, call, kind))) {
      const auto* actions = body.find(member);
      if (actions == nullptr) continue;
      auto groups = groups_in(*actions);
      if (std::find(groups.begin(), groups.end(), group_arn) != groups.end()) out.push_back(std::move(body));
    }
    return {};
  };
  TRY(look(kListener, "DefaultActions"));
  TRY(look(kRule, "Actions"));
  return out;
}

}  // namespace bastide::services::elbv2
