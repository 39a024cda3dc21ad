// Groups, streams, tags and retention.
#include <algorithm>

#include "aws/arn.h"
#include "base/bytes.h"
#include "net/loop.h"
#include "services/logs/keys.h"
#include "services/logs/log_metrics.h"
#include "services/logs/logs.h"
#include "store/page.h"

namespace bastide::services {

namespace m = model::logs;
namespace op = model::logs::op;

namespace {

constexpr int kRetentionDays[] = {1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                  365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};
constexpr size_t kMaxTags = 50;
constexpr size_t kMaxPage = 50;

}  // namespace

Error no_group() { return fault("ResourceNotFoundException", "The specified log group does not exist."); }
Error no_stream() { return fault("ResourceNotFoundException", "The specified log stream does not exist."); }
Error bad_parameter(const std::string& why) { return fault("InvalidParameterException", why); }

CloudWatchLogs::CloudWatchLogs(store::Database& database, store::Keyring& keyring, store::Logs& logs,
                               Clock& clock)
    : database_(database), keyring_(keyring), logs_(logs), clock_(clock) {}

Result<std::string> CloudWatchLogs::group_of_arn(const Call& call, const std::string& text) const {
  const auto arn = aws::parse_arn(text);
  if (!arn || arn->service != "logs" || !arn->resource.starts_with("log-group:")) {
    return bad_parameter("Invalid ARN: " + text);
  }
  std::string name = arn->resource.substr(10);
  if (name.ends_with(":*")) name.resize(name.size() - 2);
  if (arn->account != call.account || arn->region != call.region) return no_group();
  return name;
}

Result<std::string> CloudWatchLogs::group_name(const Call& call, const std::optional<std::string>& name,
                                               const std::optional<std::string>& identifier) const {
  if (name.has_value() == identifier.has_value()) {
    return bad_parameter("Specify either logGroupName or logGroupIdentifier.");
  }
  if (name) return *name;
  if (!identifier->starts_with("arn:")) return *identifier;
  return group_of_arn(call, *identifier);
}

Result<store::Resource> CloudWatchLogs::need_group(const Call& call, const std::string& name) {
  auto row = TRY(database_.get(group_key(call, name)));
  if (!row) return no_group();
  return std::move(*row);
}

Result<void> CloudWatchLogs::need_stream(const Call& call, const std::string& group,
                                         const std::string& stream) {
  const auto row = TRY(database_.get(stream_key(call, group, stream)));
  if (!row) return no_stream();
  return {};
}

Result<void> CloudWatchLogs::change_group(const Call& call, const std::string& name,
                                          const std::function<Result<void>(json::Value&)>& f) {
  return database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(group_key(call, name)));
    if (!row) return no_group();
    TRY(f(row->body));
    return w.put(row->key, row->body);
  });
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
Result<model::Empty> CloudWatchLogs::create_group(Call& call, const m::CreateLogGroupRequest& q) {
  if (q.kms_key_id) return bad_parameter("KMS keys of log groups are not supported.");
  if (q.log_group_class.value_or("STANDARD") != "STANDARD") {
    return bad_parameter("Only the log group class STANDARD is supported.");
  }
  auto tags = json::object();
  if (q.tags) {
    for (const auto& [k, v] : *q.tags) tags[k] = v;
  }
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto there = TRY(w.get(group_key(call, q.log_group_name)));
    if (there) return fault("ResourceAlreadyExistsException", "The specified log group already exists");
    return w.put(group_key(call, q.log_group_name),
                 json::object({{"created", call.now},
                               {"tags", std::move(tags)},
                               {"protected", q.deletion_protection_enabled.value_or(false)}}));
  }));
  return model::Empty{};
}

