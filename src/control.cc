// Wires the role `control`: AWS's APIs, registry, git, pipeline, over one store, on one loop.
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <unistd.h>

#include <map>

#include "access/service.h"
#include "agent/balancer.h"
#include "agent/host.h"
#include "agent/tasks.h"
#include "aws/front.h"
#include "base/bytes.h"
#include "base/log.h"
#include "cli/context.h"
#include "console/console.h"
#include "delivery/git_http.h"
#include "delivery/image_build.h"
#include "delivery/pipeline.h"
#include "delivery/runner_sandboxes.h"
#include "delivery/service.h"
#include "edge_parts.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "roles.h"
#include "services/cloudformation/service.h"
#include "services/cloudwatch/cloudwatch.h"
#include "services/ec2/ec2.h"
#include "services/ec2/network_reconciler.h"
#include "services/ecr/distribution.h"
#include "services/ecr/ecr.h"
#include "services/ecs/ecs.h"
#include "services/ecs/runner_link.h"
#include "services/elbv2/edge_link.h"
#include "services/elbv2/elbv2.h"
#include "services/iam/bootstrap.h"
#include "services/iam/iam.h"
#include "services/kms/kms.h"
#include "services/logs/log_metrics.h"
#include "services/logs/log_queries.h"
#include "services/logs/logs.h"
#include "services/organizations/organizations.h"
#include "services/s3/s3.h"
#include "services/secretsmanager/secretsmanager.h"
#include "services/sns/sns.h"
#include "services/ssm/ssm.h"
#include "services/sts/sts.h"
#include "services/sts/web_keys.h"
#include "store/blobs.h"
#include "store/database.h"
#include "store/keyring.h"
#include "store/logs.h"
#include "store/metrics.h"
#include "sys/file.h"
#include "yaml/yaml.h"

namespace bastide {
namespace {

constexpr Millis kSession = kHour;
constexpr Millis kCollect = 5 * kSecond;
constexpr const char* kDefaultRegion = "us-east-1";
constexpr Millis kRenewOperator = 20 * kMinute;
constexpr const char* kOperatorRole = "BastideOperator";
constexpr const char* kOperatorService = "operator.bastide.amazonaws.com";
constexpr const char* kDeliveryService = "bastide.amazonaws.com";

struct Options {
  std::string home, program;
  std::string boot_helper;  // the static kmscrypt
  uint16_t api_port = 4566;
  sys::Fd api;
};

// What serve.yaml says of the way out; the file may be missing.
Result<services::EgressConfig> read_egress(const std::string& path) {
  if (!sys::exists(path)) return services::EgressConfig{};
  const auto text = TRY(sys::read_file(path, 1u << 20));
  const auto parsed = TRY(yaml::parse(text));
  const auto value = TRY(yaml::to_json(parsed));
  return services::egress_config(value);
}

class Control {
 public:
  static Result<std::unique_ptr<Control>> open(Options options);

  // On the loop.
  void start();
  void drain() { server_->drain(); }
  const aws::Registry& registry() const { return registry_; }

 private:
  Control(Options options, std::unique_ptr<store::Database> db, std::unique_ptr<store::Keyring> keyring,
          std::unique_ptr<store::Blobs> blobs, std::unique_ptr<store::ObjectData> objects, std::unique_ptr<store::Logs> log_store, std::unique_ptr<aws::AuditLog> audit,
          std::unique_ptr<store::Metrics> metrics, services::EgressConfig egress);

  void offer();
  void route();
  Result<void> renew_operator();
  Result<aws::Principal> assume(const std::string& role_arn, const std::string& session_name);
  Result<json::Value> host_status();
  Result<void> tell_runner(const char* kind, const json::Value& body);  // by a descriptor: of any size
  void collect();
  std::vector<store::MetricSample> collect_tasks(Millis now);

  Options options_;
  Clock& clock_ = Clock::system();
  Millis started_at_ = clock_.wall();
  std::string management_;  // account

  std::unique_ptr<store::Database> db_;
  std::unique_ptr<store::Keyring> keyring_;
  std::unique_ptr<store::Blobs> blobs_;
  std::unique_ptr<store::ObjectData> objects_;
  std::unique_ptr<store::Logs> log_store_;
  std::unique_ptr<aws::AuditLog> audit_;
  std::unique_ptr<store::Metrics> metrics_;
  services::Egress egress_;
  agent::Host host_;
  agent::Balancer balancer_;
  agent::Tasks tasks_;

