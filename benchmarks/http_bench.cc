// Serves an answer of BYTES (default 1024) on PORT, to be measured from outside and compared with other
// servers:
//   http_bench 18080 & wrk -t1 -c32 -d4s --latency http://127.0.0.1:18080/
// At SIGTERM or SIGINT it prints the requests answered and the CPU time of each.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "base/time.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/tls.h"

using namespace bastide;

namespace {

int run(uint16_t port, size_t bytes, bool tls) {
  net::Loop loop;
  const std::string body(bytes, 'x');
  int64_t answered = 0;
  net::HttpServer server([&](net::Exchange& x) {
    ++answered;
    net::Response response;
    response.headers.add("Content-Type", "text/plain");
    response.body = body;
    (void)x.respond(std::move(response));
  });
  auto listener = net::listen_tcp("127.0.0.1", port);
  if (!listener) {
    fmt::print(stderr, "{}\n", listener.error().message);
    return 1;
  }
  std::shared_ptr<net::TlsContext> context;
  if (tls) {
    const Millis now = Clock::system().wall();
    const auto authority = net::make_authority("bench", now).value();
    const auto leaf = net::issue_certificate(authority, {"127.0.0.1"}, now).value();
    context = net::TlsContext::server({{leaf.certificate_pem, leaf.key_pem, {}}}).value();
  }
  server.listen(std::move(*listener), context);
  loop.on_signals({SIGTERM, SIGINT}, [&](int) { loop.stop(); });
  loop.run();
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto micros = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  const double total = micros(used.ru_utime) + micros(used.ru_stime);
  fmt::print("{} requests, {:.2f} us of CPU each ({:.2f} user, {:.2f} system), {} MiB resident at most\n",
             answered, answered > 0 ? total / static_cast<double>(answered) : 0,
             answered > 0 ? micros(used.ru_utime) / static_cast<double>(answered) : 0,
             answered > 0 ? micros(used.ru_stime) / static_cast<double>(answered) : 0, used.ru_maxrss / 1024);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = parse_int(argc > 1 ? argv[1] : "18080");
  const auto bytes = parse_int(argc > 2 ? argv[2] : "1024");
  const std::string scheme = argc > 3 ? argv[3] : "http";
  if (!port || port.value() < 0 || port.value() > 65535 || !bytes || bytes.value() < 0 ||
      (scheme != "http" && scheme != "https")) {
    fmt::print(stderr, "usage: http_bench [PORT [BYTES [http|https]]]\n");
    return 2;
  }
  return run(static_cast<uint16_t>(port.value()), static_cast<size_t>(bytes.value()), scheme == "https");
}
