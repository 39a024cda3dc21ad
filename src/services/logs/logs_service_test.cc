#include <gtest/gtest.h>

#include "net/test_loop.h"
#include "services/logs/filter.h"
#include "services/logs/log_metrics.h"
#include "services/logs/logs.h"
#include "sys/file.h"

namespace bastide::services {
namespace {

namespace m = model::logs;
namespace op = model::logs::op;

class LogsServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bastide-cwl-XXXXXX";
    path_ = ::mkdtemp(name);
    db_ = store::Database::open(path_ + "/db", clock_).value();
    ring_ = store::Keyring::open(path_ + "/key", path_ + "/check").value();
    logs_ = store::Logs::open(path_ + "/logs", clock_).value();
    service_ = std::make_unique<CloudWatchLogs>(*db_, *ring_, *logs_, clock_);
    service_->offer(registry_);
  }
  void TearDown() override {
    service_.reset();
    logs_.reset();
    db_.reset();
    EXPECT_TRUE(sys::remove_tree(path_));
  }
  template <class Op>
  Result<typename Op::Response> run(const typename Op::Request& q) {
    aws::Call c;
    c.principal = aws::Principal::root("111111111111");
    c.account = "111111111111";
    c.region = "eu-central-1";
    c.operation = Op::operation.name;
    c.now = clock_.wall();
    const auto* entry = registry_.find("logs", Op::operation.name);
    if (!entry) return error("not offered");
    TRY(entry->targets(c, &q));
    typename Op::Response out;
    TRY(entry->run(c, &q, &out));
    return out;
  }
  void make_stream() {
    m::CreateLogGroupRequest g;
    g.log_group_name = "/app";
    ASSERT_TRUE(run<op::CreateLogGroup>(g));
    ASSERT_TRUE(run<op::CreateLogStream>({"/app", "s"}));
  }
  Result<m::PutLogEventsResponse> put(std::vector<m::InputLogEvent> events, const std::string& stream = "s") {
    m::PutLogEventsRequest q;
    q.log_group_name = "/app";
    q.log_stream_name = stream;
    q.log_events = std::move(events);
    return run<op::PutLogEvents>(q);
  }
  m::GetLogEventsRequest get() {
    m::GetLogEventsRequest q;
    q.log_group_name = "/app";
    q.log_stream_name = "s";
    return q;
  }
  std::string path_;
  ManualClock clock_{1'800'000'000'000};
  std::unique_ptr<store::Database> db_;
  std::unique_ptr<store::Keyring> ring_;
  std::unique_ptr<store::Logs> logs_;
  std::unique_ptr<CloudWatchLogs> service_;
  aws::Registry registry_;
};

TEST_F(LogsServiceTest, EventsAreReadBackForwardsAndBackwards) {
  make_stream();
  const Millis now = clock_.wall();
  std::vector<m::InputLogEvent> events;
  for (int i = 0; i < 10; ++i) events.push_back({now + i, "line " + std::to_string(i)});
  ASSERT_TRUE(put(events));
  auto q = get();
  q.limit = 4;
  auto page = run<op::GetLogEvents>(q);
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->events->size(), 4u);
  EXPECT_EQ(*page->events->at(0).message, "line 6");
  q.next_token = page->next_backward_token;
  page = run<op::GetLogEvents>(q);
  EXPECT_EQ(*page->events->at(0).message, "line 2");
  q.next_token = page->next_forward_token;
  page = run<op::GetLogEvents>(q);
  EXPECT_EQ(*page->events->at(0).message, "line 6");
  q.next_token = page->next_forward_token;
  page = run<op::GetLogEvents>(q);
  EXPECT_EQ(page->events->size(), 0u);
  EXPECT_EQ(*page->next_forward_token, *q.next_token);
  ASSERT_TRUE(put({{now + 20, "later"}}));
  page = run<op::GetLogEvents>(q);
  ASSERT_EQ(page->events->size(), 1u);
  EXPECT_EQ(*page->events->at(0).message, "later");
  q = get();
  q.start_from_head = true;
  EXPECT_EQ(*run<op::GetLogEvents>(q)->events->at(0).message, "line 0");
}