  aws::Registry registry_;
  services::Iam iam_;
  services::Organizations organizations_;
  services::Sts sts_;
  services::WebKeys web_keys_;
  services::Acm acm_;
  AcmCertificates certificates_;
  services::Cloudfront cloudfront_;
  EdgeSessions sessions_;
  aws::Front front_;
  access::Access access_;
  services::Kms kms_;
  services::Ssm ssm_;
  services::SecretsManager secrets_;
  services::CloudWatchLogs logs_;
  services::LogMetrics log_metrics_;
  services::LogQueries log_queries_;
  services::CloudWatch cloudwatch_;
  services::Sns sns_;
  services::Ecr ecr_;
  services::Distribution distribution_;
  services::Ec2 ec2_;
  services::HealthBoard health_;
  services::Elbv2 elbv2_;
  services::EdgeLink edge_;
  services::ecs::RunnerLink runner_;
  services::NetworkReconciler networks_;
  services::Ecs ecs_;
  services::S3 s3_;
  services::Cloudformation cloudformation_;
  delivery::RunnerSandboxes sandboxes_;
  delivery::DockerfileBuilder images_;
  delivery::Pipeline pipeline_;
  delivery::GitHttp git_;
  delivery::Service delivery_;
  std::unique_ptr<net::HttpServer> server_;
  std::map<std::string, std::pair<aws::Principal, Millis>> assumed_;  // by role and session name
};

Result<std::unique_ptr<Control>> Control::open(Options options) {
  const std::string& home = options.home;
  auto keyring = TRY(store::Keyring::open(home + "/master.key", home + "/master.check"));
  auto db = TRY(store::Database::open(home + "/metadata.sqlite", Clock::system()));
  auto blobs = TRY(store::Blobs::open(home + "/blobs"));
  auto objects = TRY(store::ObjectData::open(home + "/objects"));
  auto logs = TRY(store::Logs::open(home + "/logs", Clock::system()));
  auto audit = TRY(aws::AuditLog::open(home + "/audit", Clock::system()));
  auto metrics = TRY(store::Metrics::open(home + "/metrics", Clock::system()));
  auto egress = TRY(read_egress(home + "/serve.yaml"));
  TRY(sys::make_folders(home + "/repositories"));
  std::unique_ptr<Control> control(new Control(std::move(options), std::move(db), std::move(keyring), std::move(blobs), std::move(objects),
                                               std::move(logs), std::move(audit), std::move(metrics), std::move(egress)));
  control->iam_.use_accounts(control->organizations_);
  control->management_ = TRY(services::bootstrap(*control->db_, Clock::system()));
  return control;
}

Control::Control(Options options, std::unique_ptr<store::Database> db, std::unique_ptr<store::Keyring> keyring,
                 std::unique_ptr<store::Blobs> blobs, std::unique_ptr<store::ObjectData> objects, std::unique_ptr<store::Logs> log_store, std::unique_ptr<aws::AuditLog> audit,
                 std::unique_ptr<store::Metrics> metrics, services::EgressConfig egress)
    : options_(std::move(options)),
      db_(std::move(db)),
      keyring_(std::move(keyring)),
      blobs_(std::move(blobs)),
      objects_(std::move(objects)),
      log_store_(std::move(log_store)),
      audit_(std::move(audit)),
      metrics_(std::move(metrics)),
      egress_(std::move(egress)),
      host_(options_.home),
      iam_(*db_, *keyring_, clock_),
      organizations_(*db_, clock_, iam_),
      sts_(*keyring_, clock_, iam_, iam_, &organizations_),
      web_keys_(options_.home + "/oidc.json", clock_),
      acm_({*db_, *keyring_, clock_, options_.home, certificate_users, services::kElbEdgeTopic, services::kCloudFrontTopic}),
      certificates_(acm_),
      cloudfront_({*db_, *keyring_, clock_, [this](const std::string& arn) { return acm_.certificate(arn); },
                   ::getenv("BASTIDE_PRIVATE_ORIGINS") != nullptr}),
      sessions_(sts_, cloudfront_),
      front_(registry_, sessions_, iam_, *audit_, clock_, {.local_endpoint = fmt::format("http://127.0.0.1:{}", options_.api_port)}),
      access_({*db_, front_.local(), iam_, iam_, sts_, sts_, iam_, clock_, options_.home + "/audit", [this] { return management_; }}),
      kms_(*db_, *keyring_, clock_),
      ssm_(*db_, *keyring_, front_.local()),
      secrets_(*db_, *keyring_, front_.local(), clock_),
      logs_(*db_, *keyring_, *log_store_, clock_),
      log_metrics_(*db_, *metrics_, clock_),
      log_queries_(*db_, *keyring_, *log_store_, clock_),
      cloudwatch_(*db_, *keyring_, *metrics_, front_.local(), clock_),
      sns_(*db_, *keyring_, clock_, egress_, fmt::format("http://127.0.0.1:{}", options_.api_port)),
      ecr_(*db_, *blobs_, *keyring_, clock_),
      distribution_(ecr_, services::Distribution::decide_with(iam_), clock_),
      ec2_(*db_),
      elbv2_(*db_, front_.local(), health_, &certificates_),
      edge_({*db_, *keyring_, front_.local(), health_, clock_, options_.home, &certificates_,
             [this](internal::EdgeSnapshot& snapshot) { return cloudfront_.add_to(snapshot); }, {services::kCloudFrontTopic},
             [this](const internal::EdgeSnapshot& snapshot) { cloudfront_.acknowledged(snapshot); },
             [this](const internal::AccessEntry& entry) { balancer_.add(entry); }}),
      runner_(options_.home + "/run/runner.sock"),
      networks_(*db_, [this](const internal::NetworkSpec& spec) { return runner_.ensure_network(spec); },
                [this](const std::string& account, const std::string& vpc) -> Result<void> {
                  TRY(runner_.call({json::object({{"kind", "network.remove"}, {"account", account}, {"vpc", vpc}}), {}}, kMinute));
                  return {};
                }),
      ecs_({*db_, *blobs_, *keyring_, front_.local(), clock_, runner_,
            [this](const std::string& role, const std::string& session) -> Result<services::ecs::RoleSession> {
              const auto c = TRY(sts_.mint_role_session(role, session, kSession, "ecs-tasks.amazonaws.com"));
              auto identity = TRY(sts_.identify(c.access_key_id, c.session_token));
              return services::ecs::RoleSession{std::move(identity.principal), c.access_key_id, c.secret_access_key, c.session_token, c.expires_at};
            },
            [this](net::Exchange& exchange) { front_.handle(exchange); }}),
      s3_({*db_, *keyring_, *objects_, front_.dispatch(), front_.local(), iam_, sts_, clock_}),
      cloudformation_(*db_, *keyring_, front_.local(), clock_),
      sandboxes_([this](net::Message request, Millis timeout) { return runner_.call(std::move(request), timeout); }, *blobs_),
      images_(front_.local(), *blobs_, sandboxes_, options_.home),
      pipeline_({*db_, front_.local(), sandboxes_, images_,
                 [this](const std::string& role, const std::string& session) { return assume(role, session); }, clock_,
                 options_.home + "/repositories",
                 options_.boot_helper}),
      git_(pipeline_, sts_, iam_, clock_),
      delivery_(pipeline_, front_.local(),
                [this](const std::string& role, const std::string& session) { return assume(role, session); }, clock_,
                [this] { return host_status(); }) {
  offer();
  route();
}

void Control::offer() {
  sts_.use_web_identities(iam_, web_keys_);
  sts_.use_grants(access_);
  access_.offer(registry_);
  iam_.offer(registry_);
  organizations_.offer(registry_);
  sts_.offer(registry_);
  kms_.offer(registry_);
  ssm_.offer(registry_);
  secrets_.offer(registry_);
  logs_.offer(registry_);
  logs_.use_metrics(log_metrics_);
  log_metrics_.offer(registry_);
  log_queries_.offer(registry_);
  cloudwatch_.offer(registry_);
  sns_.offer(registry_);
  ecr_.offer(registry_);
  ec2_.offer(registry_);
  elbv2_.offer(registry_);
  cloudfront_.offer(registry_);
  acm_.offer(registry_);
  ecs_.offer(registry_);
  s3_.offer(registry_);
  cloudformation_.offer(registry_);
  delivery_.offer(registry_);
}

void Control::route() {
  networks_.tell(
      [this](const internal::NetworkPolicy& policy) -> Result<void> {
        return tell_runner("network.policy", internal::to_json(policy));
      },
      [this](const std::vector<internal::NetworkPath>& paths) -> Result<void> {
        json::Array list;
        for (const auto& path : paths) list.push_back(internal::to_json(path));
        return tell_runner("network.paths", json::object({{"paths", std::move(list)}}));
      });
  front_.dispatch().set_sealer([this](const std::string& account, const json::Value& denial) {
    return sts_.encode_authorization_message(account, denial);
  });
  front_.body_limit("ecr", 32u << 20);
  front_.body_limit("logs", 8u << 20);
  front_.body_limit("s3", 4u << 20);
  front_.use_door("s3", s3_);
  front_.body_limit("cloudwatch", 2u << 20);
  front_.route("/console", [](net::Exchange& e) { console::handle(e); });
  front_.route("/sns", [this](net::Exchange& e) { sns_.handle(e); });
  front_.route("/v2", [this](net::Exchange& e) { distribution_.handle(e); });
  front_.route("/git", [this](net::Exchange& e) { git_.handle(e); });
  front_.route("/health", [](net::Exchange& e) {
    net::Response response;
    response.headers.add("Content-Type", "application/json");
    response.body = "{\"status\":\"ok\"}\n";
    if (const auto sent = e.respond(std::move(response)); !sent) log::debug("health: {}", sent.error().message);
  });
  runner_.on_other("sandbox.output", [this](const json::Value& body) -> Result<void> {
    sandboxes_.on_output(body.get("id"), body.get("text"));
    return {};
  });
}

void Control::start() {
  if (const auto ready = renew_operator(); !ready) log::error("operator.json: {}", ready.error().message);
  server_ = std::make_unique<net::HttpServer>([this](net::Exchange& e) { front_.handle(e); });
  server_->listen(std::move(options_.api));
  // Edge may stand in another network: its way to S3. Who comes is told by signatures, as on the port.
  if (auto socket = net::listen_unix(options_.home + "/s3.sock", 0666); socket) {
    server_->listen(std::move(*socket));
  } else {
    log::error("s3.sock: {}", socket.error().message);
  }
  if (const auto started = ecs_.start(); !started) log::error("ecs: {}", started.error().message);
  runner_.start();
  networks_.start();
  edge_.start();
  acm_.start();
  access_.start();
  kms_.start();
  secrets_.start();
  if (const auto started = ecr_.start(); !started) log::error("ecr: {}", started.error().message);
  logs_.start();
  s3_.start();
  cloudwatch_.start();
  sns_.start();
  net::spawn([this] { collect(); });
  cloudformation_.start();
  pipeline_.start();
  net::spawn([this] {
    for (;;) {
      net::sleep_for(kRenewOperator);
      if (const auto renewed = renew_operator(); !renewed) log::error("operator.json: {}", renewed.error().message);
    }
  });
  log::info("ready: management account {}", management_);
}

// The owner of the home acts through a role session in the management account, kept in a file that only the owner can
// read; no long-term key exists for it.
Result<void> Control::renew_operator() {
  const std::string arn = "arn:aws:iam::" + management_ + ":role/" + kOperatorRole;
  if (!TRY(iam_.role(arn))) {
    TRY(db_->write([this](store::Writer& writer) {
      return iam_.make_role(writer, management_,
                            {kOperatorRole,
                             fmt::format(R"({{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{}"}},"Action":"sts:AssumeRole"}}]}})", kOperatorService),
                             {"arn:aws:iam::aws:policy/AdministratorAccess"},
                             "Whoever owns the home of this Bastide"});
    }));
    iam_.changed();
  }
  const auto c = TRY(sts_.mint_role_session(arn, "operator", kSession, kOperatorService));
  return sys::write_file(options_.home + "/operator.json",
                         json::pretty(json::object({{"AccessKeyId", c.access_key_id},
                                                    {"SecretAccessKey", c.secret_access_key},
                                                    {"SessionToken", c.session_token},
                                                    {"Expiration", iso8601(c.expires_at)}})));
}

