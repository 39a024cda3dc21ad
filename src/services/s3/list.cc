// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
#include <algorithm>

#include "base/bytes.h"
#include "net/loop.h"
#include "services/s3/members.h"

namespace bastide::services {

namespace op = model::s3::op;
namespace objects = store::objects;

namespace {

constexpr int32_t kMaxKeys = 1000;

Result<int32_t> limit_of(const std::optional<int32_t>& asked, const char* name) {
  if (asked.value_or(0) < 0)
    return fault("InvalidArgument",
                 std::string("Argument ") + name + " must be an integer between 0 and 2147483647", 400);
  return std::min(asked.value_or(kMaxKeys), kMaxKeys);
}

Result<bool> url_encoding(const std::optional<std::string>& type) {
  if (!type) return false;
  if (*type == "url") return true;
  return fault("InvalidArgument", "Invalid Encoding Method specified in Request", 400);
}

Result<objects::Page> page_of(store::Database& db, const objects::Query& query, bool all) {
  return net::offload_result([&]() -> Result<objects::Page> {
    objects::Page page;
    TRY(db.read([&](store::Reader& r) -> Result<void> {
      page = TRY(all ? objects::versions(r, query) : objects::list(r, query));
      return {};
    }));
    return page;
  });
}

template <class Row>
void fill(Row& row, const objects::Object& object, bool url) {
  row.key = s3::encode_key(object.key, url);
  row.last_modified = object.modified;
  row.e_tag = s3::quoted(object.etag);
  row.size = object.size;
  row.storage_class = object.meta.get("class", "STANDARD");
  if (const json::Value* sums = object.meta.find("sums"); sums != nullptr && !sums->object().empty()) {
    auto& names = row.checksum_algorithm.emplace();
    for (const auto& [name, value] : sums->object()) names.push_back(name);
    row.checksum_type = object.meta.get("sumType", "FULL_OBJECT");
  }
}

template <class R>
void fill_prefixes(R& out, const objects::Page& page, bool url) {
  if (page.prefixes.empty()) return;
  auto& list = out.common_prefixes.emplace();
  for (const auto& prefix : page.prefixes) list.emplace_back().prefix = s3::encode_key(prefix, url);
}

// Tokens say where to go on: the kind of the last entry and its text.
std::string token_of(const objects::Page& page) {
  return base64((page.last_is_prefix ? "p" : "k") + page.last);
}

}  // namespace

S3::Answer<op::ListObjectsV2> S3::list_objects_v2(Call&, const op::ListObjectsV2::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const bool url = TRY(url_encoding(q.encoding_type));
  const int32_t limit = TRY(limit_of(q.max_keys, "max-keys"));
  objects::Query query{
      q.bucket, q.prefix.value_or(""),     q.delimiter.value_or(""), q.start_after.value_or(""), "",
      false,    static_cast<size_t>(limit)};
  if (q.continuation_token) {
    const auto token = unbase64(*q.continuation_token);
    if (!token || token->size() < 2 || (token->front() != 'p' && token->front() != 'k'))
      return fault("InvalidArgument", "The continuation token provided is incorrect", 400);
    query.after = token->substr(1);
    query.after_is_prefix = token->front() == 'p';
  }
  const auto page = TRY(page_of(p_.database, query, false));
  op::ListObjectsV2::Response out;
  out.name = q.bucket;
  out.prefix = s3::encode_key(query.prefix, url);
  if (q.delimiter) out.delimiter = s3::encode_key(*q.delimiter, url);
  if (q.start_after) out.start_after = s3::encode_key(*q.start_after, url);
  out.max_keys = limit;
  out.encoding_type = q.encoding_type;
  out.key_count = static_cast<int32_t>(page.rows.size() + page.prefixes.size());
  out.is_truncated = page.truncated;
  out.continuation_token = q.continuation_token;
  if (page.truncated) out.next_continuation_token = token_of(page);
  if (!page.rows.empty()) {
    auto& contents = out.contents.emplace();
    for (const auto& object : page.rows) {
      fill(contents.emplace_back(), object, url);
      if (q.fetch_owner.value_or(false)) contents.back().owner.emplace().id = s3::canonical_id(b->account);
    }
  }
  fill_prefixes(out, page, url);
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
S3::Answer<op::ListObjects> S3::list_objects(Call&, const op::ListObjects::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const bool url = TRY(url_encoding(q.encoding_type));
  const int32_t limit = TRY(limit_of(q.max_keys, "max-keys"));
  const objects::Query query{
      q.bucket, q.prefix.value_or(""),     q.delimiter.value_or(""), q.marker.value_or(""), "",
      false,    static_cast<size_t>(limit)};
  const auto page = TRY(page_of(p_.database, query, false));
  op::ListObjects::Response out;
  out.name = q.bucket;
  out.prefix = s3::encode_key(query.prefix, url);
  out.marker = s3::encode_key(query.after, url);
  if (q.delimiter) out.delimiter = s3::encode_key(*q.delimiter, url);
  out.max_keys = limit;
  out.encoding_type = q.encoding_type;
  out.is_truncated = page.truncated;
  if (page.truncated && q.delimiter) out.next_marker = s3::encode_key(page.last, url);
  if (!page.rows.empty()) {
    auto& contents = out.contents.emplace();
    for (const auto& object : page.rows) {
      fill(contents.emplace_back(), object, url);
      contents.back().owner.emplace().id = s3::canonical_id(b->account);
    }
  }
  fill_prefixes(out, page, url);
  return out;
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
S3::Answer<op::ListObjectVersions> S3::list_versions(Call&, const op::ListObjectVersions::Request& q) {
  const auto b = TRY(bucket(q.bucket, q.expected_bucket_owner));
  const bool url = TRY(url_encoding(q.encoding_type));
  const int32_t limit = TRY(limit_of(q.max_keys, "max-keys"));
  if (q.version_id_marker && !q.version_id_marker->empty() && q.key_marker.value_or("").empty())
    return fault("InvalidArgument", "A version-id marker cannot be specified without a key marker.", 400);
  const objects::Query query{q.bucket,
                             q.prefix.value_or(""),
                             q.delimiter.value_or(""),
                             q.key_marker.value_or(""),
                             q.version_id_marker.value_or(""),
                             false,
                             static_cast<size_t>(limit)};
  const auto page = TRY(page_of(p_.database, query, true));
  op::ListObjectVersions::Response out;
  out.name = q.bucket;
  out.prefix = s3::encode_key(query.prefix, url);
  out.key_marker = s3::encode_key(query.after, url);
  out.version_id_marker = q.version_id_marker.value_or("");
  if (q.delimiter) out.delimiter = s3::encode_key(*q.delimiter, url);
  out.max_keys = limit;
  out.encoding_type = q.encoding_type;
  out.is_truncated = page.truncated;
  if (page.truncated) {
    out.next_key_marker = s3::encode_key(page.last, url);
    if (!page.last_is_prefix) out.next_version_id_marker = page.last_version;
  }
  for (const auto& object : page.rows) {
    if (object.marker) {
      auto& row = (out.delete_markers ? *out.delete_markers : out.delete_markers.emplace()).emplace_back();
      row.key = s3::encode_key(object.key, url);
      row.version_id = object.version;
      row.is_latest = object.latest;
      row.last_modified = object.modified;
      row.owner.emplace().id = s3::canonical_id(b->account);
      continue;
    }
    auto& row = (out.versions ? *out.versions : out.versions.emplace()).emplace_back();
    fill(row, object, url);
    row.version_id = object.version;
    row.is_latest = object.latest;
    row.owner.emplace().id = s3::canonical_id(b->account);
  }
  fill_prefixes(out, page, url);
  return out;
}

}  // namespace bastide::services
