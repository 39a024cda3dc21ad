#include "model/rest_codec.h"

#include <gtest/gtest.h>

#include <limits>

#include "gen/cloudfront.h"
#include "gen/cloudwatch.h"
#include "gen/s3.h"
#include "model/cbor_codec.h"
#include "model/xml_codec.h"

namespace bastide::model {
namespace {

using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

template <class Op>
Result<typename Op::Request> request_of(std::string_view path, std::string_view query, Headers headers,
                                        std::string_view body = "") {
  typename Op::Request out;
  Check check;
  const RestSource source{path, query, 0, std::move(headers), body};
  TRY(read_rest_request(Op::operation, source, RestBody::xml, &out, &check));
  validate(*Op::operation.input, &out, check);
  TRY(check.result());
  return out;
}

template <class Op>
RestMessage answer_of(const typename Op::Response& value) {
  return write_rest_response(Op::operation, &value, RestBody::xml);
}

std::string header(const RestMessage& message, std::string_view name) {
  for (const auto& [key, value] : message.headers) {
    if (key == name) return value;
  }
  return "(none)";
}

TEST(Rest, ReadsLabelsQueryHeadersAndPrefixedHeaders) {
  const auto put = request_of<s3::op::PutObject>("/photos//2026/a%20b%2Bc.jpg", "",
                                                 {{"X-Amz-Meta-Author", "Ada"},
                                                  {"x-amz-meta-empty", ""},
                                                  {"Content-Type", "image/jpeg"},
                                                  {"x-amz-server-side-encryption-bucket-key-enabled", "true"},
                                                  {"Content-Length", "12"}});
  ASSERT_TRUE(put.ok()) << put.error().message;
  EXPECT_EQ(put->bucket, "photos");
  EXPECT_EQ(put->key, "/2026/a b+c.jpg");
  EXPECT_EQ(put->metadata.value().at("author"), "Ada");
  EXPECT_EQ(put->metadata.value().count("empty"), 1u);
  EXPECT_EQ(put->content_type, "image/jpeg");
  EXPECT_EQ(put->bucket_key_enabled, true);
  EXPECT_EQ(put->content_length, 12);
  EXPECT_FALSE(put->body.has_value());

  const auto list = request_of<s3::op::ListObjectsV2>("/photos", "list-type=2&max-keys=7&prefix=a%2Fb+c", {});
  ASSERT_TRUE(list.ok()) << list.error().message;
  EXPECT_EQ(list->prefix, "a/b c");
  EXPECT_EQ(list->max_keys, 7);
  EXPECT_FALSE(request_of<s3::op::ListObjectsV2>("/photos", "max-keys=many", {}).ok());
}

TEST(Rest, TimesInHeadersAreHttpDatesAndInvalidConditionsAreNone) {
  const auto get = request_of<s3::op::GetObject>(
      "/b/k", "",
      {{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"If-Unmodified-Since", "yesterday"}});
  ASSERT_TRUE(get.ok());
  EXPECT_EQ(get->if_modified_since, 784111777000);
  EXPECT_FALSE(get->if_unmodified_since.has_value());
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
TEST(Rest, ReadsFlattenedListsOfAPayload) {
  const auto request = request_of<s3::op::DeleteObjects>(
      "/bucket", "delete", {},
      R"(<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
         <Quiet>true</Quiet><Object><Key>sample1.txt</Key></Object>
         <Object><Key>sample2.txt</Key><VersionId>v</VersionId></Object></Delete>)");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->delete_.objects.size(), 2u);
  EXPECT_EQ(request->delete_.objects[1].version_id, "v");
  EXPECT_EQ(request->delete_.quiet, true);
  const auto wrong = request_of<s3::op::DeleteObjects>("/bucket", "delete", {}, "<Remove/>");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, kMalformed);
  EXPECT_FALSE(request_of<s3::op::DeleteObjects>("/bucket", "delete", {}, "").ok());
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
TEST(Rest, WritesS3sRootElementsAndHeaders) {
  s3::ListObjectsV2Output list;
  list.name = "bucket";
  list.key_count = 1;
  list.is_truncated = false;
  auto& object = list.contents.emplace().emplace_back();
  object.key = "a<b";
  object.last_modified = 1255369850000;
  object.size = 434234;
  list.request_charged = "requester";
  const auto message = answer_of<s3::op::ListObjectsV2>(list);
  EXPECT_EQ(
      message.body,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>false</IsTruncated>"
      "<Contents><Key>a&lt;b</Key><LastModified>2009-10-12T17:50:50Z</LastModified><Size>434234</Size>"
      "</Contents><Name>bucket</Name><KeyCount>1</KeyCount></ListBucketResult>");
  EXPECT_EQ(header(message, "x-amz-request-charged"), "requester");

  s3::GetBucketLocationOutput location;
  EXPECT_EQ(answer_of<s3::op::GetBucketLocation>(location).body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></LocationConstraint>");
  location.location_constraint = "eu-west-1";
  EXPECT_NE(answer_of<s3::op::GetBucketLocation>(location).body.find(">eu-west-1<"), std::string::npos);

  s3::GetObjectOutput object_head;
  object_head.last_modified = 784111777000;
  object_head.metadata.emplace()["author"] = "Ada\r\nX-Evil: 1";
  object_head.content_type = "text/plain";
  const auto head = answer_of<s3::op::GetObject>(object_head);
  EXPECT_EQ(header(head, "Last-Modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(header(head, "x-amz-meta-author"), "Ada  X-Evil: 1");
  EXPECT_EQ(head.content_type, "");

  s3::GetBucketPolicyOutput policy;
  policy.policy = "{}";
  EXPECT_EQ(answer_of<s3::op::GetBucketPolicy>(policy).body, "{}");
  EXPECT_EQ(answer_of<s3::op::DeleteBucket>({}).status, 204);
}

TEST(Rest, WritesAttributesWithTheirNamespace) {
  s3::GetBucketAclOutput acl;
  auto& grant = acl.grants.emplace().emplace_back();
  grant.grantee.emplace().type = "CanonicalUser";
  grant.grantee->id = "x";
  grant.permission = "FULL_CONTROL";
  EXPECT_NE(
      answer_of<s3::op::GetBucketAcl>(acl).body.find(
          "<AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
          "xsi:type=\"CanonicalUser\"><ID>x</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>"),
      std::string::npos);
}

TEST(Rest, FitsTheMostSpecificTemplate) {
  EXPECT_GT(rest_fit("GET", "/{Bucket}?list-type=2", "GET", "/b", "list-type=2&prefix=x"),
            rest_fit("GET", "/{Bucket}", "GET", "/b/", "list-type=2&prefix=x"));
  EXPECT_EQ(rest_fit("GET", "/{Bucket}/{Key+}", "GET", "/b/", ""), -1);
  EXPECT_EQ(rest_fit("GET", "/{Bucket}?acl", "GET", "/b", "aclx"), -1);
  EXPECT_GE(rest_fit("GET", "/{Bucket}/{Key+}", "GET", "/b//x", ""), 0);
  EXPECT_EQ(rest_fit("GET", "/{Bucket}", "PUT", "/b", ""), -1);
  EXPECT_GE(rest_fit("GET", "/2020-05-31/distribution/{Id}/config", "GET",
                     "/2020-05-31/distribution/E1/config", ""),
            0);
}

// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html
TEST(Rest, ReadsAndWritesCloudFrontsLists) {
  const auto request = request_of<cloudfront::op::CreateInvalidation>(
      "/2020-05-31/distribution/EDFDVBD6EXAMPLE/invalidation", "", {},
      R"(<InvalidationBatch xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">
         <CallerReference>r</CallerReference><Paths><Items><Path>/a*</Path><Path>/b</Path></Items>
         <Quantity>2</Quantity></Paths></InvalidationBatch>)");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->distribution_id, "EDFDVBD6EXAMPLE");
  EXPECT_EQ(request->invalidation_batch.paths.items.value().at(1), "/b");
  cloudfront::CreateInvalidationResult result;
  result.location = "https://x/2020-05-31/distribution/E/invalidation/I";
  auto& invalidation = result.invalidation.emplace();
  invalidation.id = "I";
  invalidation.status = "InProgress";
  invalidation.invalidation_batch = request->invalidation_batch;
  const auto message = answer_of<cloudfront::op::CreateInvalidation>(result);
  EXPECT_EQ(message.status, 201);
  EXPECT_EQ(header(message, "Location"), *result.location);
  EXPECT_NE(
      message.body.find("<Invalidation xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>I</Id>"),
      std::string::npos);
  EXPECT_NE(message.body.find("<Items><Path>/a*</Path><Path>/b</Path></Items>"), std::string::npos);
}

TEST(Rest, WhatAClientWritesAServerReads) {
  s3::PutObjectTaggingRequest tagging;
  tagging.bucket = "b";
  tagging.key = "a b/c+d";
  tagging.version_id = "v&1";
  tagging.tagging.tag_set.push_back({"k", "v"});
  const auto message = write_rest_request(s3::op::PutObjectTagging::operation, &tagging, RestBody::xml);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->target, "/b/a%20b/c%2Bd?tagging&versionId=v%261");
  const size_t mark = message->target.find('?');
  const auto read = request_of<s3::op::PutObjectTagging>(message->target.substr(0, mark),
                                                         message->target.substr(mark + 1), {}, message->body);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->key, tagging.key);
  EXPECT_EQ(read->version_id, "v&1");
  EXPECT_EQ(read->tagging.tag_set.at(0).value, "v");
  tagging.bucket.clear();
  EXPECT_FALSE(write_rest_request(s3::op::PutObjectTagging::operation, &tagging, RestBody::xml).ok());
}

TEST(Cbor, ReadsWhatItWroteAndOtherLengthsAndRefusesBrokenOnes) {
  cloudwatch::PutMetricDataInput input;
  input.namespace_ = "shop";
  auto& datum = input.metric_data.emplace().emplace_back();
  datum.metric_name = "orders";
  datum.value = 1.5;
  datum.timestamp = 1700000000123;
  datum.storage_resolution = 60;
  std::string bytes;
  write_cbor(bytes, *cloudwatch::op::PutMetricData::operation.input, &input);
  cloudwatch::PutMetricDataInput read;
  Check check;
  ASSERT_TRUE(read_cbor(bytes, *cloudwatch::op::PutMetricData::operation.input, &read, &check).ok());
  EXPECT_EQ(read.namespace_, "shop");
  EXPECT_EQ(read.metric_data->at(0).value, 1.5);
  EXPECT_EQ(read.metric_data->at(0).timestamp, 1700000000123);
  for (size_t size = 1; size < bytes.size(); ++size) {
    cloudwatch::PutMetricDataInput broken;
    EXPECT_FALSE(read_cbor(std::string_view(bytes).substr(0, size),
                           *cloudwatch::op::PutMetricData::operation.input, &broken, nullptr)
                     .ok());
  }
  // RFC 8949 section 3.2: {_ "Namespace": (_ "sh", "op")}, half-precision numbers are read too.
  const std::string_view indefinite("\xbf\x69Namespace\x7f\x62sh\x62op\xff\xff", 20);
  cloudwatch::PutMetricDataInput other;
  ASSERT_TRUE(read_cbor(indefinite, *cloudwatch::op::PutMetricData::operation.input, &other, nullptr).ok());
  EXPECT_EQ(other.namespace_, "shop");
  const std::string deep(5000, '\x81');
  EXPECT_FALSE(read_cbor(deep, *cloudwatch::op::PutMetricData::operation.input, &other, nullptr).ok());
  std::string error;
  write_cbor_texts(error, {{"__type", "InvalidParameterValueException"}, {"message", "no"}});
  EXPECT_EQ(cbor_text(error, "message"), "no");
}

}  // namespace
}  // namespace bastide::model
