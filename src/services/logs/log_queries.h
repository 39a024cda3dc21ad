// Insights queries of CloudWatch Logs: started, run in the background on threads of their own, asked for.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
//
// Results are kept for an hour in memory: a query of a control that ended is gone, and its id unknown.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "aws/service.h"
#include "gen/logs.h"
#include "model/body.h"
#include "services/logs/insights.h"
#include "store/database.h"
#include "store/keyring.h"
#include "store/logs.h"

namespace bastide::services {

class LogQueries {
 public:
  LogQueries(store::Database& database, store::Keyring& keyring, store::Logs& logs, Clock& clock);
  ~LogQueries();
  void offer(aws::Registry& registry);

 private:
  using Call = aws::Call;
  using Json = json::Value;
  struct Running;
  template <class Op, Result<Json> (LogQueries::*F)(Call&, const Json&)>
  Result<typename Op::Response> typed(Call& call, const typename Op::Request& request) {
    const Json body = TRY((this->*F)(call, model::request_body<Op>(request)));
    return model::response_of<Op>(body);
  }
  Result<Json> start_query(Call&, const Json&);
  Result<Json> stop_query(Call&, const Json&);
  Result<Json> get_results(Call&, const Json&);
  Result<Json> describe_queries(Call&, const Json&);
  Result<Json> put_definition(Call&, const Json&);
  Result<Json> describe_definitions(Call&, const Json&);
  Result<Json> delete_definition(Call&, const Json&);
  Result<Json> get_record(Call&, const Json&);
  Result<Json> get_fields(Call&, const Json&);

  void work();
  void run(Running& q);
  std::shared_ptr<Running> find(const Call& call, const std::string& id);
  void forget_old(Millis now);

  store::Database& database_;
  store::Keyring& keyring_;
  store::Logs& logs_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Running>> waiting_;
  std::map<std::string, std::shared_ptr<Running>> all_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace bastide::services