TEST_F(LogsServiceTest, PutKeepsAwsRules) {
  make_stream();
  const Millis now = clock_.wall();
  EXPECT_EQ(put({{now, "b"}, {now - 1, "a"}}).error().code, "InvalidParameterException");
  EXPECT_EQ(put({{now - 25 * kHour, "a"}, {now, "b"}}).error().code, "InvalidParameterException");
  EXPECT_EQ(put({{now, std::string(1'048'576, 'x')}}).error().code, "InvalidParameterException");
  EXPECT_EQ(put({{now, "x"}}, "none").error().code, "ResourceNotFoundException");
  const auto r = put({{now - 15 * kDay, "old"}, {now, "fine"}, {now + 3 * kHour, "new"}});
  ASSERT_TRUE(r);
  EXPECT_EQ(*r->rejected_log_events_info->too_old_log_event_end_index, 1);
  EXPECT_EQ(*r->rejected_log_events_info->too_new_log_event_start_index, 2);
  EXPECT_EQ(run<op::GetLogEvents>(get())->events->size(), 1u);
}

TEST_F(LogsServiceTest, RetentionHidesAndRejectsExpiredEvents) {
  make_stream();
  const Millis now = clock_.wall();
  ASSERT_TRUE(put({{now - 2 * kDay, "old"}}));
  ASSERT_TRUE(put({{now, "fresh"}}));
  EXPECT_EQ(run<op::PutRetentionPolicy>({"/app", 2}).error().code, "InvalidParameterException");
  ASSERT_TRUE(run<op::PutRetentionPolicy>({"/app", 1}));
  EXPECT_EQ(run<op::GetLogEvents>(get())->events->size(), 1u);
  EXPECT_EQ(*put({{now - 2 * kDay, "old"}})->rejected_log_events_info->expired_log_event_end_index, 1);
  EXPECT_EQ(*run<op::DescribeLogGroups>({})->log_groups->at(0).retention_in_days, 1);
  ASSERT_TRUE(run<op::DeleteRetentionPolicy>({"/app"}));
  EXPECT_EQ(run<op::GetLogEvents>(get())->events->size(), 2u);
}

TEST_F(LogsServiceTest, FilterPagesOverAllStreams) {
  make_stream();
  ASSERT_TRUE(run<op::CreateLogStream>({"/app", "t"}));
  const Millis now = clock_.wall();
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(put({{now + i, i % 2 ? "ERROR x" : "ok x"}}, i < 3 ? "s" : "t"));
  m::FilterLogEventsRequest q;
  q.log_group_name = "/app";
  q.filter_pattern = "ERROR";
  q.limit = 2;
  auto page = run<op::FilterLogEvents>(q);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->events->size(), 2u);
  ASSERT_TRUE(page->next_token || page->events->size() == 2);
  q.next_token = page->next_token;
  page = run<op::FilterLogEvents>(q);
  ASSERT_EQ(page->events->size(), 1u);
  EXPECT_EQ(*page->events->at(0).log_stream_name, "t");
  EXPECT_FALSE(page->next_token);
  q = {};
  q.log_group_name = "/app";
  q.filter_pattern = "[a, b";
  EXPECT_EQ(run<op::FilterLogEvents>(q).error().code, "InvalidParameterException");
}

TEST_F(LogsServiceTest, DeletedThingsComeBackEmpty) {
  make_stream();
  ASSERT_TRUE(put({{clock_.wall(), "x"}}));
  ASSERT_TRUE(run<op::DeleteLogGroup>({"/app"}));
  EXPECT_EQ(run<op::GetLogEvents>(get()).error().code, "ResourceNotFoundException");
  make_stream();
  EXPECT_EQ(run<op::GetLogEvents>(get())->events->size(), 0u);
  m::CreateLogGroupRequest again;
  again.log_group_name = "/app";
  EXPECT_EQ(run<op::CreateLogGroup>(again).error().code, "ResourceAlreadyExistsException");
  m::DescribeLogStreamsRequest q;
  q.log_group_name = "/app";
  ASSERT_TRUE(put({{clock_.wall(), "x"}}));
  EXPECT_EQ(*run<op::DescribeLogStreams>(q)->log_streams->at(0).last_event_timestamp, clock_.wall());
}