// The pipeline's role trusts delivery itself; every other role is assumed from there, as its trust policy allows.
Result<aws::Principal> Control::assume(const std::string& role_arn, const std::string& session_name) {
  auto& kept = assumed_[role_arn + "/" + session_name];
  if (kept.second > clock_.wall() + 10 * kMinute) {
    if (sts_.identify(kept.first.access_key_id, "")) return kept.first;
  }
  const auto plan = TRY(pipeline_.records().plan());
  aws::Credentials c;
  if (role_arn == plan.pipeline_role) {
    c = TRY(sts_.mint_role_session(role_arn, session_name, kSession, kDeliveryService));
  } else {
    const auto pipeline = TRY(assume(plan.pipeline_role, session_name));
    const auto answer = TRY(front_.local().call(pipeline, pipeline.account, plan.region, "sts", "AssumeRole",
                                                json::object({{"RoleArn", role_arn}, {"RoleSessionName", session_name}})));
    const json::Value* got = answer.find("Credentials");
    if (!got) return error("STS answered no credentials");
    c = {got->get("AccessKeyId"), got->get("SecretAccessKey"), got->get("SessionToken"), clock_.wall() + kSession};
  }
  auto identity = TRY(sts_.identify(c.access_key_id, c.session_token));
  assumed_[role_arn + "/" + session_name] = {identity.principal, c.expires_at};
  return identity.principal;
}

