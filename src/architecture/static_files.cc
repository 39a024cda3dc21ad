#include "architecture/static_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"

namespace bastide::architecture {
namespace {

constexpr const char* kForever = "public, max-age=31536000, immutable";
constexpr const char* kShort = "public, max-age=60, stale-while-revalidate=60";
constexpr const char* kPage = "public, max-age=0, s-maxage=60, must-revalidate";

std::string path_in_url(const std::string& key) { return "/" + percent_encode(key, "/"); }

bool is_page(const std::string& path) { return path.ends_with(".html") || path.ends_with(".htm"); }

// A name that a bundler has put a hash into: eight hexadecimal digits or more between dots or after a dash.
bool has_hash(const std::string& path) {
  const auto name = path.substr(path.rfind('/') + 1);
  size_t run = 0;
  bool digits = false;
  for (size_t i = 0; i <= name.size(); ++i) {
    const char c = i < name.size() ? name[i] : '.';
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) {
      digits = digits || c <= '9';
      ++run;
      continue;
    }
    const bool edge =
        i < name.size() && c == '.' && i > run && (name[i - run - 1] == '.' || name[i - run - 1] == '-');
    if (run >= 8 && digits && edge) return true;
    run = 0;
    digits = false;
  }
  return false;
}

}  // namespace

std::string content_type_of(const std::string& path) {
  static const std::map<std::string, const char*> types{{"html", "text/html; charset=utf-8"},
                                                        {"htm", "text/html; charset=utf-8"},
                                                        {"css", "text/css; charset=utf-8"},
                                                        {"js", "text/javascript; charset=utf-8"},
                                                        {"mjs", "text/javascript; charset=utf-8"},
                                                        {"json", "application/json"},
                                                        {"map", "application/json"},
                                                        {"svg", "image/svg+xml"},
                                                        {"png", "image/png"},
                                                        {"jpg", "image/jpeg"},
                                                        {"jpeg", "image/jpeg"},
                                                        {"gif", "image/gif"},
                                                        {"webp", "image/webp"},
                                                        {"avif", "image/avif"},
                                                        {"ico", "image/x-icon"},
                                                        {"txt", "text/plain; charset=utf-8"},
                                                        {"xml", "application/xml"},
                                                        {"pdf", "application/pdf"},
                                                        {"wasm", "application/wasm"},
                                                        {"woff", "font/woff"},
                                                        {"woff2", "font/woff2"},
                                                        {"ttf", "font/ttf"},
                                                        {"otf", "font/otf"},
                                                        {"mp4", "video/mp4"},
                                                        {"webmanifest", "application/manifest+json"}};
  const auto dot = path.rfind('.');
  const auto found = dot == std::string::npos ? types.end() : types.find(lower(path.substr(dot + 1)));
  return found == types.end() ? "application/octet-stream" : found->second;
}

std::string hashed_name(const std::string& path, const std::string& body) {
  const auto hash = sha256_hex(body).substr(0, 12);
  const auto slash = path.rfind('/');
  const auto dot = path.rfind('.');
  if (dot == std::string::npos || dot == 0 || (slash != std::string::npos && dot <= slash + 1))
    return path + "." + hash;
  return path.substr(0, dot) + "." + hash + path.substr(dot);
}

Publication plan_publication(const std::vector<StaticFile>& files, const json::Value& manifest) {
  Publication out;
  const auto* before = manifest.find("files");
  auto entries = json::object();
  std::vector<Upload> plain, pages;
  for (const auto& f : files) {
    const bool page = is_page(f.path), hashed = has_hash(f.path);
    const auto name = page || hashed ? f.path : hashed_name(f.path, f.body);
    const auto digest = sha256_hex(f.body);
    entries[f.path] = json::object({{"name", name}, {"sha256", digest}});
    const auto* old = before == nullptr ? nullptr : before->find(f.path);
    if (old != nullptr && old->get("sha256") == digest) {
      ++out.unchanged;
      continue;
    }
    const auto type = content_type_of(f.path);
    if (name != f.path) out.uploads.push_back({name, f.body, type, kForever});
    (page ? pages : plain).push_back({f.path, f.body, type, page ? kPage : hashed ? kForever : kShort});
    if (old != nullptr) out.invalidate.push_back(path_in_url(f.path));
    if (old != nullptr && (f.path == "index.html")) out.invalidate.emplace_back("/");
  }
  if (before != nullptr && before->is_object()) {
    for (const auto& [path, entry] : before->object()) {
      if (entries.has(path)) continue;
      out.removed.push_back(path);
      out.invalidate.push_back(path_in_url(path));
    }
  }
  for (auto* list : {&plain, &pages}) std::move(list->begin(), list->end(), std::back_inserter(out.uploads));
  if (!out.uploads.empty() || !out.removed.empty()) {
    out.uploads.push_back({kManifestKey, json::pretty(json::object({{"files", std::move(entries)}})),
                           "application/json", kShort});
    if (before != nullptr) out.invalidate.push_back(std::string("/") + kManifestKey);
  }
  return out;
}

Result<std::string> publish(const ServiceCall& call, const std::string& bucket,
                            const std::string& distribution, const std::vector<StaticFile>& files) {
  json::Value manifest;
  auto known = call("s3", "GetObject", json::object({{"Bucket", bucket}, {"Key", kManifestKey}}));
  if (known) {
    auto text = TRY(unbase64(known->get("Body")));
    if (auto parsed = json::parse(text)) manifest = std::move(*parsed);
  } else if (known.error().code != "NoSuchKey") {
    return std::move(known).error().context("the manifest of " + bucket);
  }
  const auto plan = plan_publication(files, manifest);
  for (const auto& u : plan.uploads) {
    // What is gone goes before the manifest says so.
    if (u.key == kManifestKey) {
      for (const auto& key : plan.removed)
        TRY(call("s3", "DeleteObject", json::object({{"Bucket", bucket}, {"Key", key}})));
    }
    auto put = call("s3", "PutObject",
                    json::object({{"Bucket", bucket},
                                  {"Key", u.key},
                                  {"Body", base64(u.body)},
                                  {"ContentType", u.content_type},
                                  {"CacheControl", u.cache_control}}));
    if (!put) return std::move(put).error().context(u.key);
  }
  // Many paths are dearer than one wildcard.
  auto paths = plan.invalidate;
  if (paths.size() > 100) paths = {"/*"};
  if (!paths.empty()) {
    json::Array items(paths.begin(), paths.end());
    const auto count = items.size();
    TRY(call("cloudfront", "CreateInvalidation",
             json::object({{"DistributionId", distribution},
                           {"InvalidationBatch",
                            json::object({{"CallerReference", hex(random_bytes(16))},
                                          {"Paths", json::object({{"Quantity", count},
                                                                  {"Items", std::move(items)}})}})}})));
  }
  return fmt::format("{} files: {} changed, {} unchanged, {} removed, {} paths invalidated", files.size(),
                     files.size() - plan.unchanged, plan.unchanged, plan.removed.size(), paths.size());
}

}  // namespace bastide::architecture
