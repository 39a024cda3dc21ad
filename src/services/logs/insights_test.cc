#include "services/logs/insights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

namespace bastide::services::insights {
namespace {

std::vector<Row> rows(const std::vector<std::string>& messages) {
  std::vector<Row> out;
  for (const auto& m : messages) {
    auto& r = out.emplace_back();
    r.time = 1'800'000'000'000 + static_cast<Millis>(out.size()) * kMinute;
    r.message = m;
    r.stream = "s";
  }
  return out;
}

// Rows as "a b|c d"; the error's message in brackets.
std::string shown(const std::string& text, const std::vector<std::string>& messages) {
  auto q = Query::parse(text);
  if (!q) return "(" + q.error().message + ")";
  Query::Run run(*q);
  for (auto& r : rows(messages)) {
    auto more = run.push(std::move(r));
    if (!more) return "(" + more.error().message + ")";
    if (!*more) break;
  }
  auto out = run.finish();
  if (!out) return "(" + out.error().message + ")";
  std::string s;
  for (const auto& r : out->rows) {
    if (!s.empty()) s += "|";
    std::string line;
    for (const auto& c : out->columns) line += (line.empty() ? "" : " ") + text_of(r.field(c));
    s += line;
  }
  return s;
}

const std::vector<std::string> kJson = {
    R"({"status":200,"path":"/a","ms":10,"user":{"name":"ann"},"ok":true})",
    R"({"status":500,"path":"/b","ms":30,"user":{"name":"bob"}})",
    R"({"status":200,"path":"/a","ms":20,"tags":["x","y"]})", R"({"status":404,"path":"/c","ms":5})",
    "plain text 42"};

TEST(Insights, AnswersWhatAwsDocuments) {
  const std::pair<const char*, const char*> kCases[] = {
      {"fields status, ms | filter status = 200", "200 10|200 20"},
      {"fields status | filter status >= 400 and ms > 6", "500"},
      {"fields ms | filter status in [404, 500] | sort ms asc", "5|30"},
      {"fields ms | filter status not in [404, 500] and ispresent(ms)", "10|20"},
      {"fields path | filter path like /^\\/[ab]$/ | sort path desc", "/b|/a|/a"},
      {"fields path | filter @message like 'bob'", "/b"},
      {"fields path | filter @message not like \"status\" and not ispresent(path)", ""},
      {"fields user.name as who | filter ispresent(who)", "ann|bob"},
      {"fields tags.1 as t | filter ispresent(tags.1)", "y"},
      {"fields ms * 2 + 1 as x | filter x > 40", "61|41"},
      {"fields concat(path, '-', status) as c | limit 1", "/a-200"},
      {"fields toupper(path) as p, strlen(path) as n | limit 1", "/A 2"},
      {"fields substr('hello', 1, 3) as s, replace('aXa', 'X', '-') as r | limit 1", "ell a-a"},
      {"fields greatest(ms, 12) as g, least(ms, 12) as l, abs(0 - ms) as a | limit 1", "12 10 10"},
      {"fields isIpInSubnet('10.1.2.3', '10.1.0.0/16') as s, isValidIp('nope') as v | limit 1", "1 0"},
      {"stats count(*) as n", "5"},
      {"stats count(*) as n by status | sort n desc, status asc | limit 2", "200 2|1"},
      {"stats avg(ms) as a, sum(ms) as s, min(ms) as lo, max(ms) as hi by path | sort path",
       "/a 15 30 10 20|/b 30 30 30 30|/c 5 5 5 5"},
      {"stats pct(ms, 50) as p, count_distinct(path) as d, median(ms) as m", "10 3 10"},
      {"stats sum(ms) / count(*) as mean by path | filter path = '/a'", "/a 15"},
      {"stats earliest(path) as e, latest(path) as l, sortsFirst(path) as f, sortsLast(path) as z",
       "/a /c /a /c"},
      {"stats count(*) as n by bin(5m) as t | stats max(n) as most", "4"},
      {"parse @message 'plain * *' as kind, n | filter ispresent(n) | display kind, n", "text 42"},
      {"parse @message /(?<word>[a-z]+) (?<n>\\d+)$/ | filter ispresent(word) | display word, n", "text 42"},
      {"fields status | dedup status | filter ispresent(status) | sort status", "200|404|500"},
      {"fields status | filter ok = 1", "200"},
      {"fields status # a remark\n| filter (status = 404 or status = 500) and not status = 500", "404"},
      {"fields `user.name` as n | filter n =~ /^b/", "bob"},
      {"sort ms desc | limit 1 | fields ms", "30"},
      {"stats count(nothing) as n", "0"},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(shown(text, kJson), expected) << text;
}

TEST(Insights, NonsenseIsRefusedWithAPosition) {
  for (const char* bad :
       {"fields", "filter status =", "stats", "stats status", "limit 0", "limit x", "foo bar", "fields a b",
        "filter (a", "parse @message 'a*b'", "parse @message 'a*b' as x, y", "fields nofunction(a)",
        "filter a like", "filter a like /(/", "stats bin(5x)", "fields count(*)", "unnest a", "fields 'a",
        "| |"}) {
    const auto q = Query::parse(bad);
    ASSERT_FALSE(q) << bad;
    EXPECT_EQ(q.error().code, "MalformedQueryException") << bad;
  }
  EXPECT_FALSE(Query::parse("filter " + std::string(5000, '(')));
  EXPECT_FALSE(Query::parse("fields " + std::string(3000, '-') + "1"));
}

TEST(Insights, GroupingWithoutBoundIsRefusedNotSwapped) {
  auto q = Query::parse("stats count(*) by id");
  Query::Run run(*q);
  Result<bool> more = true;
  for (int i = 0; i < 3'000'000 && more; ++i) {
    Row r;
    r.message = "{\"id\":\"" + std::to_string(i) + std::string(200, 'x') + "\"}";
    more = run.push(std::move(r));
  }
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, "LimitExceededException");
}

// Against an independent and slow evaluation of the same question.
TEST(Insights, AgreesWithASlowEvaluatorOnRandomLogs) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::string> messages;
    std::map<std::string, std::pair<int, double>> expected;
    for (int i = 0; i < 500; ++i) {
      const std::string path = "/" + std::string(1, static_cast<char>('a' + random() % 6));
      const int status = random() % 5 == 0 ? 500 : 200, ms = static_cast<int>(random() % 1000);
      messages.push_back("{\"path\":\"" + path + "\",\"status\":" + std::to_string(status) +
                         ",\"ms\":" + std::to_string(ms) + "}");
      if (status != 500 || ms <= 100) continue;
      expected[path].first += 1;
      expected[path].second = std::max(expected[path].second, static_cast<double>(ms));
    }
    std::string want;
    for (const auto& [path, e] : expected)
      want += (want.empty() ? "" : "|") + path + " " + std::to_string(e.first) + " " +
              std::to_string(static_cast<int>(e.second));
    EXPECT_EQ(
        shown("filter status = 500 and ms > 100 | stats count(*) as n, max(ms) as worst by path | sort path",
              messages),
        want)
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace bastide::services::insights
