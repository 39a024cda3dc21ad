#include "services/logs/log_queries.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "aws/arn.h"
#include "aws/dispatch.h"
#include "base/bytes.h"
#include "net/loop.h"
#include "services/logs/keys.h"
#include "store/page.h"

namespace bastide::services {
namespace {

constexpr const char* kDefinitionKind = "logs.query-definition";
constexpr int kThreads = 2;
constexpr size_t kMaxAtOnce = 100;  // of an account, running or waiting
constexpr size_t kMaxKept = 1'000;
constexpr size_t kMaxGroups = 50;
constexpr Millis kKept = kHour;
constexpr Millis kTimeout = kHour;
constexpr size_t kMaxFields = 100;
constexpr size_t kSampled = 5'000;  // events that GetLogGroupFields looks at

Error no_query() { return fault("ResourceNotFoundException", "The specified query does not exist."); }

Millis in_millis(int64_t t) { return t < 100'000'000'000 ? t * kSecond : t; }

}  // namespace

struct LogQueries::Running {
  std::string id, account, region, user, text;
  std::vector<std::string> groups;
  insights::Query query;
  size_t limit = 10'000;
  Millis start = 0, end = 0, created = 0, ended = 0;
  std::map<std::string, Millis> horizons;  // by group: events before it have expired
  std::atomic<bool> cancelled = false;
  std::atomic<int64_t> scanned = 0, matched = 0, bytes = 0;
  std::atomic<const char*> status = "Scheduled";
  json::Value results = json::array();  // once it is Complete
  explicit Running(insights::Query q) : query(std::move(q)) {}
};

LogQueries::LogQueries(store::Database& database, store::Keyring& keyring, store::Logs& logs, Clock& clock)
    : database_(database), keyring_(keyring), logs_(logs), clock_(clock) {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

LogQueries::~LogQueries() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [id, q] : all_) q->cancelled = true;
  }
  wake_.notify_all();
  for (auto& t : threads_) t.join();
}

void LogQueries::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    auto q = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    run(*q);
    lock.lock();
  }
}

void LogQueries::run(Running& q) {
  if (q.cancelled) return;
  q.status = "Running";
  const Millis deadline = Clock::system().steady() + kTimeout;
  insights::Query::Run run(q.query);
  // The newest events of several groups are known once all were read: then nothing ends early.
  const bool newest = q.query.newest_first(), early = newest && q.groups.size() == 1;
  std::optional<Error> failed;
  bool timed_out = false;
  for (const auto& group : q.groups) {
    store::Logs::Query scan{.group = store_key(q.account, q.region, group)};
    scan.start = std::max(q.start, q.horizons[group]);
    scan.end = q.end;
    scan.newest_first = newest;
    const auto done = logs_.scan(scan, [&](const store::LogEvent& e) {
      if (q.cancelled) return false;
      const int64_t n = ++q.scanned;
      q.bytes += static_cast<int64_t>(e.message.size());
      if (n % 1024 == 0 && Clock::system().steady() > deadline) {
        timed_out = true;
        return false;
      }
      insights::Row row;
      row.time = e.time;
      row.ingested = e.ingested;
      row.message = e.message;
      row.stream = e.stream;
      row.log = q.account + ":" + group;
      row.ptr = json::print(json::array({group, e.stream, e.time, e.sequence}));
      auto more = run.push(std::move(row));
      q.matched = run.matched();
      if (!more) {
        failed = std::move(more).error();
        return false;
      }
      return *more || !early;
    });
    if (!done && !failed) failed = done.error();
    if (failed || q.cancelled || timed_out) break;
  }
  json::Value results = json::array();
  if (!failed && !q.cancelled && !timed_out) {
    auto out = run.finish();
    if (!out) {
      failed = std::move(out).error();
    } else {
      if (newest && !early)
        std::stable_sort(out->rows.begin(), out->rows.end(),
                         [](const auto& a, const auto& b) { return a.time > b.time; });
      for (auto& row : out->rows) {
        if (results.array().size() == q.limit) break;
        json::Value fields = json::array();
        for (const auto& column : out->columns) {
          const auto v = row.field(column);
          if (!v.none()) fields.push(json::object({{"field", column}, {"value", insights::text_of(v)}}));
        }
        if (row.event)
          fields.push(
              json::object({{"field", "@ptr"},
                            {"value", store::seal_page(keyring_, "GetLogRecord/" + q.account + "/" + q.region,
                                                       row.ptr)}}));
        results.push(std::move(fields));
      }
    }
  }
  const std::lock_guard lock(mutex_);
  q.ended = clock_.wall();
  q.results = std::move(results);
  q.status = q.cancelled ? "Cancelled" : timed_out ? "Timeout" : failed ? "Failed" : "Complete";
}

