// The rows of S3's objects, versions, uploads and parts, in tables of their own beside the resources. All of
// it within a closure of Database::read or write, so that it commits with whatever else the closure changes.
//
// Data files (object_data.h) are named in `data`, a JSON list of {"id", "size", ...}. put() and the uploads
// take them over; what a row lets go of becomes garbage, which take_garbage() hands out to be removed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "store/database.h"

namespace bastide::store::objects {

struct Object {
  std::string bucket, key;
  std::string version;  // "null" for objects of buckets without versioning
  int64_t sequence = 0;
  bool latest = true;
  bool marker = false;  // a delete marker
  int64_t size = 0;
  std::string etag;  // without quotes
  Millis modified = 0;
  json::Value data = json::array();
  json::Value meta;
};

// The latest version, be it a delete marker.
Result<std::optional<Object>> latest(Reader& reader, const std::string& bucket, const std::string& key);
Result<std::optional<Object>> version(Reader& reader, const std::string& bucket, const std::string& key,
                                      const std::string& version);
// Becomes the latest; sets `sequence`. A version of the same id is replaced.
Result<void> put(Writer& writer, Object& object);
Result<void> set_meta(Writer& writer, const Object& object);  // of an object that is there
// Whether it was there. The newest of what is left becomes the latest.
Result<bool> remove(Writer& writer, const std::string& bucket, const std::string& key,
                    const std::string& version);
Result<bool> any(Reader& reader, const std::string& bucket);

struct Query {
  std::string bucket, prefix, delimiter;
  std::string after;             // only keys behind this one
  std::string after_version;     // of versions(): of the key `after`, those behind this version
  bool after_is_prefix = false;  // `after` is a common prefix: everything below it is passed over
  size_t limit = 1000;           // of rows and common prefixes together
};
struct Page {
  std::vector<Object> rows;
  std::vector<std::string> prefixes;
  bool truncated = false;
  std::string last, last_version;  // what the next page goes on after
  bool last_is_prefix = false;
};
Result<Page> list(Reader& reader, const Query& query);      // latest versions that are no delete markers
Result<Page> versions(Reader& reader, const Query& query);  // all, newest first within a key

struct Upload {
  std::string id, bucket, key;
  Millis started = 0;
  json::Value meta;
};
struct Part {
  int32_t number = 0;
  int64_t size = 0;
  std::string etag;
  Millis modified = 0;
  json::Value data = json::array();
  json::Value meta;
};
Result<void> begin_upload(Writer& writer, const Upload& upload);
Result<std::optional<Upload>> upload(Reader& reader, const std::string& id);
// In the order of keys, then of starting times; behind (key, id).
Result<std::vector<Upload>> uploads(Reader& reader, const std::string& bucket, const std::string& prefix,
                                    const std::string& after_key, const std::string& after_id, size_t limit);
Result<void> put_part(Writer& writer, const std::string& upload, const Part& part);
Result<std::vector<Part>> parts(Reader& reader, const std::string& upload, int32_t after, size_t limit);
// Forgets the upload. The data of the parts in `kept` is not garbage: an object took it over.
Result<void> end_upload(Writer& writer, const std::string& id, const std::vector<int32_t>& kept);

// Ids of data files that no row names any more, oldest first.
Result<std::vector<std::string>> garbage(Reader& reader, Millis before, size_t limit);
Result<void> forget_garbage(Writer& writer, const std::string& id);
// Whether a row (or the list of garbage) knows a data file.
Result<bool> knows_data(Reader& reader, const std::string& id);
// For the scrub: ids of known data in order, behind `after`.
Result<std::vector<std::string>> data_after(Reader& reader, const std::string& after, size_t limit);

struct Usage {
  int64_t objects = 0, bytes = 0;
};
Result<Usage> usage(Reader& reader, const std::string& bucket);

}  // namespace bastide::store::objects
