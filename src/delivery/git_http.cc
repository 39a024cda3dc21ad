#include "delivery/git_http.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "aws/git_credentials.h"
#include "delivery/pkt_line.h"
#include "net/loop.h"
#include "sys/file.h"

namespace bastide::delivery {
namespace {

constexpr int64_t kMaxPush = int64_t{2} << 30;
constexpr size_t kMaxCommandBytes = 1u << 20;
constexpr size_t kMaxReport = 4u << 20;
constexpr Millis kGitPatience = 10 * kMinute;

Result<void> answer(net::Exchange& exchange, int status, const std::string& text) {
  net::Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.headers.add("Cache-Control", "no-cache");
  if (status == 401) response.headers.add("WWW-Authenticate", "Basic realm=\"bastide\"");
  response.body = text + "\n";
  return exchange.respond(std::move(response));
}

Result<sys::Fd> temporary(const std::string& folder) {
  sys::Fd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) return sys::system_error("temporary file");
  return fd;
}

Result<void> rewind(const sys::Fd& fd) {
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return sys::system_error("lseek");
  return {};
}

// The request's body in a file, at its start; gzip is undone (git compresses long requests).
Result<sys::Fd> spool_body(net::Exchange& exchange, const std::string& folder) {
  sys::Fd file = TRY(temporary(folder));
  const bool gzip = iequals(exchange.request().headers.get("Content-Encoding"), "gzip");
  z_stream z{};
  if (gzip && inflateInit2(&z, 15 + 16) != Z_OK) return error("inflateInit2");
  const auto outcome = [&]() -> Result<void> {
    std::vector<char> in(1 << 16), out(1 << 16);
    int64_t total = 0;
    for (;;) {
      const size_t n = TRY(exchange.read_some(in.data(), in.size()));
      if (n == 0) return {};
      if (!gzip) {
        if ((total += static_cast<int64_t>(n)) > kMaxPush) return error("TooLarge", "a push of more than 2 GiB");
        TRY(sys::write_all(file.get(), {in.data(), n}));
        continue;
      }
      z.next_in = reinterpret_cast<Bytef*>(in.data());
      z.avail_in = static_cast<uInt>(n);
      do {
        z.next_out = reinterpret_cast<Bytef*>(out.data());
        z.avail_out = static_cast<uInt>(out.size());
        const int state = inflate(&z, Z_NO_FLUSH);
        if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) return error("Invalid", "a broken gzip body");
        const size_t produced = out.size() - z.avail_out;
        if ((total += static_cast<int64_t>(produced)) > kMaxPush) return error("TooLarge", "a push of more than 2 GiB");
        TRY(sys::write_all(file.get(), {out.data(), produced}));
        if (state == Z_STREAM_END) break;
      } while (z.avail_out == 0 || z.avail_in > 0);
    }
  }();
  if (gzip) inflateEnd(&z);
  TRY(outcome);
  TRY(rewind(file));
  return file;
}

// "/git/<app>.git/<rest>"
struct GitPath {
  std::string app, rest;
};
std::optional<GitPath> parse_path(std::string_view path) {
  if (!path.starts_with("/git/")) return std::nullopt;
  path.remove_prefix(5);
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::string_view app = path.substr(0, slash);
  if (app.ends_with(".git")) app.remove_suffix(4);
  return GitPath{std::string(app), std::string(path.substr(slash + 1))};
}

void add_protocol(sys::Command& command, const net::Request& request) {
  const std::string protocol = request.headers.get("Git-Protocol");
  if (!protocol.empty() && protocol.size() < 64 && protocol.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789=:") == std::string::npos) {
    command.env.push_back("GIT_PROTOCOL=" + protocol);
  }
}

}  // namespace

