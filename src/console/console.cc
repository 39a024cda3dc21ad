#include "console/console.h"

#include <string_view>

#include "base/log.h"

#define CONSOLE_FILE(symbol, file)                                                                           \
  __asm__(".section .rodata\n.global console_" #symbol "\n.global console_" #symbol "_end\nconsole_" #symbol \
          ":\n.incbin \"" CONSOLE_FOLDER "/" file "\"\nconsole_" #symbol "_end:\n.byte 0\n.previous\n");     \
  extern "C" const char console_##symbol[];                                                                  \
  extern "C" const char console_##symbol##_end[];

CONSOLE_FILE(index, "index.html")
CONSOLE_FILE(style, "app.css")
CONSOLE_FILE(app, "app.js")
CONSOLE_FILE(aws, "aws.js")
CONSOLE_FILE(plot, "plot.js")

namespace bastide::console {
namespace {

struct File {
  std::string_view path, type;
  const char *begin, *end;
};

const File kFiles[] = {
    {"/console/", "text/html; charset=utf-8", console_index, console_index_end},
    {"/console/app.css", "text/css; charset=utf-8", console_style, console_style_end},
    {"/console/app.js", "text/javascript; charset=utf-8", console_app, console_app_end},
    {"/console/aws.js", "text/javascript; charset=utf-8", console_aws, console_aws_end},
    {"/console/plot.js", "text/javascript; charset=utf-8", console_plot, console_plot_end}};

}  // namespace

void handle(net::Exchange& exchange) {
  net::Response response;
  const auto path = exchange.request().raw_path();
  const auto& method = exchange.request().method;
  response.status = 404;
  response.headers.add("X-Content-Type-Options", "nosniff");
  response.headers.add("Referrer-Policy", "no-referrer");
  if (method != "GET" && method != "HEAD") {
    response.status = 405;
  } else if (path == "/console") {
    response.status = 301;
    response.headers.add("Location", "/console/");
  } else {
    for (const auto& file : kFiles) {
      if (path != file.path) continue;
      response.status = 200;
      response.headers.add("Content-Type", std::string(file.type));
      response.headers.add("Cache-Control", "no-cache");
      // Nothing from anywhere else is loaded, framed or sent to; the page talks to this port alone.
      response.headers.add(
          "Content-Security-Policy",
          "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
          "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'");
      response.body.assign(file.begin, file.end);
    }
  }
  if (const auto sent = exchange.respond(std::move(response)); !sent)
    log::debug("console: {}", sent.error().message);
}

}  // namespace bastide::console