Result<void> Control::tell_runner(const char* kind, const json::Value& body) {
  sys::Fd fd(::memfd_create(kind, MFD_CLOEXEC));
  if (!fd) return sys::system_error("memfd");
  TRY(sys::write_all(fd.get(), json::print(body)));
  net::Message message{json::object({{"kind", kind}}), {}};
  message.fds.push_back(std::move(fd));
  TRY(runner_.call(std::move(message), kMinute));
  return {};
}

std::vector<store::MetricSample> Control::collect_tasks(Millis now) {
  json::Array usage;
  if (auto answer = runner_.call({json::object({{"kind", "task.usage"}}), {}}, 5 * kSecond)) usage = answer->body.get_array("tasks");
  std::vector<agent::TaskRow> rows;
  if (auto all = db_->list("*", "*", "ecs.task")) {
    for (auto& r : *all) rows.push_back({r.key.account, r.key.region, r.key.id, std::move(r.body)});
  }
  return tasks_.collect(rows, usage, now);
}

// The metrics of the platform itself, once a minute, in the account that they belong to.
void Control::collect() {
  Millis host_at = 0;
  for (;;) {
    net::sleep_for(kCollect);
    const Millis now = clock_.wall();
    auto samples = balancer_.take();
    if (now - host_at >= kMinute - kSecond) {
      host_at = now;
      const auto plan = pipeline_.records().plan();
      const std::string region = plan && !plan->region.empty() ? plan->region : kDefaultRegion;
      auto host = net::offload_result([&] { return host_.collect(management_, region, now); });
      samples.insert(samples.end(), std::make_move_iterator(host.begin()), std::make_move_iterator(host.end()));
      auto tasks = collect_tasks(now);
      samples.insert(samples.end(), std::make_move_iterator(tasks.begin()), std::make_move_iterator(tasks.end()));
    }
    if (samples.empty()) continue;
    const auto kept = net::offload_result([&] { return metrics_->append(std::move(samples)); });
    if (!kept) log::warn("metrics: {}", kept.error().message);
  }
}