Result<model::Empty> CloudWatchLogs::delete_group(Call& call, const m::DeleteLogGroupRequest& q) {
  const auto group = TRY(need_group(call, q.log_group_name));
  if (group.body.get_bool("protected")) {
    return fault("OperationAbortedException", "The log group is protected against deletion.");
  }
  // Events first: a crash in between leaves an empty group, never old events under a new one.
  const std::string key = store_key(call.account, call.region, q.log_group_name);
  auto dropped = net::offload_result([&] { return logs_.drop_group(key); });
  TRY(std::move(dropped));
  std::erase_if(stats_, [&](const auto& s) { return s.first.starts_with(key + ":"); });
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto streams =
        TRY(w.list(call.account, call.region, kStreamKind, "", 1'000'000, q.log_group_name + ":"));
    for (const auto& s : streams) TRY(w.remove(s.key));
    for (const auto& f : TRY(w.list(call.account, call.region, kMetricFilterKind, "", 1'000'000, q.log_group_name + ":"))) TRY(w.remove(f.key));
    TRY(w.remove(group_key(call, q.log_group_name)));
    return {};
  }));
  return model::Empty{};
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
Result<m::DescribeLogGroupsResponse> CloudWatchLogs::describe_groups(Call& call,
                                                                     const m::DescribeLogGroupsRequest& q) {
  if (q.log_group_name_prefix && q.log_group_name_pattern) {
    return bad_parameter("logGroupNamePrefix and logGroupNamePattern are mutually exclusive.");
  }
  if (q.include_linked_accounts.value_or(false) || q.account_identifiers) {
    return bad_parameter("Linked accounts are not supported.");
  }
  const size_t limit = q.limit ? static_cast<size_t>(*q.limit) : kMaxPage;
  const std::string scope = "DescribeLogGroups/" + call.account + "/" + call.region;
  std::string after;
  if (q.next_token) {
    auto last = store::open_page(keyring_, scope, *q.next_token);
    if (!last) return bad_parameter("The specified nextToken is invalid.");
    after = std::move(*last);
  }
  std::vector<std::string> wanted;
  if (q.log_group_identifiers) {
    for (const auto& id : *q.log_group_identifiers) {
      wanted.push_back(TRY(group_name(call, std::nullopt, id)));
    }
  }
  std::vector<store::Resource> rows;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    rows = TRY(r.list(call.account, call.region, kGroupKind, after, 1'000'000,
                      q.log_group_name_prefix.value_or("")));
    return {};
  }));
  std::erase_if(rows, [&](const store::Resource& r) {
    if (q.log_group_name_pattern &&
        lower(r.key.id).find(lower(*q.log_group_name_pattern)) == std::string::npos)
      return true;
    return q.log_group_identifiers && std::find(wanted.begin(), wanted.end(), r.key.id) == wanted.end();
  });
  m::DescribeLogGroupsResponse out;
  if (rows.size() > limit) {
    rows.resize(limit);
    out.next_token = store::seal_page(keyring_, scope, rows.back().key.id);
  }
  out.log_groups.emplace();
  for (const auto& r : rows) {
    auto& g = out.log_groups->emplace_back();
    g.log_group_name = r.key.id;
    g.creation_time = r.body.get_int("created");
    if (const auto days = r.body.get_int("retention"); days > 0)
      g.retention_in_days = static_cast<int32_t>(days);
    g.metric_filter_count = log_metrics_ ? static_cast<int32_t>(log_metrics_->count(call.account, call.region, r.key.id)) : 0;
    g.log_group_arn = group_arn(call, r.key.id);
    g.arn = *g.log_group_arn + ":*";
    g.stored_bytes = TRY(logs_.stored_bytes(store_key(call.account, call.region, r.key.id)));
    g.log_group_class = "STANDARD";
    g.deletion_protection_enabled = r.body.get_bool("protected");
  }
  return out;
}

Result<model::Empty> CloudWatchLogs::create_stream(Call& call, const m::CreateLogStreamRequest& q) {
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto group = TRY(w.get(group_key(call, q.log_group_name)));
    if (!group) return no_group();
    const auto key = stream_key(call, q.log_group_name, q.log_stream_name);
    const auto there = TRY(w.get(key));
    if (there) return fault("ResourceAlreadyExistsException", "The specified log stream already exists");
    return w.put(key, json::object({{"created", call.now}}));
  }));
  return model::Empty{};
}

Result<model::Empty> CloudWatchLogs::delete_stream(Call& call, const m::DeleteLogStreamRequest& q) {
  TRY(need_group(call, q.log_group_name));
  TRY(need_stream(call, q.log_group_name, q.log_stream_name));
  const std::string key = store_key(call.account, call.region, q.log_group_name);
  auto dropped = net::offload_result([&] { return logs_.drop_stream(key, q.log_stream_name); });
  TRY(std::move(dropped));
  stats_.erase(key + ":" + q.log_stream_name);
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    TRY(w.remove(stream_key(call, q.log_group_name, q.log_stream_name)));
    return {};
  }));
  return model::Empty{};
}

