#include "services/sns/egress.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "base/bytes.h"
#include "net/loop.h"
#include "sys/file.h"

namespace bastide::services {
namespace {

constexpr int kThreads = 4;
constexpr size_t kMaxWaiting = 1'000;
constexpr long kConnectMs = 5'000;
constexpr size_t kMaxAnswer = 64u << 10;

struct Range {
  int family = 0;
  unsigned char bytes[16] = {};
  int bits = 0;
};

bool parse_range(const std::string& text, Range& r) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  r.family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (::inet_pton(r.family, address.c_str(), r.bytes) != 1) return false;
  const int most = r.family == AF_INET ? 32 : 128;
  r.bits = most;
  if (slash != std::string::npos) {
    const auto n = parse_int(text.substr(slash + 1));
    if (!n || *n < 0 || *n > most) return false;
    r.bits = static_cast<int>(*n);
  }
  return true;
}

bool inside(const Range& r, int family, const unsigned char* bytes) {
  if (family != r.family) return false;
  for (int i = 0; i < r.bits; ++i) {
    const int mask = 0x80 >> (i % 8);
    if ((bytes[i / 8] & mask) != (r.bytes[i / 8] & mask)) return false;
  }
  return true;
}

// https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
constexpr const char* kSpecial[] = {
    "0.0.0.0/8",      "10.0.0.0/8",   "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24",   "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",  "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/3",  "::/127",         "64:ff9b::/32",   "100::/64",       "2001::/23",
    "2001:db8::/32",  "2002::/16",    "fc00::/7",       "fe80::/10",      "ff00::/8"};

bool reachable_bytes(int family, const unsigned char* bytes, const std::vector<std::string>& allow) {
  static constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (family == AF_INET6 && std::memcmp(bytes, kMapped, sizeof kMapped) == 0)
    return reachable_bytes(AF_INET, bytes + 12, allow);
  Range r;
  for (const auto& range : allow) {
    if (parse_range(range, r) && inside(r, family, bytes)) return true;
  }
  for (const char* range : kSpecial) {
    r = Range();
    if (parse_range(range, r) && inside(r, family, bytes)) return false;
  }
  return true;
}

struct Gate {
  const std::vector<std::string>* allow;
  bool refused = false;
};

// The address that curl is about to connect to, after resolution: what DNS says later does not matter.
curl_socket_t open_socket(void* data, curlsocktype, curl_sockaddr* address) {
  auto& gate = *static_cast<Gate*>(data);
  const unsigned char* bytes = nullptr;
  if (address->family == AF_INET) {
    bytes = reinterpret_cast<const unsigned char*>(&reinterpret_cast<sockaddr_in*>(&address->addr)->sin_addr);
  } else if (address->family == AF_INET6) {
    bytes =
        reinterpret_cast<const unsigned char*>(&reinterpret_cast<sockaddr_in6*>(&address->addr)->sin6_addr);
  }
  if (bytes == nullptr || !reachable_bytes(address->family, bytes, *gate.allow)) {
    gate.refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

size_t swallow(char*, size_t size, size_t n, void* data) {
  auto& seen = *static_cast<size_t*>(data);
  seen += size * n;
  return seen > kMaxAnswer ? 0 : size * n;
}

size_t feed(char* out, size_t size, size_t n, void* data) {
  auto& rest = *static_cast<std::string_view*>(data);
  const size_t take = std::min(rest.size(), size * n);
  std::memcpy(out, rest.data(), take);
  rest.remove_prefix(take);
  return take;
}

struct Handle {
  CURL* curl = ::curl_easy_init();
  curl_slist* list = nullptr;
  ~Handle() {
    if (list) ::curl_slist_free_all(list);
    if (curl) ::curl_easy_cleanup(curl);
  }
  void add(const std::string& line) { list = ::curl_slist_append(list, line.c_str()); }
};

std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  return text;
}

Result<int> perform_post(const WebPost& p, const EgressConfig& config) {
  Handle h;
  if (!h.curl) return error("no memory");
  Gate gate{&config.allow};
  size_t seen = 0;
  for (const auto& [k, v] : p.headers) h.add(k + ": " + one_line(v));
  h.add("Expect:");
  ::curl_easy_setopt(h.curl, CURLOPT_URL, p.url.c_str());
  ::curl_easy_setopt(h.curl, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(h.curl, CURLOPT_FOLLOWLOCATION, 0L);
  ::curl_easy_setopt(h.curl, CURLOPT_POST, 1L);
  ::curl_easy_setopt(h.curl, CURLOPT_POSTFIELDS, p.body.data());
  ::curl_easy_setopt(h.curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(p.body.size()));
  ::curl_easy_setopt(h.curl, CURLOPT_HTTPHEADER, h.list);
  ::curl_easy_setopt(h.curl, CURLOPT_PROXY, "");
  ::curl_easy_setopt(h.curl, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(h.curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  ::curl_easy_setopt(h.curl, CURLOPT_TIMEOUT_MS, static_cast<long>(p.timeout));
  ::curl_easy_setopt(h.curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  ::curl_easy_setopt(h.curl, CURLOPT_OPENSOCKETDATA, &gate);
  ::curl_easy_setopt(h.curl, CURLOPT_WRITEFUNCTION, swallow);
  ::curl_easy_setopt(h.curl, CURLOPT_WRITEDATA, &seen);
  const CURLcode code = ::curl_easy_perform(h.curl);
  long status = 0;
  ::curl_easy_getinfo(h.curl, CURLINFO_RESPONSE_CODE, &status);
  if (gate.refused)
    return error("Denied",
                 "the address of this endpoint is not public; serve.yaml can allow it (egress.allow)");
  if (status == 0 && code != CURLE_OK) return error("Unreachable", ::curl_easy_strerror(code));
  return static_cast<int>(status);
}

Result<void> perform_mail(const Mail& m, const EgressConfig& config) {
  Handle h;
  if (!h.curl) return error("no memory");
  std::string text = fmt::format(
      "From: {}\r\nTo: {}\r\nSubject: {}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\n",
      one_line(config.smtp_from), one_line(m.to), one_line(m.subject));
  for (const auto& [k, v] : m.headers) text += k + ": " + one_line(v) + "\r\n";
  text += "\r\n";
  for (const char c : m.body) {
    if (c == '\n') text += '\r';
    text += c;
  }
  text += "\r\n";
  std::string_view rest = text;
  h.add("<" + one_line(m.to) + ">");
  ::curl_easy_setopt(h.curl, CURLOPT_URL, config.smtp_url.c_str());
  ::curl_easy_setopt(h.curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  ::curl_easy_setopt(h.curl, CURLOPT_MAIL_FROM, ("<" + config.smtp_from + ">").c_str());
  ::curl_easy_setopt(h.curl, CURLOPT_MAIL_RCPT, h.list);
  ::curl_easy_setopt(h.curl, CURLOPT_UPLOAD, 1L);
  ::curl_easy_setopt(h.curl, CURLOPT_READFUNCTION, feed);
  ::curl_easy_setopt(h.curl, CURLOPT_READDATA, &rest);
  ::curl_easy_setopt(h.curl, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(h.curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  ::curl_easy_setopt(h.curl, CURLOPT_TIMEOUT_MS, 30'000L);
  if (!config.smtp_user.empty()) {
    ::curl_easy_setopt(h.curl, CURLOPT_USERNAME, config.smtp_user.c_str());
    ::curl_easy_setopt(h.curl, CURLOPT_PASSWORD, config.smtp_password.c_str());
    ::curl_easy_setopt(h.curl, CURLOPT_USE_SSL,
                       static_cast<long>(CURLUSESSL_ALL));  // never a password in the clear
  } else {
    ::curl_easy_setopt(h.curl, CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_TRY));
  }
  const CURLcode code = ::curl_easy_perform(h.curl);
  if (code != CURLE_OK)
    return error("Unreachable", std::string("the mail server: ") + ::curl_easy_strerror(code));
  return {};
}

}  // namespace

struct Egress::Impl {
  EgressConfig config;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> waiting;
  std::vector<std::thread> threads;
  bool stopping = false;

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !waiting.empty(); });
      if (stopping) return;
      auto f = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      f();
      lock.lock();
    }
  }

  template <class T>
  Result<T> run(std::function<Result<T>()> f) {
    if (!net::in_fiber()) return f();
    struct Shared {
      net::Event done;
      std::optional<Result<T>> result;
    };
    auto shared = std::make_shared<Shared>();
    net::Loop& loop = net::Loop::current();
    {
      const std::lock_guard lock(mutex);
      if (waiting.size() >= kMaxWaiting) return error("Busy", "too many deliveries wait");
      waiting.push_back([shared, f = std::move(f), &loop] {
        auto result = f();
        loop.post([shared, result = std::move(result)]() mutable {
          shared->result.emplace(std::move(result));
          shared->done.set();
        });
      });
    }
    wake.notify_one();
    while (!shared->result) shared->done.wait();
    return std::move(*shared->result);
  }
};

Egress::Egress(EgressConfig config) : impl_(std::make_shared<Impl>()) {
  static const bool started = ::curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  (void)started;
  impl_->config = std::move(config);
  for (int i = 0; i < kThreads; ++i) impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
}

Egress::~Egress() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  for (auto& t : impl_->threads) t.join();
}

Result<int> Egress::post(WebPost post) {
  auto p = std::make_shared<WebPost>(std::move(post));
  return impl_->run<int>([p, config = &impl_->config] { return perform_post(*p, *config); });
}
Result<void> Egress::send(Mail mail) {
  if (!has_mail()) return error("Invalid", "no mail server is configured (smtp in serve.yaml)");
  auto m = std::make_shared<Mail>(std::move(mail));
  return impl_->run<void>([m, config = &impl_->config] { return perform_mail(*m, *config); });
}
bool Egress::has_mail() const { return !impl_->config.smtp_url.empty(); }

bool reachable(const std::string& address, const std::vector<std::string>& allow) {
  Range r;
  return parse_range(address, r) && reachable_bytes(r.family, r.bytes, allow);
}

Result<EgressConfig> egress_config(const json::Value& serve) {
  EgressConfig out;
  if (const json::Value* egress = serve.find("egress")) {
    for (const auto& range : egress->get_array("allow")) {
      Range r;
      if (!range.is_string() || !parse_range(range.string(), r))
        return error("Invalid", "serve.yaml: egress.allow has ranges such as 127.0.0.0/8");
      out.allow.push_back(range.string());
    }
  }
  if (const json::Value* smtp = serve.find("smtp")) {
    out.smtp_url = smtp->get("url");
    out.smtp_from = smtp->get("from");
    out.smtp_user = smtp->get("user");
    if (!out.smtp_url.starts_with("smtp://") && !out.smtp_url.starts_with("smtps://"))
      return error("Invalid", "serve.yaml: smtp.url is smtp://HOST:PORT or smtps://HOST:PORT");
    if (out.smtp_from.find('@') == std::string::npos)
      return error("Invalid", "serve.yaml: smtp.from is a mail address");
    if (const auto file = smtp->get("password_file"); !file.empty())
      out.smtp_password = std::string(trim(TRY(sys::read_file(file, 4096))));
  }
  return out;
}

}  // namespace bastide::services
