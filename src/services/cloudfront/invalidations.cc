#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "services/cloudfront/cloudfront.h"

namespace bastide::services {
using namespace cloudfront;

namespace {
constexpr const char* kInvalidation = "cloudfront.invalidation";
constexpr size_t kMaxPaths = 3'000;

std::string id_of_arn(const std::string& arn) {
  auto slash = arn.rfind('/');
  return slash == std::string::npos ? "" : arn.substr(slash + 1);
}
}  // namespace

std::string Cloudfront::invalidation_status(const std::string& distribution, int64_t number) const {
  auto found = deployed_.find(distribution);
  return found != deployed_.end() && found->second.invalidation >= number ? "Completed" : "InProgress";
}

// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Invalidation.html
Result<json::Value> Cloudfront::create_invalidation(aws::Call& call, const Json& in) {
  const auto distribution = in.get("DistributionId");
  const auto& batch = part(in, "InvalidationBatch");
  const auto paths = items_of(batch, "Paths");
  if (paths.empty()) return fault("InvalidArgument", "Your request must contain at least one path.");
  if (paths.size() > kMaxPaths) return fault("BatchTooLarge", "Invalidation batch specified is too large.");
  for (const auto& p : paths) {
    const auto& path = p.string();
    const auto star = path.find('*');
    const bool text =
        std::all_of(path.begin(), path.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    if (path.empty() || path[0] != '/' || path.size() > 4'000 || !text ||
        (star != std::string::npos && star + 1 != path.size()))
      return fault("InvalidArgument", "Your request contains one or more invalid invalidation paths.");
  }
  Json body;
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    TRY(load(writer, call, kDistribution, distribution));
    for (const auto& other :
         TRY(writer.list(call.account, "", kInvalidation, "", 1'000'000, distribution + "/"))) {
      const auto& before = part(other.body, "InvalidationBatch");
      if (before.get("CallerReference") != batch.get("CallerReference")) continue;
      if (before == batch) {
        body = other.body;
        return {};
      }
      return fault("InvalidArgument",
                   "An invalidation with the same caller reference and other paths exists already.");
    }
    const auto number = TRY(writer.next("cloudfront.invalidation/" + distribution));
    body = json::object({{"Id", "I" + random_text(25, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")},
                         {"CreateTime", static_cast<double>(call.now) / 1000},
                         {"InvalidationBatch", batch},
                         {"Number", number}});
    TRY(writer.put({call.account, "", kInvalidation, distribution + "/" + body.get("Id")}, body));
    return writer.emit(kCloudFrontTopic, distribution);
  }));
  body["Status"] = invalidation_status(distribution, body.get_int("Number"));
  auto location =
      call.endpoint + "/2020-05-31/distribution/" + distribution + "/invalidation/" + body.get("Id");
  return json::object({{"Invalidation", std::move(body)}, {"Location", std::move(location)}});
}

Result<json::Value> Cloudfront::get_invalidation(aws::Call& call, const Json& in) {
  const auto distribution = in.get("DistributionId");
  auto found = TRY(db_.get({call.account, "", kInvalidation, distribution + "/" + in.get("Id")}));
  if (!found) return fault("NoSuchInvalidation", "The specified invalidation does not exist.");
  auto body = std::move(found->body);
  body["Status"] = invalidation_status(distribution, body.get_int("Number"));
  return json::object({{"Invalidation", std::move(body)}});
}

Result<json::Value> Cloudfront::list_invalidations(aws::Call& call, const Json& in) {
  const auto distribution = in.get("DistributionId");
  std::vector<store::Resource> all;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    TRY(load(reader, call, kDistribution, distribution));
    all = TRY(reader.list(call.account, "", kInvalidation, "", 1'000'000, distribution + "/"));
    return {};
  }));
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.body.get_int("Number") > b.body.get_int("Number"); });
  json::Array items;
  bool after = in.get("Marker").empty();
  for (auto& i : all) {
    if (after) {
      items.push_back(
          json::object({{"Id", i.body.get("Id")},
                        {"CreateTime", *i.body.find("CreateTime")},
                        {"Status", invalidation_status(distribution, i.body.get_int("Number"))}}));
    }
    after = after || i.body.get("Id") == in.get("Marker");
  }
  auto plain = in;
  plain.remove("Marker");
  auto got = TRY(page(std::move(items), plain, "Id"));
  auto out = quantity(std::move(got.items));
  out["MaxItems"] = got.most;
  out["IsTruncated"] = !got.next.empty();
  out["Marker"] = in.get("Marker");
  if (!got.next.empty()) out["NextMarker"] = got.next;
  return json::object({{"InvalidationList", std::move(out)}});
}

Result<json::Value> Cloudfront::tag(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto id = id_of_arn(in.get("Resource"));
    auto body = TRY(load(writer, call, kDistribution, id));
    for (const auto& t : items_of(in, "Tags")) {
      auto& tags = body["Tags"];
      if (tags.is_null()) tags = json::array();
      std::erase_if(tags.array(), [&](const Json& old) { return old.get("Key") == t.get("Key"); });
      tags.push(t);
    }
    if (body.get_array("Tags").size() > 50)
      return fault("InvalidTagging", "The maximum number of tags is exceeded.");
    return writer.put(key_of(call, kDistribution, id), body);
  }));
  return json::object();
}

Result<json::Value> Cloudfront::untag(aws::Call& call, const Json& in) {
  TRY(db_.write([&](store::Writer& writer) -> Result<void> {
    const auto id = id_of_arn(in.get("Resource"));
    auto body = TRY(load(writer, call, kDistribution, id));
    if (!body.has("Tags")) return {};
    for (const auto& key : items_of(in, "TagKeys"))
      std::erase_if(body["Tags"].array(), [&](const Json& t) { return t.get("Key") == key.string(); });
    return writer.put(key_of(call, kDistribution, id), body);
  }));
  return json::object();
}

Result<json::Value> Cloudfront::list_tags(aws::Call& call, const Json& in) {
  json::Array tags;
  TRY(db_.read([&](store::Reader& reader) -> Result<void> {
    const auto body = TRY(load(reader, call, kDistribution, id_of_arn(in.get("Resource"))));
    tags = body.get_array("Tags");
    return {};
  }));
  return json::object({{"Tags", json::object({{"Items", std::move(tags)}})}});
}

}  // namespace bastide::services
