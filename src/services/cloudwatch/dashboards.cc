// Dashboards, and tags of alarms and dashboards.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
#include <fmt/format.h>

#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "services/cloudwatch/cloudwatch.h"
#include "store/page.h"

namespace bastide::services {
namespace {

constexpr size_t kMaxBody = 1u << 20;
constexpr size_t kMaxWidgets = 500;
constexpr size_t kMaxTags = 50;
constexpr int kColumns = 24;

std::string dashboard_arn(const std::string& account, const std::string& name) {
  return aws::make_arn("cloudwatch", "", account, "dashboard/" + name);
}
// Dashboards belong to an account, not to a region.
store::Key dashboard_key(const aws::Call& call, const std::string& name) {
  return {call.account, "", cw::kDashboardKind, name};
}

}  // namespace

json::Array cw::check_dashboard(const std::string& body, bool* fatal) {
  json::Array out;
  *fatal = true;
  auto say = [&](std::string path, std::string message) {
    out.push_back(json::object({{"DataPath", std::move(path)}, {"Message", std::move(message)}}));
  };
  const auto parsed = json::parse(body);
  if (!parsed || !parsed->is_object()) {
    say("", "The field DashboardBody must be a valid JSON object");
    return out;
  }
  const json::Value* widgets = parsed->find("widgets");
  if (widgets == nullptr || !widgets->is_array()) {
    say("/widgets", "Should have required property 'widgets'");
    return out;
  }
  if (widgets->array().size() > kMaxWidgets) {
    say("/widgets", "Should NOT have more than 500 items");
    return out;
  }
  *fatal = false;
  size_t i = 0;
  for (const auto& w : widgets->array()) {
    const std::string path = fmt::format("/widgets/{}", i++);
    const std::string type = w.get("type");
    if (!w.is_object() || type.empty()) {
      say(path + "/type", "Should have required property 'type'");
      *fatal = true;
      continue;
    }
    static const char* const kTypes[] = {"metric", "text", "log", "alarm", "explorer", "custom", "chart"};
    if (std::none_of(std::begin(kTypes), std::end(kTypes), [&](const char* t) { return type == t; })) {
      say(path + "/type", "Should be equal to one of the allowed values");
      *fatal = true;
    }
    if (!w.has("properties")) {
      say(path + "/properties", "Should have required property 'properties'");
      *fatal = true;
    }
    if (w.get_int("x") < 0 || w.get_int("x") >= kColumns) say(path + "/x", "Should be >= 0 and <= 23");
    if (w.get_int("width", 6) < 1 || w.get_int("width", 6) > kColumns)
      say(path + "/width", "Should be >= 1 and <= 24");
    if (w.get_int("height", 6) < 1 || w.get_int("height", 6) > 1000)
      say(path + "/height", "Should be >= 1 and <= 1000");
  }
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
Result<json::Value> CloudWatch::put_dashboard(Call& call, const Json& q) {
  const std::string name = q.get("DashboardName"), body = q.get("DashboardBody");
  if (name.empty() || name.size() > 255 || !std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '-' || c == '_';
      }))
    return fault("InvalidParameterValue",
                 "The value " + name +
                     " for parameter DashboardName is invalid: it has letters, digits, - and _ alone.");
  if (body.size() > kMaxBody) return fault("InvalidParameterInput", "The dashboard is larger than 1 MB");
  bool fatal = false;
  auto messages = cw::check_dashboard(body, &fatal);
  if (fatal) {
    const auto& m = messages.front();
    return fault("InvalidParameterInput",
                 fmt::format("The dashboard body is invalid, there are {} validation errors: {} {}",
                             messages.size(), m.get("DataPath"), m.get("Message")));
  }
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto there = TRY(w.get(dashboard_key(call, name)));
    Json row = json::object({{"DashboardName", name},
                             {"DashboardArn", dashboard_arn(call.account, name)},
                             {"DashboardBody", body},
                             {"LastModified", cw::seconds(call.now)},
                             {"Size", static_cast<int64_t>(body.size())}});
    if (there && there->body.has("Tags")) row["Tags"] = *there->body.find("Tags");
    if (!there && q.has("Tags")) row["Tags"] = *q.find("Tags");
    return w.put(dashboard_key(call, name), row);
  }));
  return json::object({{"DashboardValidationMessages", Json(std::move(messages))}});
}