std::shared_ptr<LogQueries::Running> LogQueries::find(const Call& call, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto it = all_.find(id);
  if (it == all_.end() || it->second->account != call.account || it->second->region != call.region)
    return nullptr;
  return it->second;
}

void LogQueries::forget_old(Millis now) {
  std::erase_if(all_, [&](const auto& q) { return q.second->ended > 0 && now - q.second->ended > kKept; });
  while (all_.size() >= kMaxKept) {
    auto oldest = all_.end();
    for (auto it = all_.begin(); it != all_.end(); ++it) {
      if (it->second->ended > 0 && (oldest == all_.end() || it->second->ended < oldest->second->ended))
        oldest = it;
    }
    if (oldest == all_.end()) return;
    all_.erase(oldest);
  }
}

Result<json::Value> LogQueries::start_query(Call& call, const Json& q) {
  if (q.get("queryLanguage", "CWLI") != "CWLI")
    return bad_parameter("Only the query language CWLI is supported here");
  std::vector<std::string> groups;
  if (q.has("logGroupName")) groups.push_back(q.get("logGroupName"));
  for (const auto& g : q.get_array("logGroupNames")) groups.push_back(g.string());
  for (const auto& g : q.get_array("logGroupIdentifiers")) {
    std::string name = g.string();
    if (name.starts_with("arn:")) {
      const auto arn = aws::parse_arn(name);
      if (!arn || arn->account != call.account || arn->region != call.region ||
          !arn->resource.starts_with("log-group:"))
        return no_group();
      name = arn->resource.substr(10);
      if (name.ends_with(":*")) name.resize(name.size() - 2);
    }
    groups.push_back(std::move(name));
  }
  if (groups.empty()) return bad_parameter("A query needs a log group");
  if (groups.size() > kMaxGroups) return bad_parameter("A query reads at most 50 log groups");
  auto parsed = TRY(insights::Query::parse(q.get("queryString")));
  auto made = std::make_shared<Running>(std::move(parsed));
  made->start = in_millis(q.get_int("startTime"));
  made->end = in_millis(q.get_int("endTime")) + kSecond;  // inclusive, in seconds
  if (made->start >= made->end) return bad_parameter("startTime is after endTime");
  for (const auto& name : groups) {
    const auto row = TRY(database_.get(group_key(call, name)));
    if (!row) return no_group();
    if (const auto days = row->body.get_int("retention"); days > 0)
      made->horizons[name] = call.now - days * kDay;
  }
  made->id = aws::new_request_id();
  made->account = call.account;
  made->region = call.region;
  made->user = call.principal.arn;
  made->text = q.get("queryString");
  made->groups = std::move(groups);
  made->created = call.now;
  made->limit = static_cast<size_t>(std::clamp<int64_t>(q.get_int("limit", 10'000), 1, 10'000));
  {
    const std::lock_guard lock(mutex_);
    forget_old(call.now);
    const auto busy = std::count_if(all_.begin(), all_.end(), [&](const auto& a) {
      return a.second->account == call.account && a.second->ended == 0;
    });
    if (static_cast<size_t>(busy) >= kMaxAtOnce || all_.size() >= kMaxKept)
      return fault("LimitExceededException", "Account maximum query concurrency limit of 100 reached.");
    all_[made->id] = made;
    waiting_.push_back(made);
  }
  wake_.notify_one();
  return json::object({{"queryId", made->id}});
}

Result<json::Value> LogQueries::stop_query(Call& call, const Json& q) {
  const auto found = find(call, q.get("queryId"));
  if (!found) return no_query();
  const std::lock_guard lock(mutex_);
  if (found->ended > 0) return bad_parameter("Query is not in Running status");
  found->cancelled = true;
  if (std::erase(waiting_, found) > 0) {
    found->status = "Cancelled";
    found->ended = call.now;
  }
  return json::object({{"success", true}});
}

// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html
Result<json::Value> LogQueries::get_results(Call& call, const Json& q) {
  const auto found = find(call, q.get("queryId"));
  if (!found) return no_query();
  const std::lock_guard lock(mutex_);
  const std::string status = found->status.load();
  return json::object(
      {{"queryLanguage", "CWLI"},
       {"results", found->results},
       {"status", status},
       {"statistics", json::object({{"recordsMatched", static_cast<double>(found->matched)},
                                    {"recordsScanned", static_cast<double>(found->scanned)},
                                    {"bytesScanned", static_cast<double>(found->bytes)},
                                    {"logGroupsScanned", static_cast<double>(found->groups.size())}})}});
}

Result<json::Value> LogQueries::describe_queries(Call& call, const Json& q) {
  Json out = json::object({{"queries", json::array()}});
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Running>> all;
  for (const auto& [id, r] : all_) {
    if (r->account != call.account || r->region != call.region) continue;
    if (q.has("status") && q.get("status") != r->status.load()) continue;
    if (q.has("logGroupName") &&
        std::find(r->groups.begin(), r->groups.end(), q.get("logGroupName")) == r->groups.end())
      continue;
    all.push_back(r);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a->created > b->created; });
  for (const auto& r : all) {
    out["queries"].push(json::object({{"queryLanguage", "CWLI"},
                                      {"queryId", r->id},
                                      {"queryString", r->text},
                                      {"status", r->status.load()},
                                      {"createTime", r->created},
                                      {"logGroupName", r->groups.front()},
                                      {"queryDuration", r->ended > 0 ? r->ended - r->created : 0},
                                      {"bytesScanned", static_cast<double>(r->bytes)},
                                      {"userIdentity", r->user}}));
  }
  return out;
}

