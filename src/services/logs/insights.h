// Logs Insights: the query language, and its execution over a stream of events. Pure; memory is bounded.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
//
// Commands: fields, display, filter, stats, sort, limit, parse, dedup. The others are refused by name.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace bastide::services::insights {

struct V {  // nothing, a number, a time, or a text
  enum class Kind { none, number, time, text } kind = Kind::none;
  double number = 0;
  std::string text;
  static V of(double n) { return {Kind::number, n, {}}; }
  static V at(double ms) { return {Kind::time, ms, {}}; }
  static V of(std::string s) { return {Kind::text, 0, std::move(s)}; }
  bool none() const { return kind == Kind::none; }
};
std::optional<double> number_of(const V& v);  // a text that is a number counts
std::string text_of(const V& v);              // as results show it
int compare(const V& a, const V& b);          // numbers as numbers, else as texts
bool truth(const V& v);

// One event on its way. Fields of JSON messages are found when they are asked for.
struct Row {
  Millis time = 0, ingested = 0;
  std::string message, stream, log, ptr;
  bool event = true;              // not made by stats
  std::map<std::string, V> made;  // by fields, parse, stats
  mutable bool parsed = false;
  mutable std::optional<json::Value> body;

  V field(const std::string& name) const;
  size_t weight() const;
};

struct Node;

struct Output {
  std::vector<std::string> columns;
  std::vector<Row> rows;
};

class Query {
 public:
  // MalformedQueryException names the position.
  static Result<Query> parse(const std::string& text);
  ~Query();
  Query(Query&&) noexcept;
  Query& operator=(Query&&) noexcept;

  bool newest_first() const;  // no sort and no stats: the newest events are the answer
  size_t limit() const;       // rows of the answer

  // Begins an execution. push() says false when no more rows are wanted.
  class Run {
   public:
    explicit Run(const Query& query);
    ~Run();
    Result<bool> push(Row row);
    Result<Output> finish();
    int64_t matched() const;  // rows that came through the filters

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

 private:
  friend class Run;
  struct Stage;
  Query();
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<std::string> columns_;  // that are shown where no command says: @timestamp, @message
};

}  // namespace bastide::services::insights