Result<CloudWatchLogs::Stats> CloudWatchLogs::stats(const Call& call, const std::string& group,
                                                    const std::string& stream) {
  const std::string key = store_key(call.account, call.region, group);
  const std::string cache_key = key + ":" + stream;
  if (const auto it = stats_.find(cache_key); it != stats_.end()) return it->second;
  Stats s;
  auto scanned = net::offload_result([&]() -> Result<void> {
    store::Logs::Query query{.group = key, .streams = {stream}};
    TRY(logs_.scan(query, [&](const store::LogEvent& e) {
      s.first = e.time;
      return false;
    }));
    query.newest_first = true;
    return logs_.scan(query, [&](const store::LogEvent& e) {
      s.last = e.time;
      s.ingested = e.ingested;
      return false;
    });
  });
  TRY(std::move(scanned));
  if (stats_.size() > 10'000) stats_.clear();
  return stats_.emplace(cache_key, s).first->second;
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html
Result<m::DescribeLogStreamsResponse> CloudWatchLogs::describe_streams(
    Call& call, const m::DescribeLogStreamsRequest& q) {
  const std::string group = TRY(group_name(call, q.log_group_name, q.log_group_identifier));
  TRY(need_group(call, group));
  const bool by_time = q.order_by.value_or("LogStreamName") == "LastEventTime";
  if (by_time && q.log_stream_name_prefix) {
    return bad_parameter("Cannot order by LastEventTime with a logStreamNamePrefix.");
  }
  const bool descending = q.descending.value_or(false);
  const size_t limit = q.limit ? static_cast<size_t>(*q.limit) : kMaxPage;
  const std::string scope = "DescribeLogStreams/" + call.account + "/" + call.region + "/" + group;
  size_t from = 0;
  if (q.next_token) {
    const auto last = store::open_page(keyring_, scope, *q.next_token);
    const auto n = last ? parse_int(*last) : Result<int64_t>(error("invalid"));
    if (!n || *n < 0) return bad_parameter("The specified nextToken is invalid.");
    from = static_cast<size_t>(*n);
  }
  std::vector<store::Resource> rows;
  TRY(database_.read([&](store::Reader& r) -> Result<void> {
    rows = TRY(r.list(call.account, call.region, kStreamKind, "", 1'000'000,
                      group + ":" + q.log_stream_name_prefix.value_or("")));
    return {};
  }));
  std::vector<m::LogStream> streams;
  for (const auto& r : rows) {
    auto& s = streams.emplace_back();
    s.log_stream_name = r.key.id.substr(group.size() + 1);
    s.creation_time = r.body.get_int("created");
    s.arn = group_arn(call, group) + ":log-stream:" + *s.log_stream_name;
    s.stored_bytes = 0;
    s.upload_sequence_token = kSequenceToken;
  }
  auto fill = [&](m::LogStream& s) -> Result<void> {
    const Stats known = TRY(stats(call, group, *s.log_stream_name));
    s.first_event_timestamp = known.first;
    s.last_event_timestamp = known.last;
    s.last_ingestion_time = known.ingested;
    return {};
  };
  if (by_time) {
    for (auto& s : streams) TRY(fill(s));
    std::stable_sort(streams.begin(), streams.end(), [](const m::LogStream& a, const m::LogStream& b) {
      return a.last_event_timestamp.value_or(0) < b.last_event_timestamp.value_or(0);
    });
  }
  if (descending) std::reverse(streams.begin(), streams.end());
  m::DescribeLogStreamsResponse out;
  streams.erase(streams.begin(), streams.begin() + static_cast<ptrdiff_t>(std::min(from, streams.size())));
  if (streams.size() > limit) {
    streams.resize(limit);
    out.next_token = store::seal_page(keyring_, scope, std::to_string(from + limit));
  }
  if (!by_time) {
    for (auto& s : streams) TRY(fill(s));
  }
  out.log_streams = std::move(streams);
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
Result<model::Empty> CloudWatchLogs::put_retention(Call& call, const m::PutRetentionPolicyRequest& q) {
  if (std::find(std::begin(kRetentionDays), std::end(kRetentionDays), q.retention_in_days) ==
      std::end(kRetentionDays)) {
    return bad_parameter("The retentionInDays value is not one of those allowed.");
  }
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    auto row = TRY(w.get(group_key(call, q.log_group_name)));
    if (!row) return no_group();
    row->body["retention"] = q.retention_in_days;
    TRY(w.put(row->key, row->body));
    return w.enqueue("logs.retention", call.account + ":" + call.region + ":" + q.log_group_name,
                     json::object(), call.now);
  }));
  return model::Empty{};
}