Result<json::Value> LogQueries::put_definition(Call& call, const Json& q) {
  TRY(insights::Query::parse(q.get("queryString")));
  const std::string id =
      q.get("queryDefinitionId").empty() ? aws::new_request_id() : q.get("queryDefinitionId");
  const store::Key key{call.account, call.region, kDefinitionKind, id};
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    const auto there = TRY(w.get(key));
    if (!there && q.has("queryDefinitionId"))
      return fault("ResourceNotFoundException", "The query definition does not exist.");
    Json body = q;
    body["queryDefinitionId"] = id;
    body["lastModified"] = call.now;
    return w.put(key, body);
  }));
  return json::object({{"queryDefinitionId", id}});
}
Result<json::Value> LogQueries::describe_definitions(Call& call, const Json& q) {
  Json out = json::object({{"queryDefinitions", json::array()}});
  for (const auto& r : TRY(database_.list(call.account, call.region, kDefinitionKind))) {
    if (r.body.get("name").starts_with(q.get("queryDefinitionNamePrefix")))
      out["queryDefinitions"].push(r.body);
  }
  return out;
}
Result<json::Value> LogQueries::delete_definition(Call& call, const Json& q) {
  bool there = false;
  TRY(database_.write([&](store::Writer& w) -> Result<void> {
    there = TRY(w.remove({call.account, call.region, kDefinitionKind, q.get("queryDefinitionId")}));
    return {};
  }));
  if (!there) return fault("ResourceNotFoundException", "The query definition does not exist.");
  return json::object({{"success", true}});
}

namespace {
void flatten(const json::Value& v, const std::string& path, json::Value& out) {
  if (out.is_object() && out.object().size() >= kMaxFields) return;
  if (v.is_object()) {
    for (const auto& [k, inner] : v.object()) flatten(inner, path.empty() ? k : path + "." + k, out);
  } else if (v.is_array()) {
    for (size_t i = 0; i < v.array().size(); ++i) flatten(v.array()[i], path + "." + std::to_string(i), out);
  } else if (!v.is_null()) {
    out[path] = v.is_string() ? v.string() : json::print(v);
  }
}
}  // namespace

Result<json::Value> LogQueries::get_record(Call& call, const Json& q) {
  const auto opened = store::open_page(keyring_, "GetLogRecord/" + call.account + "/" + call.region,
                                       q.get("logRecordPointer"));
  if (!opened) return bad_parameter("The log record pointer is not valid.");
  const auto ptr = TRY(json::parse(*opened));
  const auto& p = ptr.array();
  store::Logs::Query scan{.group = store_key(call.account, call.region, p[0].string()),
                          .streams = {p[1].string()}};
  scan.start = p[2].integer();
  scan.end = scan.start + 1;
  Json record;
  auto scanned = net::offload_result([&] {
    return logs_.scan(scan, [&](const store::LogEvent& e) {
      if (e.sequence != p[3].integer()) return true;
      record = json::object();
      if (const auto body = json::parse(e.message); body && body->is_object()) flatten(*body, "", record);
      record["@message"] = e.message;
      record["@timestamp"] = std::to_string(e.time);
      record["@ingestionTime"] = std::to_string(e.ingested);
      record["@logStream"] = e.stream;
      record["@log"] = call.account + ":" + p[0].string();
      return false;
    });
  });
  TRY(std::move(scanned));
  if (record.is_null()) return fault("ResourceNotFoundException", "The log record does not exist.");
  return json::object({{"logRecord", std::move(record)}});
}

