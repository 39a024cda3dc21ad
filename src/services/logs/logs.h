// Amazon CloudWatch Logs: groups, streams, events, retention, filters.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/Welcome.html
//
// Groups and streams are metadata; events live in store::Logs. Operations run in fibers of control's loop and
// offload what reads or writes events. start() begins the job of retention on the current loop.
#pragma once

#include <map>
#include <string>

#include "aws/service.h"
#include "gen/logs.h"
#include "store/database.h"
#include "store/keyring.h"
#include "store/logs.h"

namespace bastide::services {

class LogMetrics;

class CloudWatchLogs {
 public:
  CloudWatchLogs(store::Database& database, store::Keyring& keyring, store::Logs& logs, Clock& clock);
  // Makes metrics of events that are put; before offer().
  void use_metrics(LogMetrics& metrics) { log_metrics_ = &metrics; }
  void offer(aws::Registry& registry);
  void start();

 private:
  using Call = aws::Call;
  struct Position {  // of an event in a group's order
    Millis time = 0;
    int64_t sequence = -1;
  };
  struct Stats {
    std::optional<Millis> first, last, ingested;
  };

  Result<std::string> group_name(const Call& call, const std::optional<std::string>& name,
                                 const std::optional<std::string>& identifier) const;
  Result<std::string> group_of_arn(const Call& call, const std::string& arn) const;
  Result<store::Resource> need_group(const Call& call, const std::string& name);
  Result<void> need_stream(const Call& call, const std::string& group, const std::string& stream);
  Result<void> change_group(const Call& call, const std::string& name,
                            const std::function<Result<void>(json::Value&)>& f);
  Result<Stats> stats(const Call& call, const std::string& group, const std::string& stream);
  Millis horizon(const store::Resource& group, Millis now) const;  // events before it have expired
  Result<std::optional<Millis>> run_retention(store::Job& job);
  std::string seal(const std::string& scope, const Position& p) const;
  Result<Position> unseal(const std::string& scope, const std::string& token) const;

#define LOGS_OPERATION(name, Op) \
  Result<model::logs::op::Op::Response> name(Call& call, const model::logs::op::Op::Request& request)
  LOGS_OPERATION(create_group, CreateLogGroup);
  LOGS_OPERATION(delete_group, DeleteLogGroup);
  LOGS_OPERATION(describe_groups, DescribeLogGroups);
  LOGS_OPERATION(create_stream, CreateLogStream);
  LOGS_OPERATION(delete_stream, DeleteLogStream);
  LOGS_OPERATION(describe_streams, DescribeLogStreams);
  LOGS_OPERATION(put_events, PutLogEvents);
  LOGS_OPERATION(get_events, GetLogEvents);
  LOGS_OPERATION(filter_events, FilterLogEvents);
  LOGS_OPERATION(put_retention, PutRetentionPolicy);
  LOGS_OPERATION(delete_retention, DeleteRetentionPolicy);
  LOGS_OPERATION(tag, TagResource);
  LOGS_OPERATION(untag, UntagResource);
  LOGS_OPERATION(list_tags, ListTagsForResource);
  LOGS_OPERATION(tag_group, TagLogGroup);
  LOGS_OPERATION(untag_group, UntagLogGroup);
  LOGS_OPERATION(list_group_tags, ListTagsLogGroup);
#undef LOGS_OPERATION

  store::Database& database_;
  store::Keyring& keyring_;
  store::Logs& logs_;
  Clock& clock_;
  LogMetrics* log_metrics_ = nullptr;
  std::map<std::string, Stats> stats_;  // by group key and stream
};

}  // namespace bastide::services