Result<json::Value> Control::host_status() {
  json::Array components = {json::object({{"name", "control"}, {"state", "RUNNING"}, {"pid", int64_t{::getpid()}}})};
  components.push_back(json::object({{"name", "edge"}, {"state", edge_.acknowledged() > 0 ? "RUNNING" : "STARTING"},
                                     {"message", edge_.acknowledged() > 0 ? fmt::format("snapshot {}", edge_.acknowledged()) : "no snapshot acknowledged yet"}}));
  json::Value out = json::object({{"version", "0.1.0"}, {"startedAt", static_cast<double>(started_at_) / 1000}});
  const auto runner = runner_.call({json::object({{"kind", "status"}}), {}}, 5 * kSecond);
  components.push_back(json::object({{"name", "runner"}, {"state", runner ? "RUNNING" : "FAILED"}, {"message", runner ? "" : runner.error().message}}));
  json::Array notes;
  out["tier"] = runner ? runner->body.get("tier") : "unknown";
  if (runner) {
    for (const auto& g : runner->body.get_array("guarantees")) {
      notes.emplace_back(fmt::format("{} {}{}", g.get_bool("enforced") ? "enforced:    " : "NOT enforced:", g.get("name"),
                                     g.get("why").empty() ? "" : " (" + g.get("why") + ")"));
    }
  }
  struct stat serve {};
  const bool apart = ::stat((options_.home + "/run").c_str(), &serve) == 0 && serve.st_uid != ::geteuid();
  notes.emplace_back(apart ? fmt::format("enforced:     roles (control runs as user {}, edge as another one, neither as root; keys and metadata are control's alone)", ::geteuid())
                           : std::string("NOT enforced: roles (control, edge and runner run as the same user)"));
  out["tierNotes"] = std::move(notes);
  out["components"] = std::move(components);
  return out;
}