Result<json::Value> LogQueries::get_fields(Call& call, const Json& q) {
  std::string name = q.has("logGroupName") ? q.get("logGroupName") : q.get("logGroupIdentifier");
  if (name.starts_with("arn:")) {
    const size_t at = name.find(":log-group:");
    name = at == std::string::npos ? "" : name.substr(at + 11);
    if (name.ends_with(":*")) name.resize(name.size() - 2);
  }
  const auto there = TRY(database_.get(group_key(call, name)));
  if (!there) return no_group();
  const Millis middle = q.has("time") ? in_millis(q.get_int("time")) : call.now - 15 * kMinute;
  store::Logs::Query scan{.group = store_key(call.account, call.region, name)};
  scan.start = q.has("time") ? middle - 8 * kMinute : middle;
  scan.end = q.has("time") ? middle + 8 * kMinute : INT64_MAX;
  scan.newest_first = true;
  std::map<std::string, int64_t> counts;
  int64_t events = 0;
  auto scanned = net::offload_result([&] {
    return logs_.scan(scan, [&](const store::LogEvent& e) {
      if (static_cast<size_t>(events) == kSampled) return false;
      ++events;
      const auto body = json::parse(e.message);
      if (!body || !body->is_object()) return true;
      Json flat = json::object();
      flatten(*body, "", flat);
      for (const auto& [k, v] : flat.object()) {
        if (counts.size() < 1000 || counts.contains(k)) ++counts[k];
      }
      return true;
    });
  });
  TRY(std::move(scanned));
  Json out = json::array();
  if (events > 0) {
    for (const char* always : {"@ingestionTime", "@log", "@logStream", "@message", "@timestamp"})
      out.push(json::object({{"name", always}, {"percent", 100}}));
    for (const auto& [k, n] : counts) out.push(json::object({{"name", k}, {"percent", 100 * n / events}}));
  }
  return json::object({{"logGroupFields", std::move(out)}});
}

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
void LogQueries::offer(aws::Registry& r) {
  namespace op = model::logs::op;
  using Targets = Result<std::vector<aws::Target>>;
  auto group_target = [](const Call& call, const std::string& name) {
    aws::Target t;
    t.resource = name.starts_with("arn:") ? name : group_arn(call, name) + ":log-stream:";
    return t;
  };
#define ADD(Op, function, ...) \
  r.add<op::Op>(this, &LogQueries::typed<op::Op, &LogQueries::function>, __VA_ARGS__)
  ADD(StartQuery, start_query,
      {"logs:StartQuery", [group_target](const Call& call, const auto& q) -> Targets {
         std::vector<aws::Target> out;
         if (q.log_group_name) out.push_back(group_target(call, *q.log_group_name));
         for (const auto* names : {&q.log_group_names, &q.log_group_identifiers}) {
           if (!*names) continue;
           for (const auto& n : **names) out.push_back(group_target(call, n));
         }
         if (out.empty()) out.push_back(group_target(call, ""));
         return out;
       }});
  ADD(StopQuery, stop_query, {"logs:StopQuery"});
  ADD(GetQueryResults, get_results, {"logs:GetQueryResults"});
  ADD(DescribeQueries, describe_queries, {"logs:DescribeQueries"});
  ADD(PutQueryDefinition, put_definition, {"logs:PutQueryDefinition"});
  ADD(DescribeQueryDefinitions, describe_definitions, {"logs:DescribeQueryDefinitions"});
  ADD(DeleteQueryDefinition, delete_definition, {"logs:DeleteQueryDefinition"});
  ADD(GetLogRecord, get_record, {"logs:GetLogRecord"});
  ADD(GetLogGroupFields, get_fields,
      {"logs:GetLogGroupFields", [group_target](const Call& call, const auto& q) -> Targets {
         return std::vector<aws::Target>{
             group_target(call, q.log_group_name ? *q.log_group_name : q.log_group_identifier.value_or(""))};
       }});
#undef ADD
}

}  // namespace bastide::services
