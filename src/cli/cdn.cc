// bastide cdn publish|invalidate|stats|explain
#include <fmt/format.h>
#include <fts.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "architecture/static_files.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/table.h"
#include "net/loop.h"
#include "net/message.h"
#include "sys/file.h"

namespace bastide::cli {
namespace {

constexpr Millis kInvalidated = 60 * kSecond;

// Every regular file below a folder; symbolic links are not followed.
Result<std::vector<architecture::StaticFile>> read_folder(const std::string& folder) {
  std::vector<architecture::StaticFile> out;
  char* roots[] = {const_cast<char*>(folder.c_str()), nullptr};
  FTS* walk = ::fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr);
  if (walk == nullptr) return sys::system_error(folder);
  Result<void> outcome;
  while (FTSENT* entry = ::fts_read(walk)) {
    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
      outcome = sys::system_error(entry->fts_path, entry->fts_errno);
      break;
    }
    if (entry->fts_info != FTS_F) continue;
    auto body = sys::read_file(entry->fts_path, architecture::kMaxStaticFile);
    if (!body) {
      outcome = std::move(body).error().context(entry->fts_path);
      break;
    }
    std::string path = std::string(entry->fts_path).substr(folder.size());
    path.erase(0, path.find_first_not_of('/'));
    out.push_back({std::move(path), std::move(*body)});
    if (out.size() > architecture::kMaxStaticFiles) {
      outcome = error("TooLarge", fmt::format("more than {} files", architecture::kMaxStaticFiles));
      break;
    }
  }
  ::fts_close(walk);
  TRY(outcome);
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

// An output of the stack of an app's static files.
Result<std::string> output(Context& context, const std::string& profile, const std::string& app,
                           const std::string& key) {
  const auto stack = "bastide-static-" + app;
  const auto answer =
      TRY(context.call(profile, "cloudformation", "DescribeStacks", json::object({{"StackName", stack}})));
  for (const auto& s : answer.get_array("Stacks")) {
    for (const auto& o : s.get_array("Outputs")) {
      if (o.get("OutputKey") == key) return o.get("OutputValue");
    }
  }
  return error("NotFound", "the stack " + stack + " has no output " + key);
}

Result<std::string> environment_of(const Arguments& a) {
  if (a.get("--env").empty()) return error("Invalid", "name the environment: --env stage");
  return a.get("--env");
}

Result<int> run_publish(Context& context, const Arguments& a) {
  const auto environment = TRY(environment_of(a));
  const auto app = a.get("APP");
  const auto folder = a.get("--from").empty() ? std::string("static") : a.get("--from");
  const auto files = TRY(read_folder(folder));
  if (files.empty()) return error("NotFound", folder + " has no files");
  const auto bucket = TRY(output(context, environment, app, "BucketName"));
  const auto distribution = TRY(output(context, environment, app, "DistributionId"));
  const auto host = TRY(output(context, environment, app, "StaticHostName"));
  const auto done = TRY(architecture::publish(
      [&](const std::string& service, const std::string& operation, const json::Value& input) {
        return context.call(environment, service, operation, input);
      },
      bucket, distribution, files));
  std::printf("%s\nhttps://%s/\n", done.c_str(), host.c_str());
  return 0;
}

Result<int> run_invalidate(Context& context, const Arguments& a) {
  const auto environment = TRY(environment_of(a));
  const auto distribution = TRY(output(context, environment, a.get("APP"), "DistributionId"));
  json::Array items;
  for (const auto& path : a.all("PATH")) items.emplace_back(path.starts_with('/') ? path : "/" + path);
  if (items.empty()) items.emplace_back("/*");
  const auto count = items.size();
  const auto made = TRY(context.call(
      environment, "cloudfront", "CreateInvalidation",
      json::object(
          {{"DistributionId", distribution},
           {"InvalidationBatch",
            json::object({{"CallerReference", hex(random_bytes(16))},
                          {"Paths", json::object({{"Quantity", count}, {"Items", std::move(items)}})}})}})));
  const auto* invalidation = made.find("Invalidation");
  const auto id = invalidation == nullptr ? "" : invalidation->get("Id");
  const Millis begin = Clock::system().steady();
  while (Clock::system().steady() < begin + kInvalidated) {
    const auto now = TRY(context.call(environment, "cloudfront", "GetInvalidation",
                                      json::object({{"DistributionId", distribution}, {"Id", id}})));
    const auto* state = now.find("Invalidation");
    if (state != nullptr && state->get("Status") == "Completed") {
      std::printf("%s completed in %s\n", id.c_str(),
                  human_duration(Clock::system().steady() - begin).c_str());
      return 0;
    }
    ::usleep(50'000);
  }
  return error("Timeout", "the edge has not confirmed " + id + " yet");
}

// Straight to the edge of this home, as its owner.
Result<json::Value> ask_edge(Context& context, json::Value request) {
  Result<json::Value> out = error("the edge was not asked");
  net::Loop loop;
  loop.spawn([&] {
    out = [&]() -> Result<json::Value> {
      auto channel = TRY(net::Channel::connect(context.home() + "/run/edge.sock", "cli", 5 * kSecond));
      auto answer = TRY(channel->call({std::move(request), {}}, 10 * kSecond));
      channel->close();
      return std::move(answer.body);
    }();
    loop.stop();
  });
  loop.run();
  return out;
}

Result<int> run_stats(Context& context, const Arguments& a) {
  const auto stats = TRY(ask_edge(context, json::object({{"kind", "cdn.stats"}})));
  if (a.flag("--json")) {
    std::printf("%s", json::pretty(stats).c_str());
    return 0;
  }
  for (const auto& d : stats.get_array("distributions")) {
    const auto requests = d.get_int("requests"),
               hits = d.get_int("hits") + d.get_int("refreshes") + d.get_int("stale");
    std::printf(
        "%s  %ld requests, %ld %% from the cache, %ld misses, %ld errors, %ld refused, %ld bytes; origins: "
        "%ld asked, %ld failed\n",
        d.get("id").c_str(), static_cast<long>(requests),
        static_cast<long>(requests == 0 ? 0 : hits * 100 / requests), static_cast<long>(d.get_int("misses")),
        static_cast<long>(d.get_int("errors")), static_cast<long>(d.get_int("refused")),
        static_cast<long>(d.get_int("bytes")), static_cast<long>(d.get_int("originRequests")),
        static_cast<long>(d.get_int("originFailures")));
  }
  for (const char* layer : {"memory", "disk"}) {
    const auto* l = stats.find(layer);
    if (l != nullptr)
      std::printf("%s: %ld objects, %ld bytes\n", layer, static_cast<long>(l->get_int("objects")),
                  static_cast<long>(l->get_int("bytes")));
  }
  return 0;
}

Result<int> run_explain(Context& context, const Arguments& a) {
  json::Array headers;
  for (const auto& text : a.all("--header")) {
    const auto colon = text.find(':');
    if (colon == std::string::npos) return error("Invalid", "--header wants NAME: VALUE, not '" + text + "'");
    headers.push_back(json::object({{"name", trim(std::string_view(text).substr(0, colon))},
                                    {"value", trim(std::string_view(text).substr(colon + 1))}}));
  }
  const auto answer = TRY(ask_edge(
      context,
      json::object({{"kind", "cdn.explain"}, {"url", a.get("URL")}, {"headers", std::move(headers)}})));
  std::printf("%s\n", answer.get("verdict").c_str());
  for (const auto& [name, value] : answer.object()) {
    if (name == "verdict" || name == "url") continue;
    if (value.is_object()) {
      for (const auto& [inner, v] : value.object())
        std::printf("  %s %s: %s\n", name.c_str(), inner.c_str(),
                    v.is_string() ? v.string().c_str() : json::print(v).c_str());
    } else {
      std::printf("  %s: %s\n", name.c_str(),
                  value.is_string() ? value.string().c_str() : json::print(value).c_str());
    }
  }
  return 0;
}

}  // namespace

Command cdn_publish_command() {
  return {"cdn publish",
          "Publishes a folder of static files to an app's bucket and distribution",
          "bastide cdn publish storefront --env stage --from static",
          {{"APP", Option::Kind::positional, "The app", "", true},
           {"--env", Option::Kind::value, "The environment"},
           {"--from", Option::Kind::value, "The folder; `static` by default"}},
          run_publish};
}
Command cdn_invalidate_command() {
  return {"cdn invalidate",
          "Makes the edge forget paths of an app's distribution; all of them by default",
          "bastide cdn invalidate storefront --env stage '/css/*'",
          {{"APP", Option::Kind::positional, "The app", "", true},
           {"PATH", Option::Kind::positionals, "Paths; the last character may be *"},
           {"--env", Option::Kind::value, "The environment"}},
          run_invalidate};
}
Command cdn_stats_command() {
  return {"cdn stats",
          "What the edge served, from where",
          "bastide cdn stats",
          {{"--json", Option::Kind::flag, "As JSON"}},
          run_stats};
}
Command cdn_explain_command() {
  return {"cdn explain",
          "Why a URL is a hit, a miss or refused at the edge",
          "bastide cdn explain https://static.storefront.stage.localhost/style.css",
          {{"URL", Option::Kind::positional, "The URL", "", true},
           {"--header", Option::Kind::values, "NAME: VALUE of the request; repeat it"}},
          run_explain};
}

}  // namespace bastide::cli