Result<model::Empty> CloudWatchLogs::delete_retention(Call& call, const m::DeleteRetentionPolicyRequest& q) {
  TRY(change_group(call, q.log_group_name, [](json::Value& body) -> Result<void> {
    body.remove("retention");
    return {};
  }));
  return model::Empty{};
}

Result<std::optional<Millis>> CloudWatchLogs::run_retention(store::Job& job) {
  const auto parts = split(job.key, ':');
  if (parts.size() != 3) return std::optional<Millis>{};
  const std::string account(parts[0]), region(parts[1]), name(parts[2]);
  const auto row = TRY(database_.get({account, region, kGroupKind, name}));
  const int64_t days = row ? row->body.get_int("retention") : 0;
  if (days == 0) return std::optional<Millis>{};
  const Millis before = clock_.wall() - days * kDay;
  auto dropped =
      net::offload_result([&] { return logs_.drop_before(store_key(account, region, name), before); });
  TRY(std::move(dropped));
  return std::optional<Millis>(kHour);
}

void CloudWatchLogs::start() {
  database_.run_jobs("logs.retention", [this](store::Job& job) { return run_retention(job); });
}

namespace {
Result<void> add_tags(json::Value& body, const std::map<std::string, std::string>& added) {
  auto& tags = body["tags"];
  if (!tags.is_object()) tags = json::object();
  for (const auto& [k, v] : added) tags[k] = v;
  if (tags.object().size() > kMaxTags)
    return fault("TooManyTagsException", "A resource can have no more than 50 tags.");
  return {};
}
Result<void> drop_tags(json::Value& body, const std::vector<std::string>& keys) {
  for (const auto& k : keys) body["tags"].remove(k);
  return {};
}
std::map<std::string, std::string> tags_of(const json::Value& body) {
  std::map<std::string, std::string> out;
  for (const auto& [k, v] : body.get_object("tags")) out[k] = v.is_string() ? v.string() : "";
  return out;
}
}  // namespace

Result<model::Empty> CloudWatchLogs::tag(Call& call, const m::TagResourceRequest& q) {
  const std::string name = TRY(group_of_arn(call, q.resource_arn));
  TRY(change_group(call, name, [&](json::Value& body) { return add_tags(body, q.tags); }));
  return model::Empty{};
}
Result<model::Empty> CloudWatchLogs::untag(Call& call, const m::UntagResourceRequest& q) {
  const std::string name = TRY(group_of_arn(call, q.resource_arn));
  TRY(change_group(call, name, [&](json::Value& body) { return drop_tags(body, q.tag_keys); }));
  return model::Empty{};
}
Result<m::ListTagsForResourceResponse> CloudWatchLogs::list_tags(Call& call,
                                                                 const m::ListTagsForResourceRequest& q) {
  const std::string name = TRY(group_of_arn(call, q.resource_arn));
  const auto group = TRY(need_group(call, name));
  return m::ListTagsForResourceResponse{tags_of(group.body)};
}
Result<model::Empty> CloudWatchLogs::tag_group(Call& call, const m::TagLogGroupRequest& q) {
  TRY(change_group(call, q.log_group_name, [&](json::Value& body) { return add_tags(body, q.tags); }));
  return model::Empty{};
}
Result<model::Empty> CloudWatchLogs::untag_group(Call& call, const m::UntagLogGroupRequest& q) {
  TRY(change_group(call, q.log_group_name, [&](json::Value& body) { return drop_tags(body, q.tags); }));
  return model::Empty{};
}
Result<m::ListTagsLogGroupResponse> CloudWatchLogs::list_group_tags(Call& call,
                                                                    const m::ListTagsLogGroupRequest& q) {
  const auto group = TRY(need_group(call, q.log_group_name));
  return m::ListTagsLogGroupResponse{tags_of(group.body)};
}

}  // namespace bastide::services
