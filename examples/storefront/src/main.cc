// The storefront: a small shop window. Its configuration comes through the boot helper, which has decrypted it into
// memory: kmscrypt exec --file '/app/config/$ENVIRONMENT.json' --as STOREFRONT_CONFIG -- /app/storefront
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "http.h"
#include "store.h"

#ifndef COMMIT
#define COMMIT "unknown"
#endif

namespace {

volatile std::sig_atomic_t stopping = 0;

std::string environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void answer(int connection, const Settings& settings) {
  timeval patience{5, 0};
  ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  std::string head;
  char buffer[4096];
  while (head.find("\r\n\r\n") == std::string::npos && head.size() < 16'384) {
    const ssize_t n = ::recv(connection, buffer, sizeof buffer, 0);
    if (n <= 0) return;
    head.append(buffer, static_cast<size_t>(n));
  }
  const Request request = parse_request(head);
  const bool head_only = request.method == "HEAD";
  std::string out;
  if (request.method.empty()) out = make_response(400, "text/plain", "bad request\n", false);
  else if (!head_only && request.method != "GET") out = make_response(405, "text/plain", "only GET\n", false);
  else if (request.path == "/") out = make_response(200, "text/html; charset=utf-8", home_page(settings), head_only);
  else if (request.path == "/about") out = make_response(200, "application/json", about_json(settings), head_only);
  else if (request.path == "/health") out = make_response(200, "text/plain", "ok\n", head_only);
  else if (request.path == "/static/style.css") out = make_response(200, "text/css", read_whole("/app/static/style.css"), head_only);
  else out = make_response(404, "text/plain", "no such page\n", head_only);
  for (std::string_view left = out; !left.empty();) {
    const ssize_t n = ::send(connection, left.data(), left.size(), MSG_NOSIGNAL);
    if (n <= 0) break;
    left.remove_prefix(static_cast<size_t>(n));
  }
  if (request.path != "/health") {
    std::printf("{\"level\":\"info\",\"method\":\"%s\",\"path\":\"%s\",\"bytes\":%zu}\n", request.method.c_str(),
                html_escape(request.path).c_str(), out.size());
    std::fflush(stdout);
  }
}

}  // namespace

int main() {
  struct sigaction action {};
  action.sa_handler = [](int) { stopping = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);

  const std::string config = read_whole(environment_variable("STOREFRONT_CONFIG"));
  Settings settings;
  settings.environment = environment_variable("ENVIRONMENT");
  settings.commit = COMMIT;
  settings.greeting = json_member(config, "greeting");
  settings.secret = json_member(config, "payment_key");
  if (settings.greeting.empty() || settings.secret.empty() || settings.secret.starts_with("kmscrypt::")) {
    std::fprintf(stderr, "storefront: STOREFRONT_CONFIG has no decrypted greeting and payment_key\n");
    return 1;
  }
  const std::string port_text = environment_variable("PORT");
  const int port = port_text.empty() ? 8080 : std::atoi(port_text.c_str());
  const std::string bind_text = environment_variable("BIND_ADDRESS");

  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (::inet_pton(AF_INET, bind_text.empty() ? "0.0.0.0" : bind_text.c_str(), &address.sin_addr) != 1) return 1;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 128) != 0) {
    std::perror("storefront: listen");
    return 1;
  }
  std::printf("{\"level\":\"info\",\"event\":\"started\",\"environment\":\"%s\",\"commit\":\"%s\",\"port\":%d}\n",
              settings.environment.c_str(), settings.commit.c_str(), port);
  std::fflush(stdout);
  while (!stopping) {
    const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    answer(connection, settings);
    ::close(connection);
  }
  std::printf("{\"level\":\"info\",\"event\":\"stopped\"}\n");
  return 0;
}