Result<json::Value> CloudWatch::get_dashboard(Call& call, const Json& q) {
  auto row = TRY(database_.get(dashboard_key(call, q.get("DashboardName"))));
  if (!row) return fault("ResourceNotFound", "Dashboard " + q.get("DashboardName") + " does not exist");
  return std::move(row->body);
}

Result<json::Value> CloudWatch::list_dashboards(Call& call, const Json& q) {
  Json out = json::object({{"DashboardEntries", json::array()}});
  for (const auto& r : TRY(database_.list(call.account, "", cw::kDashboardKind))) {
    if (r.key.id.starts_with(q.get("DashboardNamePrefix"))) out["DashboardEntries"].push(r.body);
  }
  return out;
}

Result<json::Value> CloudWatch::delete_dashboards(Call& call, const Json& q) {
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    for (const auto& name : q.get_array("DashboardNames")) {
      const auto there = TRY(w.get(dashboard_key(call, name.string())));
      if (!there) return fault("ResourceNotFound", "Dashboard " + name.string() + " does not exist");
    }
    for (const auto& name : q.get_array("DashboardNames")) TRY(w.remove(dashboard_key(call, name.string())));
    return {};
  }));
  return json::object();
}

Result<store::Key> CloudWatch::tagged(const Call& call, const std::string& text) const {
  const auto arn = aws::parse_arn(text);
  if (!arn || arn->service != "cloudwatch") return fault("InvalidParameterValue", "Invalid ARN: " + text);
  if (arn->account == call.account && arn->resource.starts_with("alarm:"))
    return store::Key{call.account, arn->region, cw::kAlarmKind, arn->resource.substr(6)};
  if (arn->account == call.account && arn->resource.starts_with("dashboard/"))
    return store::Key{call.account, "", cw::kDashboardKind, arn->resource.substr(10)};
  return fault("ResourceNotFoundException", "The resource " + text + " does not exist");
}

Result<json::Value> CloudWatch::tag_resource(Call& call, const Json& q) {
  const auto key = TRY(tagged(call, q.get("ResourceARN")));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row)
      return fault("ResourceNotFoundException", "The resource " + q.get("ResourceARN") + " does not exist");
    json::Array tags = row->body.get_array("Tags");
    for (const auto& t : q.get_array("Tags")) {
      std::erase_if(tags, [&](const Json& old) { return old.get("Key") == t.get("Key"); });
      tags.push_back(t);
    }
    if (tags.size() > kMaxTags)
      return fault("InvalidParameterValue", "A resource can have no more than 50 tags.");
    row->body["Tags"] = Json(std::move(tags));
    return w.put(key, row->body);
  }));
  return json::object();
}

Result<json::Value> CloudWatch::untag_resource(Call& call, const Json& q) {
  const auto key = TRY(tagged(call, q.get("ResourceARN")));
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(key));
    if (!row)
      return fault("ResourceNotFoundException", "The resource " + q.get("ResourceARN") + " does not exist");
    json::Array tags = row->body.get_array("Tags");
    for (const auto& k : q.get_array("TagKeys"))
      std::erase_if(tags, [&](const Json& t) { return t.get("Key") == k.string(); });
    row->body["Tags"] = Json(std::move(tags));
    return w.put(key, row->body);
  }));
  return json::object();
}

Result<json::Value> CloudWatch::list_tags(Call& call, const Json& q) {
  const auto key = TRY(tagged(call, q.get("ResourceARN")));
  const auto row = TRY(database_.get(key));
  if (!row)
    return fault("ResourceNotFoundException", "The resource " + q.get("ResourceARN") + " does not exist");
  return json::object({{"Tags", Json(row->body.get_array("Tags"))}});
}

Result<std::string> CloudWatch::page_after(const Call& call, const Json& q, const char* scope) const {
  const std::string token = q.get("NextToken");
  if (token.empty()) return std::string();
  auto last = store::open_page(keyring_, std::string(scope) + "/" + call.account + "/" + call.region, token);
  if (!last) return fault("InvalidNextToken", "The value for parameter NextToken is invalid.");
  return std::move(*last);
}
std::string CloudWatch::page_token(const Call& call, const char* scope, const std::string& last) const {
  return store::seal_page(keyring_, std::string(scope) + "/" + call.account + "/" + call.region, last);
}

}  // namespace bastide::services
