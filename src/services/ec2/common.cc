#include "services/ec2/common.h"

#include <algorithm>
#include <set>

#include "aws/arn.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "services/ec2/ec2.h"

namespace bastide::services::ec2 {

const std::vector<const KindOf*>& kinds() {
  static const std::vector<const KindOf*> all{&kVpc,   &kSubnet,    &kRouteTable, &kGateway,
                                               &kGroup, &kInterface, &kPeering};
  return all;
}

std::string new_id(std::string_view prefix) {
  return std::string(prefix) + "-0" + random_text(16, "0123456789abcdef");
}

store::Key key_of(const aws::Call& call, const KindOf& kind, const std::string& id) {
  return {call.account, call.region, kind.kind, id};
}

Error not_found(const KindOf& kind, const std::string& id) {
  return fault(kind.not_found, "The " + std::string(kind.word) + " ID '" + id + "' does not exist");
}

Result<json::Value> load(store::Reader& reader, const aws::Call& call, const KindOf& kind,
                         const std::string& id) {
  auto prefix = std::string(kind.prefix) + "-";
  auto digits = std::string_view(id).substr(std::min(id.size(), prefix.size()));
  if (id.compare(0, prefix.size(), prefix) != 0 || digits.empty() || digits.size() > 17 ||
      digits.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return fault(kind.malformed, "Invalid id: \"" + id + "\" (expecting \"" + prefix + "...\")");
  }
  auto found = TRY(reader.get(key_of(call, kind, id)));
  if (!found) return not_found(kind, id);
  return std::move(found->body);
}

namespace {

// What decides who may speak to whom.
Result<void> tell_network(store::Writer& writer, const aws::Call& call, const KindOf& kind, const std::string& id) {
  if (&kind != &kGroup && &kind != &kRouteTable && &kind != &kSubnet && &kind != &kInterface) return {};
  return writer.emit(kEc2NetworkTopic, call.account + "/" + call.region + "/" + id);
}

}  // namespace

Result<void> save(store::Writer& writer, const aws::Call& call, const KindOf& kind, const json::Value& body) {
  std::vector<store::Index> indexes;
  if (&kind != &kVpc && body.has("VpcId")) indexes.push_back({"vpc", body.get("VpcId")});
  TRY(tell_network(writer, call, kind, body.get(kind.id_member)));
  return writer.put(key_of(call, kind, body.get(kind.id_member)), body, indexes);
}

Result<void> remove(store::Writer& writer, const aws::Call& call, const KindOf& kind, const std::string& id) {
  TRY(writer.remove(key_of(call, kind, id)));
  return tell_network(writer, call, kind, id);
}

Result<std::vector<json::Value>> all(store::Reader& reader, const aws::Call& call, const KindOf& kind,
                                     const std::string& vpc) {
  auto found = TRY(reader.list(call.account, call.region, kind.kind));
  std::vector<json::Value> out;
  for (auto& r : found) {
    if (vpc.empty() || r.body.get("VpcId") == vpc) out.push_back(std::move(r.body));
  }
  return out;
}

// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
Result<void> check_tags(const json::Array& tags) {
  std::set<std::string> keys;
  for (const auto& t : tags) {
    auto key = t.get("Key");
    if (key.empty()) return fault("InvalidParameterValue", "Tag key cannot be null or empty");
    if (key.size() > 127 * 4)
      return fault("InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters");
    if (t.get("Value").size() > 255 * 4)
      return fault("InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters");
    if (lower(key.substr(0, 4)) == "aws:" && key.substr(0, 19) != "aws:cloudformation:") {
      return fault("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use");
    }
    if (!keys.insert(key).second)
      return fault("InvalidParameterValue", "Duplicate tag key '" + key + "' specified.");
  }
  if (keys.size() > 50)
    return fault("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.");
  return {};
}

Result<json::Array> tags_of(const json::Value& request, const KindOf& kind) {
  json::Array out;
  for (const auto& spec : request.get_array("TagSpecifications")) {
    if (spec.get("ResourceType") != kind.type) {
      return fault(
          "InvalidParameterValue",
          "'" + spec.get("ResourceType") + "' is not a valid taggable resource type for this operation.");
    }
    for (const auto& t : spec.get_array("Tags"))
      out.push_back(json::object({{"Key", t.get("Key")}, {"Value", t.get("Value")}}));
  }
  TRY(check_tags(out));
  return out;
}

Result<json::Value> describe(store::Database& db, const aws::Call& call, const KindOf& kind,
                             const json::Value& request, const std::string& ids_member,
                             const std::string& list_member, const FilterPaths& paths) {
  std::vector<json::Value> bodies;
  TRY(db.read([&](store::Reader& reader) -> Result<void> {
    const auto& ids = request.get_array(ids_member);
    if (ids.empty()) {
      bodies = TRY(all(reader, call, kind));
      return {};
    }
    std::set<std::string> seen;
    for (const auto& id : ids) {
      if (id.is_string() && seen.insert(id.string()).second)
        bodies.push_back(TRY(load(reader, call, kind, id.string())));
    }
    return {};
  }));
  const auto* filters = request.find("Filters");
  if (filters != nullptr) TRY(apply_filters(*filters, paths, bodies));
  auto answer = json::object();
  auto found = TRY(page(std::move(bodies), kind.id_member, request, answer));
  answer[list_member] = std::move(found);
  return answer;
}

std::vector<std::string> zones(const std::string& region) {
  return {region + "a", region + "b", region + "c"};
}

// "us-east-1a" -> "use1-az1", "ap-southeast-2b" -> "apse2-az2"
std::string zone_id(const std::string& zone) {
  static const std::vector<std::pair<std::string, std::string>> words{
      {"northeast", "ne"}, {"northwest", "nw"}, {"southeast", "se"}, {"southwest", "sw"}, {"north", "n"},
      {"south", "s"},      {"east", "e"},       {"west", "w"},       {"central", "c"}};
  auto parts = split(std::string_view(zone).substr(0, zone.size() - 1), '-');
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    std::string word(parts[i]);
    for (const auto& [full, brief] : words) {
      if (i > 0 && word == full) word = brief;
    }
    out += word;
  }
  return out + "-az" + std::to_string(zone.back() - 'a' + 1);
}

}  // namespace bastide::services::ec2