// The static kmscrypt beside this program; or a copy in the home, where its folder is closed to control's user.
Result<std::string> boot_helper(const Options& options, sys::Fd given) {
  const std::string beside = options.program.substr(0, options.program.rfind('/')) + "/kmscrypt/kmscrypt";
  if (!given || ::access(beside.c_str(), R_OK) == 0) return beside;
  constexpr size_t kMaxHelper = 64u << 20;
  const auto bytes = TRY(sys::read_all(given.get(), kMaxHelper));
  TRY(sys::make_folders(options.home + "/helpers"));
  TRY(sys::write_file(options.home + "/helpers/kmscrypt", bytes, 0755));
  return options.home + "/helpers/kmscrypt";
}

Result<int> run(cli::Context& context, const cli::Arguments& a) {
  log::init("control", a.flag("--debug"));
  Options options;
  options.home = context.home();
  options.program = context.program();
  options.boot_helper = TRY(boot_helper(options, sys::Fd(given_fd(a, "boot-helper"))));
  options.api = sys::Fd(given_fd(a, "api"));
  options.api_port = static_cast<uint16_t>(TRY(parse_int(a.get("--api-port"))));
  ::prctl(PR_SET_DUMPABLE, 0);  // no core dump with keys in it
  if (const int unlock = given_fd(a, "unlock"); unlock >= 0) ::setenv("BASTIDE_UNLOCK_FD", std::to_string(unlock).c_str(), 1);
  net::Loop loop;
  auto control = TRY(Control::open(std::move(options)));
  loop.on_signals({SIGTERM, SIGINT}, [&](auto&&...) {
    loop.spawn([&] {
      control->drain();
      loop.stop();
    });
  });
  loop.spawn([&] { control->start(); });
  loop.run();
  return 0;
}

// Operations that AWS answers to whoever has credentials at all.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html
bool needs_no_permission(const aws::Entry& e) {
  const std::string name = e.operation->name;
  return e.service == "sts" && (name == "GetCallerIdentity" || name == "GetSessionToken" || name == "GetAccessKeyInfo");
}

Result<int> list_operations(cli::Context& context, const cli::Arguments&) {
  char folder[] = "/tmp/bastide-operations-XXXXXX";
  if (!::mkdtemp(folder)) return error("no folder below /tmp");
  Options options;
  options.home = folder;
  options.program = context.program();
  net::Loop loop;
  int problems = 0;
  {
    const auto control = TRY(Control::open(std::move(options)));
    const aws::Registry& registry = control->registry();
    for (const auto* e : registry.all()) {
      const bool row = e->unauthenticated || !e->action.empty() || needs_no_permission(*e);
      fmt::print("{} {} {}\n", e->service, e->operation->name, e->unauthenticated ? "unauthenticated" : e->action.empty() ? "-" : e->action);
      if (row) continue;
      fmt::print(stderr, "{}.{} has no authorisation row\n", e->service, e->operation->name);
      ++problems;
    }
    for (const auto* service : model::services()) {
      for (const auto& name : registry.missing(*service)) {
        fmt::print(stderr, "{}.{} is listed in models/{}/implemented and registered by nobody\n", service->name, name, service->name);
        ++problems;
      }
    }
  }
  TRY(sys::remove_tree(folder));
  return problems == 0 ? 0 : 1;
}

}  // namespace

cli::Command control_command() {
  using cli::Option;
  return {"control", "The role that serve starts for APIs and state", "",
          {{"--fd", Option::Kind::values, "A descriptor, NAME=NUMBER"},
           {"--api-port", Option::Kind::value, "The API's port", "4566"},
           {"--https-port", Option::Kind::value, "The edge's port", "443"},
           {"--http-port", Option::Kind::value, "The edge's port", "80"},
           {"--debug", Option::Kind::flag, "Log more"}},
          run, true};
}

cli::Command operations_command() {
  return {"operations", "Lists every operation with its action", "", {}, list_operations, true};
}

}  // namespace bastide
