#include <algorithm>

#include "services/ec2/common.h"
#include "services/ec2/ec2.h"

namespace bastide::services {
using namespace ec2;

namespace {

Result<const KindOf*> kind_of_id(const std::string& id) {
  auto prefix = id.substr(0, id.find('-'));
  for (const auto* kind : kinds()) {
    if (prefix == kind->prefix && id.size() > prefix.size()) return kind;
  }
  return fault("InvalidID", "The ID '" + id + "' is not valid");
}

}  // namespace

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
Result<json::Value> Ec2::create_tags(aws::Call& call, const Json& in) {
  const auto& tags = in.get_array("Tags");
  TRY(check_tags(tags));
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    for (const auto& id : in.get_array("Resources")) {
      const auto* kind = TRY(kind_of_id(id.string()));
      auto body = TRY(load(writer, call, *kind, id.string()));
      if (!body["Tags"].is_array()) body["Tags"] = json::array();
      auto& kept = body["Tags"].array();
      for (const auto& t : tags) {
        std::erase_if(kept, [&](const Json& k) { return k.get("Key") == t.get("Key"); });
        kept.push_back(json::object({{"Key", t.get("Key")}, {"Value", t.get("Value")}}));
      }
      if (kept.size() > 50)
        return fault("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.");
      TRY(save(writer, call, *kind, body));
    }
    return {};
  }));
  return json::object();
}

Result<json::Value> Ec2::delete_tags(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    for (const auto& id : in.get_array("Resources")) {
      const auto* kind = TRY(kind_of_id(id.string()));
      auto body = TRY(load(writer, call, *kind, id.string()));
      const auto& tags = in.get_array("Tags");
      if (!body["Tags"].is_array()) continue;
      // Without a value any value goes; without tags all of them, but for those of AWS.
      std::erase_if(body["Tags"].array(), [&](const Json& k) {
        if (tags.empty()) return k.get("Key").substr(0, 4) != "aws:";
        return std::any_of(tags.begin(), tags.end(), [&](const Json& t) {
          return t.get("Key") == k.get("Key") && (!t.has("Value") || t.get("Value") == k.get("Value"));
        });
      });
      TRY(save(writer, call, *kind, body));
    }
    return {};
  }));
  return json::object();
}

Result<json::Value> Ec2::describe_tags(aws::Call& call, const Json& in) {
  std::vector<Json> tags;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    for (const auto* kind : kinds()) {
      for (const auto& body : TRY(all(reader, call, *kind))) {
        for (const auto& t : body.get_array("Tags")) {
          auto id = body.get(kind->id_member);
          tags.push_back(json::object({{"Key", t.get("Key")},
                                       {"Value", t.get("Value")},
                                       {"ResourceId", id},
                                       {"ResourceType", kind->type},
                                       {"Order", id + "/" + t.get("Key")}}));
        }
      }
    }
    return {};
  }));
  static const FilterPaths paths{
      {"key", "Key"}, {"value", "Value"}, {"resource-id", "ResourceId"}, {"resource-type", "ResourceType"}};
  const auto* filters = in.find("Filters");
  if (filters != nullptr) TRY(apply_filters(*filters, paths, tags));
  auto answer = json::object();
  auto found = TRY(page(std::move(tags), "Order", in, answer));
  answer["Tags"] = std::move(found);
  return answer;
}

}  // namespace bastide::services