void GitHttp::handle(net::Exchange& exchange) {
  const auto& request = exchange.request();
  const auto path = parse_path(request.raw_path());
  const auto form = net::parse_form(request.raw_query());
  const auto outcome = [&]() -> Result<void> {
    if (!path) return answer(exchange, 404, "no such repository");
    if (request.method == "GET" && path->rest == "info/refs") {
      std::string service;
      if (form) {
        for (const auto& [name, value] : *form) {
          if (name == "service") service = value;
        }
      }
      if (service != "git-upload-pack" && service != "git-receive-pack") {
        return answer(exchange, 403, "only git's smart HTTP protocol is spoken here");
      }
      const auto access = admit(exchange, path->app, service == "git-receive-pack");
      return access ? advertise(exchange, *access, service) : Result<void>{};
    }
    if (request.method == "POST" && (path->rest == "git-upload-pack" || path->rest == "git-receive-pack")) {
      const bool push = path->rest == "git-receive-pack";
      const auto access = admit(exchange, path->app, push);
      if (!access) return {};
      return push ? receive_pack(exchange, *access) : upload_pack(exchange, *access);
    }
    return answer(exchange, 404, "no such page of a repository");
  }();
  if (!outcome && outcome.error().code != "Closed") log::warn("git {}: {}", request.raw_path(), outcome.error().message);
}

std::optional<GitHttp::Access> GitHttp::admit(net::Exchange& exchange, const std::string& app, bool push) {
  const auto refuse = [&](int status, const std::string& text) {
    if (const auto sent = answer(exchange, status, text); !sent) log::debug("git: {}", sent.error().message);
    return std::optional<Access>{};
  };
  const auto& request = exchange.request();
  const std::string* header = request.headers.find("Authorization");
  if (!header) return refuse(401, "sign in with 'bastide git-credential' as git's credential helper");
  const auto user = aws::parse_basic_login(*header);
  if (!user) return refuse(401, user.error().message);
  auto identity = credentials_.identify(user->access_key, user->session_token);
  if (!identity) return refuse(401, identity.error().message);

  auto plan = pipeline_.records().plan();
  if (!plan) return refuse(404, plan.error().message);
  const std::string host = request.host.substr(0, request.host.rfind(':'));
  std::string repository_path(request.raw_path());
  repository_path = repository_path.substr(0, repository_path.find('/', 5));
  if (!aws::verify_git(*user, identity->secret_access_key, plan->region, host, repository_path, clock_.wall())) {
    return refuse(401, "the login's signature does not match this repository, or is older than 15 minutes");
  }
  aws::Call call;
  call.principal = identity->principal;
  call.account = identity->principal.account;
  call.region = plan->region;
  call.service = "codecommit";
  call.operation = push ? "GitPush" : "GitPull";
  call.source_ip = request.peer.substr(0, request.peer.rfind(':'));
  call.secure = request.tls;
  call.now = clock_.wall();
  aws::Target target;
  target.action = push ? "codecommit:GitPush" : "codecommit:GitPull";
  target.resource = fmt::format("arn:aws:codecommit:{}:{}:{}", plan->region, plan->account, app);
  target.owner = plan->account;
  const auto policies = policies_.policies_of(identity->principal);
  if (!policies) return refuse(500, "the policies of this principal cannot be read");
  const auto decision = aws::decide(call, target, **policies);
  if (!decision.allowed) return refuse(403, decision.message);

  Access access{identity->principal, std::move(*plan), nullptr};
  if (!access.plan.app(app)) {
    std::vector<std::string> names;
    for (const auto& a : access.plan.apps) names.push_back(a.name);
    const std::string probable = closest(app, names);
    return refuse(404, fmt::format("the architecture '{}' has no app '{}'{}", access.plan.name, app,
                                   probable.empty() ? "" : "; did you mean '" + probable + "'?"));
  }
  std::optional<Access> out(std::move(access));
  out->app = out->plan.app(app);
  return out;
}