TEST(LogFilter, TermsAndJson) {
  struct Case {
    const char* pattern;
    const char* message;
    bool matches;
  };
  const Case cases[] = {
      {"", "anything", true},
      {"ERROR", "an ERROR here", true},
      {"ERROR", "an error here", false},
      {"a b", "b then a", true},
      {"a b", "only a", false},
      {"?x ?y", "has y", true},
      {"?x ?y", "has z", false},
      {"ok -debug", "ok", true},
      {"ok -debug", "ok debug", false},
      {"\"two words\"", "here two words are", true},
      {"\"two words\"", "two  words", false},
      {"{ $.a = \"x*\" }", R"({"a":"xyz"})", true},
      {"{ $.a = x }", R"({"a":"xyz"})", false},
      {"{ $.a.b[1] >= 2 && $.c IS NULL }", R"({"a":{"b":[1,2]},"c":null})", true},
      {"{ $.a = 1 || $.b = 2 && $.c = 3 }", R"({"a":1})", true},
      {"{ ($.a = 1 || $.b = 2) && $.c = 3 }", R"({"a":1})", false},
      {"{ $.a NOT EXISTS }", R"({"b":1})", true},
      {"{ $.a IS TRUE }", R"({"a":true})", true},
      {"{ $.a != 1 }", R"({"a":2})", true},
      {"{ $.n > 1e3 }", R"({"n":1001})", true},
      {"{ $.a = 1 }", "not json", false},
      {"%ab+c%", "xabbbcx", true},
      {"%ab+c%", "xacx", false},
      {"ok -%err[0-9]%", "ok err7", false},
      {"{ $.a = %^x[0-9]$% }", R"({"a":"x7"})", true},
      {"[ip, user, status]", "1.2.3.4 bob 200", true},
      {"[ip, user, status]", "1.2.3.4 bob 200 more", false},
      {"[ip, ..., status=5*]", "1.2.3.4 - [22/Nov/2026 19:00] \"GET / HTTP/1.1\" 503", true},
      {"[ip, ..., status=5*]", "1.2.3.4 - 200", false},
      {"[..., status=404||status=410, bytes>1000]", "x y 410 2000", true},
      {"[..., status=404||status=410, bytes>1000]", "x y 410 20", false},
      {"[a=1*2&&a!=1x2, b]", "1x2 b", false},
      {"[w=%^7%, b]", "77 b", true},
  };
  for (const auto& c : cases) {
    const auto f = LogFilter::parse(c.pattern);
    ASSERT_TRUE(f) << c.pattern << f.error().message;
    EXPECT_EQ(f->matches(c.message), c.matches) << c.pattern << " on " << c.message;
  }
  for (const char* bad :
       {"a.b", "\"open", "[x", "[a,,b]", "[a>x]", "[a, ..., ...]", "%(re)%", "%re", "{ $.a }", "{ $.a = }", "{ $.a = 1", "{ $.a > x }", "{}", "-"}) {
    const auto f = LogFilter::parse(bad);
    ASSERT_FALSE(f) << bad;
    EXPECT_EQ(f.error().code, "InvalidParameterException");
  }
}

TEST(LogMetrics, EmbeddedMetricsBecomeSamples) {
  const Millis now = 1'800'000'000'000;
  const std::string message = R"({"_aws":{"Timestamp":1800000000000,"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[["App"],["App","Zone"],["Nobody"]],
      "Metrics":[{"Name":"Latency","Unit":"Milliseconds"},{"Name":"Many"},{"Name":"Missing"}]}]},"App":"web","Zone":"a","Latency":12.5,"Many":[1,2,3]})";
  const auto samples = emf_samples(message, "111111111111", "us-east-1", 0, now);
  ASSERT_EQ(samples.size(), 4u);  // two metrics for each set of dimensions that is whole
  EXPECT_EQ(samples[0].name.name, "Latency");
  EXPECT_EQ(samples[0].name.unit, "Milliseconds");
  EXPECT_EQ(samples[0].cell.sum, 12.5);
  EXPECT_EQ(samples[1].cell.count, 3);
  EXPECT_EQ(samples[3].name.dimensions.size(), 2u);
  for (const char* none : {"{}", "plain", R"({"_aws":1})", R"({"_aws":{"CloudWatchMetrics":[{"Namespace":"AWS/ECS","Metrics":[{"Name":"x"}]}]},"x":1})",
                           R"({"_aws":{"CloudWatchMetrics":[{"Namespace":"N","Metrics":[{"Name":"x"}]}]},"x":"1"})"}) {
    EXPECT_TRUE(emf_samples(none, "1", "r", now, now).empty()) << none;
  }
}

}  // namespace
}  // namespace bastide::services
