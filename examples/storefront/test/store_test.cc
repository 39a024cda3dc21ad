// The storefront's own tests: the pipeline runs them before an image exists.
#include <cstdio>

#include "../src/http.h"
#include "../src/store.h"

static int failures = 0;
#define EXPECT(condition) \
  do { if (!(condition)) { std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); ++failures; } } while (0)

int main() {
  EXPECT(parse_request("GET /a?b=c HTTP/1.1\r\n\r\n").path == "/a");
  EXPECT(parse_request("GET / HTTP/2\r\n").method.empty());
  EXPECT(parse_request("nonsense").method.empty());
  EXPECT(make_response(200, "text/plain", "hello", true).find("hello") == std::string::npos);
  EXPECT(json_member(R"({"a": "x\"y", "b" : "z"})", "a") == "x\"y");
  EXPECT(json_member(R"({"a": "x", "b" : "z"})", "b") == "z");
  EXPECT(json_member(R"({"a": 1})", "a").empty());
  EXPECT(html_escape("<b>") == "&lt;b&gt;");
  const Settings settings{"stage", "abc", "Welcome", "top-secret", true};
  EXPECT(home_page(settings).find("top-secret") == std::string::npos);
  EXPECT(about_json(settings).find("top-secret") == std::string::npos);
  EXPECT(home_page(settings).find("Welcome") != std::string::npos);
  EXPECT(fingerprint("a") != fingerprint("b"));
  std::printf("%s\n", failures ? "storefront: tests FAILED" : "storefront: 12 tests passed");
  return failures ? 1 : 0;
}