Result<void> GitHttp::advertise(net::Exchange& exchange, const Access& access, const std::string& service) {
  const auto repository = TRY(pipeline_.repository(access.plan, access.app->name));
  auto command = repository.command({service.substr(4), "--stateless-rpc", "--http-backend-info-refs", repository.folder()});
  add_protocol(command, exchange.request());
  net::Response response;
  response.headers.add("Content-Type", "application/x-" + service + "-advertisement");
  response.headers.add("Cache-Control", "no-cache");
  response.body = pkt_line("# service=" + service + "\n") + std::string(kFlush) +
                  TRY(net::offload_result([&] { return sys::run_ok(command); }));
  return exchange.respond(std::move(response));
}

Result<void> GitHttp::upload_pack(net::Exchange& exchange, const Access& access) {
  const auto repository = TRY(pipeline_.repository(access.plan, access.app->name));
  const sys::Fd body = TRY(spool_body(exchange, repository.folder()));
  sys::Fd pack = TRY(temporary(repository.folder()));
  auto command = repository.command({"upload-pack", "--stateless-rpc", repository.folder()});
  add_protocol(command, exchange.request());
  command.input_fd = body.get();
  command.output_fd = pack.get();
  command.timeout = kGitPatience;
  TRY(net::offload_result([&] { return sys::run_ok(command); }));
  struct stat st;
  if (::fstat(pack.get(), &st) != 0) return sys::system_error("fstat");
  net::Response response;
  response.headers.add("Content-Type", "application/x-git-upload-pack-result");
  response.headers.add("Cache-Control", "no-cache");
  response.file = net::FilePart{std::move(pack), 0, st.st_size};
  return exchange.respond(std::move(response));
}

Result<void> GitHttp::receive_pack(net::Exchange& exchange, const Access& access) {
  const auto repository = TRY(pipeline_.repository(access.plan, access.app->name));
  const sys::Fd body = TRY(spool_body(exchange, repository.folder()));
  std::string head(kMaxCommandBytes, '\0');
  const ssize_t n = ::pread(body.get(), head.data(), head.size(), 0);
  head.resize(n > 0 ? static_cast<size_t>(n) : 0);
  // Only the command list matters here, and it must fit; the pack behind it is git's to judge.
  const auto push = parse_push(head);
  if (!push) return answer(exchange, 400, "not a git push: " + push.error().message);

  auto command = repository.command({"receive-pack", "--stateless-rpc", repository.folder()});
  add_protocol(command, exchange.request());
  command.input_fd = body.get();
  command.max_output = kMaxReport;
  command.timeout = kGitPatience;
  std::string report = TRY(net::offload_result([&] { return sys::run_ok(command); }));

  net::Headers headers;
  headers.add("Content-Type", "application/x-git-receive-pack-result");
  headers.add("Cache-Control", "no-cache");
  TRY(exchange.begin(200, std::move(headers)));
  const bool watch = push->side_band_64k && report.ends_with(kFlush);
  if (watch) report.resize(report.size() - kFlush.size());
  // Progress first: git prints its own report when the whole answer is there.
  bool watching = watch;
  const auto tell = [&](const std::string& line) {
    if (watching && !exchange.write(side_band(2, line + "\n"))) watching = false;
    return watching;
  };
  const auto accepted = accepted_refs(report + std::string(kFlush), push->side_band_64k);
  for (const auto& update : push->updates) {
    if (update.deletes() || std::find(accepted.begin(), accepted.end(), update.ref) == accepted.end()) continue;
    const auto triggered = pipeline_.pushed(access.plan, *access.app, update.ref, access.principal.arn);
    if (!triggered) {
      tell("the pipeline did not start: " + triggered.error().message);
    } else if (triggered->run.empty()) {
      tell(triggered->why);
    } else {
      tell("run " + triggered->run);
      if (watching) pipeline_.progress().watch(triggered->run, tell);
    }
  }
  TRY(exchange.write(report));
  if (watch) TRY(exchange.write(kFlush));
  return exchange.finish();
}

}  // namespace bastide::delivery
