// Putting and reading events, and what every operation is authorised against.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "net/loop.h"
#include "services/logs/filter.h"
#include "services/logs/keys.h"
#include "services/logs/log_metrics.h"
#include "services/logs/logs.h"
#include "store/page.h"

namespace bastide::services {

namespace m = model::logs;
namespace op = model::logs::op;

namespace {

constexpr size_t kMaxBatchBytes = 1'048'576;
constexpr size_t kEventBytes = 26;
constexpr size_t kMaxPageBytes = 1'048'576;
constexpr size_t kMaxPageEvents = 10'000;
constexpr size_t kMaxScanned = 200'000;  // events looked at for one page of FilterLogEvents
constexpr Millis kTooNew = 2 * kHour;
constexpr Millis kTooOld = 14 * kDay;

}  // namespace

Millis CloudWatchLogs::horizon(const store::Resource& group, Millis now) const {
  const int64_t days = group.body.get_int("retention");
  return days > 0 ? now - days * kDay : 0;
}

std::string CloudWatchLogs::seal(const std::string& scope, const Position& p) const {
  return store::seal_page(keyring_, scope, fmt::format("{}:{}", p.time, p.sequence));
}

Result<CloudWatchLogs::Position> CloudWatchLogs::unseal(const std::string& scope,
                                                        const std::string& token) const {
  const auto text = store::open_page(keyring_, scope, token);
  if (!text) return bad_parameter("The specified nextToken is invalid.");
  const auto colon = text->find(':');
  Position p;
  p.time = TRY(parse_int(text->substr(0, colon)));
  p.sequence = TRY(parse_int(text->substr(colon + 1)));
  return p;
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
Result<m::PutLogEventsResponse> CloudWatchLogs::put_events(Call& call, const m::PutLogEventsRequest& q) {
  const auto group = TRY(need_group(call, q.log_group_name));
  TRY(need_stream(call, q.log_group_name, q.log_stream_name));
  size_t bytes = 0;
  for (size_t i = 0; i < q.log_events.size(); ++i) {
    bytes += q.log_events[i].message.size() + kEventBytes;
    if (i > 0 && q.log_events[i].timestamp < q.log_events[i - 1].timestamp) {
      return bad_parameter("Log events in a single PutLogEvents request must be in chronological order.");
    }
  }
  if (bytes > kMaxBatchBytes) {
    return bad_parameter(
        fmt::format("Upload too large: {} bytes exceeds limit of {}", bytes, kMaxBatchBytes));
  }
  m::PutLogEventsResponse out;
  out.next_sequence_token = kSequenceToken;
  m::RejectedLogEventsInfo rejected;
  bool any_rejected = false;
  const Millis oldest = call.now - kTooOld, expired = horizon(group, call.now);
  std::vector<store::LogEvent> events;
  for (size_t i = 0; i < q.log_events.size(); ++i) {
    const auto& e = q.log_events[i];
    const auto index = static_cast<int32_t>(i);
    if (e.timestamp > call.now + kTooNew) {
      if (!rejected.too_new_log_event_start_index) rejected.too_new_log_event_start_index = index;
      any_rejected = true;
    } else if (e.timestamp < oldest) {
      rejected.too_old_log_event_end_index = index + 1;
      any_rejected = true;
    } else if (e.timestamp < expired) {
      rejected.expired_log_event_end_index = index + 1;
      any_rejected = true;
    } else {
      auto& kept = events.emplace_back();
      kept.time = e.timestamp;
      kept.message = e.message;
    }
  }
  if (!events.empty() && events.back().time - events.front().time > kDay) {
    return bad_parameter(
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");
  }
  if (any_rejected) out.rejected_log_events_info = rejected;
  if (events.empty()) return out;
  const std::string key = store_key(call.account, call.region, q.log_group_name);
  const Millis first = events.front().time, last = events.back().time;
  const auto filters = log_metrics_ ? log_metrics_->of(call.account, call.region, q.log_group_name) : nullptr;
  auto appended = net::offload_result([&]() -> Result<void> {
    auto observed = filters ? events : std::vector<store::LogEvent>();
    TRY(logs_.append(key, q.log_stream_name, std::move(events)));
    if (filters) log_metrics_->observe(call.account, call.region, filters, observed);
    return {};
  });
  TRY(std::move(appended));
  if (const auto it = stats_.find(key + ":" + q.log_stream_name); it != stats_.end()) {
    it->second.first = std::min(first, it->second.first.value_or(first));
    it->second.last = std::max(last, it->second.last.value_or(last));
    it->second.ingested = call.now;
  }
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
Result<m::GetLogEventsResponse> CloudWatchLogs::get_events(Call& call, const m::GetLogEventsRequest& q) {
  const std::string name = TRY(group_name(call, q.log_group_name, q.log_group_identifier));
  const auto group = TRY(need_group(call, name));
  TRY(need_stream(call, name, q.log_stream_name));
  const std::string scope =
      "GetLogEvents/" + store_key(call.account, call.region, name) + ":" + q.log_stream_name;
  const size_t limit = q.limit ? static_cast<size_t>(*q.limit) : kMaxPageEvents;
  store::Logs::Query query{.group = store_key(call.account, call.region, name),
                           .streams = {q.log_stream_name}};
  query.start = std::max(q.start_time.value_or(0), horizon(group, call.now));
  if (q.end_time) query.end = *q.end_time;
  query.newest_first = !q.start_from_head.value_or(false);
  std::optional<Position> from;
  if (q.next_token) {
    const bool forward = q.next_token->starts_with("f/");
    if (!forward && !q.next_token->starts_with("b/"))
      return bad_parameter("The specified nextToken is invalid.");
    from = TRY(unseal(scope, q.next_token->substr(2)));
    query.newest_first = !forward;
    if (forward) {
      query.start = std::max(query.start, from->time);
    } else if (from->time < INT64_MAX) {
      query.end = std::min(query.end, from->time + 1);
    }
  }
  std::vector<store::LogEvent> events;
  size_t bytes = 0;
  auto scanned = net::offload_result([&] {
    return logs_.scan(query, [&](const store::LogEvent& e) {
      if (from) {
        const auto a = std::pair(e.time, e.sequence), b = std::pair(from->time, from->sequence);
        if (query.newest_first ? a >= b : a <= b) return true;
      }
      bytes += e.message.size() + kEventBytes;
      if (events.size() >= limit || (bytes > kMaxPageBytes && !events.empty())) return false;
      events.push_back(e);
      return true;
    });
  });
  TRY(std::move(scanned));
  if (query.newest_first) std::reverse(events.begin(), events.end());
  Position first, last;
  if (!events.empty()) {
    first = {events.front().time, events.front().sequence};
    last = {events.back().time, events.back().sequence};
  } else if (from) {
    first = last = *from;
  } else {
    first = last = {query.start, -1};
  }
  m::GetLogEventsResponse out;
  out.events.emplace();
  for (auto& e : events) out.events->push_back({e.time, std::move(e.message), e.ingested});
  // A token that leads nowhere comes back as it was: that is how clients see the end.
  const bool ended = events.empty() && q.next_token;
  out.next_forward_token =
      ended && q.next_token->starts_with("f/") ? *q.next_token : "f/" + seal(scope, last);
  out.next_backward_token =
      ended && q.next_token->starts_with("b/") ? *q.next_token : "b/" + seal(scope, first);
  return out;
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
Result<m::FilterLogEventsResponse> CloudWatchLogs::filter_events(Call& call,
                                                                 const m::FilterLogEventsRequest& q) {
  const std::string name = TRY(group_name(call, q.log_group_name, q.log_group_identifier));
  const auto group = TRY(need_group(call, name));
  if (q.log_stream_names && q.log_stream_name_prefix) {
    return bad_parameter("logStreamNames and logStreamNamePrefix are mutually exclusive.");
  }
  if (q.start_time && q.end_time && *q.start_time > *q.end_time)
    return bad_parameter("startTime is after endTime.");
  const auto filter = TRY(LogFilter::parse(q.filter_pattern.value_or("")));
  const std::string scope = "FilterLogEvents/" + store_key(call.account, call.region, name);
  const size_t limit = q.limit ? static_cast<size_t>(*q.limit) : kMaxPageEvents;
  store::Logs::Query query{.group = store_key(call.account, call.region, name)};
  if (q.log_stream_names) {
    for (const auto& stream : *q.log_stream_names) TRY(need_stream(call, name, stream));
    query.streams = *q.log_stream_names;
  }
  query.start = std::max(q.start_time.value_or(0), horizon(group, call.now));
  if (q.end_time) query.end = *q.end_time == INT64_MAX ? INT64_MAX : *q.end_time + 1;  // inclusive here
  std::optional<Position> from;
  if (q.next_token) {
    from = TRY(unseal(scope, *q.next_token));
    query.start = std::max(query.start, from->time);
  }
  m::FilterLogEventsResponse out;
  out.events.emplace();
  out.searched_log_streams.emplace();
  size_t bytes = 0, scanned_events = 0;
  bool more = false;
  Position last;
  auto scanned = net::offload_result([&] {
    return logs_.scan(query, [&](const store::LogEvent& e) {
      if (from && std::pair(e.time, e.sequence) <= std::pair(from->time, from->sequence)) return true;
      if (scanned_events++ >= kMaxScanned || out.events->size() >= limit || bytes > kMaxPageBytes) {
        more = true;
        return false;
      }
      last = {e.time, e.sequence};
      if (q.log_stream_name_prefix && !e.stream.starts_with(*q.log_stream_name_prefix)) return true;
      if (!filter.matches(e.message)) return true;
      bytes += e.message.size() + kEventBytes;
      out.events->push_back(
          {e.stream, e.time, e.message, e.ingested, fmt::format("{:020}{:036}", e.time, e.sequence)});
      return true;
    });
  });
  TRY(std::move(scanned));
  if (more) out.next_token = seal(scope, last);
  return out;
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
void CloudWatchLogs::offer(aws::Registry& registry) {
  using aws::Target;
  using Targets = Result<std::vector<Target>>;
  auto group_target = [](const Call& call, const std::string& resource,
                         const std::map<std::string, std::string>& tags = {}) {
    Target t;
    t.resource = resource;
    for (const auto& [k, v] : tags) {
      t.context.emplace_back("aws:RequestTag/" + k, v);
      t.context.emplace_back("aws:TagKeys", k);
    }
    t.owner = call.account;
    return std::vector<Target>{std::move(t)};
  };
  auto on_group = [group_target](const Call& call, const auto& q) -> Targets {
    return group_target(call, group_arn(call, q.log_group_name) + ":log-stream:");
  };
  auto on_identified = [this, group_target](const Call& call, const auto& q) -> Targets {
    const std::string name = TRY(group_name(call, q.log_group_name, q.log_group_identifier));
    return group_target(call, group_arn(call, name) + ":log-stream:");
  };
  auto on_stream = [group_target](const Call& call, const auto& q) -> Targets {
    return group_target(call, group_arn(call, q.log_group_name) + ":log-stream:" + q.log_stream_name);
  };
  auto on_arn = [group_target](const Call& call, const auto& q) -> Targets {
    std::string arn = q.resource_arn;
    if (arn.ends_with(":*")) arn.resize(arn.size() - 2);
    return group_target(call, arn);
  };
  registry.add<op::CreateLogGroup>(this, &CloudWatchLogs::create_group,
                                   {"logs:CreateLogGroup", [group_target](auto& call, auto& q) -> Targets {
                                      return group_target(
                                          call, group_arn(call, q.log_group_name) + ":log-stream:",
                                          q.tags.value_or(std::map<std::string, std::string>{}));
                                    }});
  registry.add<op::DeleteLogGroup>(this, &CloudWatchLogs::delete_group, {"logs:DeleteLogGroup", on_group});
  registry.add<op::DescribeLogGroups>(
      this, &CloudWatchLogs::describe_groups,
      {"logs:DescribeLogGroups", [group_target](auto& call, auto&) -> Targets {
         return group_target(call, group_arn(call, "") + ":log-stream:");
       }});
  registry.add<op::CreateLogStream>(this, &CloudWatchLogs::create_stream,
                                    {"logs:CreateLogStream", on_stream});
  registry.add<op::DeleteLogStream>(this, &CloudWatchLogs::delete_stream,
                                    {"logs:DeleteLogStream", on_stream});
  registry.add<op::DescribeLogStreams>(this, &CloudWatchLogs::describe_streams,
                                       {"logs:DescribeLogStreams", on_identified});
  registry.add<op::PutLogEvents>(this, &CloudWatchLogs::put_events, {"logs:PutLogEvents", on_stream});
  registry.add<op::GetLogEvents>(
      this, &CloudWatchLogs::get_events,
      {"logs:GetLogEvents", [this, group_target](auto& call, auto& q) -> Targets {
         const std::string name = TRY(group_name(call, q.log_group_name, q.log_group_identifier));
         return group_target(call, group_arn(call, name) + ":log-stream:" + q.log_stream_name);
       }});
  registry.add<op::FilterLogEvents>(this, &CloudWatchLogs::filter_events,
                                    {"logs:FilterLogEvents", on_identified});
  registry.add<op::PutRetentionPolicy>(this, &CloudWatchLogs::put_retention,
                                       {"logs:PutRetentionPolicy", on_group});
  registry.add<op::DeleteRetentionPolicy>(this, &CloudWatchLogs::delete_retention,
                                          {"logs:DeleteRetentionPolicy", on_group});
  registry.add<op::TagResource>(this, &CloudWatchLogs::tag, {"logs:TagResource", on_arn});
  registry.add<op::UntagResource>(this, &CloudWatchLogs::untag, {"logs:UntagResource", on_arn});
  registry.add<op::ListTagsForResource>(this, &CloudWatchLogs::list_tags,
                                        {"logs:ListTagsForResource", on_arn});
  registry.add<op::TagLogGroup>(this, &CloudWatchLogs::tag_group, {"logs:TagLogGroup", on_group});
  registry.add<op::UntagLogGroup>(this, &CloudWatchLogs::untag_group, {"logs:UntagLogGroup", on_group});
  registry.add<op::ListTagsLogGroup>(this, &CloudWatchLogs::list_group_tags,
                                     {"logs:ListTagsLogGroup", on_group});
}

}  // namespace bastide::services
