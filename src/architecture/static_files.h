// Publishing a folder of static files: what goes to the bucket under which name, with which Cache-Control, and
// what must be invalidated. The plan is plain; the calls are the caller's.
//
// Every file is stored twice: under its own name, for a minute, and under a name with its content's hash, for
// ever ("style.css" -> "style.3f2a9c1e.css"). Hashed copies of earlier releases stay. `.bastide/manifest.json`
// says which hashed name is current; it is written last, so that a reader of it never sees half a release.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace bastide::architecture {

inline constexpr const char* kManifestKey = ".bastide/manifest.json";
inline constexpr size_t kMaxStaticFile = 32u << 20, kMaxStaticFiles = 5'000;

struct StaticFile {
  std::string path, body;  // path below the folder: "css/a.css"
};
struct Upload {
  std::string key, body, content_type, cache_control;
};
struct Publication {
  std::vector<Upload> uploads;        // in order; the manifest is the last
  std::vector<std::string> removed;   // keys of files that are gone from the folder
  std::vector<std::string> invalidate;  // paths
  size_t unchanged = 0;
};

std::string content_type_of(const std::string& path);
std::string hashed_name(const std::string& path, const std::string& body);
// `manifest`: of the last publication, null where there is none.
Publication plan_publication(const std::vector<StaticFile>& files, const json::Value& manifest);

// Reads the manifest, uploads what changed, removes what is gone, invalidates. A line of what it did.
using ServiceCall = std::function<Result<json::Value>(const std::string& service, const std::string& operation,
                                                      const json::Value& input)>;
Result<std::string> publish(const ServiceCall& call, const std::string& bucket, const std::string& distribution,
                            const std::vector<StaticFile>& files);

}  // namespace bastide::architecture
