#include <gtest/gtest.h>

#include <cmath>

#include "gen/cloudformation.h"
#include "gen/ec2.h"
#include "gen/ecs.h"
#include "gen/elbv2.h"
#include "gen/iam.h"
#include "gen/kms.h"
#include "gen/logs.h"
#include "gen/organizations.h"
#include "gen/sts.h"
#include "model/check.h"
#include "model/json_codec.h"
#include "model/query_codec.h"
#include "model/xml_codec.h"

namespace bastide::model {
namespace {

template <class Op>
Result<typename Op::Request> from_json(std::string_view text) {
  typename Op::Request out;
  Check check;
  TRY(read_json(text, *Op::operation.input, &out, &check));
  validate(*Op::operation.input, &out, check);
  TRY(check.result());
  return out;
}

template <class Op>
Result<typename Op::Request> from_form(std::string_view text, bool ec2 = false) {
  typename Op::Request out;
  Check check(ec2 ? Check::Style::ec2 : Check::Style::coral);
  const auto params = TRY(Params::parse(text));
  TRY(read_query(params, *Op::operation.input, &out, ec2, &check));
  validate(*Op::operation.input, &out, check);
  TRY(check.result());
  return out;
}

template <class Op>
std::string to_json(const typename Op::Response& value) {
  std::string out;
  write_json(out, *Op::operation.output, &value);
  return out;
}

template <class Op>
std::string to_xml(const typename Op::Response& value) {
  std::string out;
  write_xml_members(out, *Op::operation.output, &value);
  return out;
}

template <class R>
std::string message(const R& result) {
  return result.ok() ? "accepted" : result.error().message;
}

TEST(Names, FollowTheContractOfTheHandbook) {
  kms::EncryptRequest encrypt;
  encrypt.key_id = "k";  // required: plain
  encrypt.plaintext = "p";
  encrypt.encryption_context.emplace()["a"] = "b";  // optional
  EXPECT_EQ(std::string(kms::op::Encrypt::service), "kms");
  EXPECT_EQ(std::string(kms::op::Encrypt::operation.name), "Encrypt");
  ec2::CreateSubnetRequest subnet;
  subnet.vpc_id = "vpc-1";
  ec2::IpPermission permission;
  permission.ipv6_ranges.emplace();
  static_assert(std::is_same_v<kms::op::DeleteAlias::Response, Empty>);
  static_assert(std::is_same_v<decltype(kms::KeyMetadata::creation_date), std::optional<Millis>>);
  EXPECT_EQ(find_operation(kms::kService, "Encrypt")->implemented, &kms::op::Encrypt::operation);
}

TEST(Names, EveryOperationOfAwsIsKnownEvenWithoutAnImplementation) {
  const auto* derive = find_operation(kms::kService, "DeriveSharedSecret");
  ASSERT_NE(derive, nullptr);
  EXPECT_EQ(derive->implemented, nullptr);
  EXPECT_EQ(find_operation(kms::kService, "NoSuchThing"), nullptr);
  EXPECT_GT(ec2::kService.operation_count, 600);
  EXPECT_EQ(std::string(find_service("elbv2")->signing_name), "elasticloadbalancing");
}

void check_patterns(const Type& type, std::vector<const Type*>& seen, std::string& wrong) {
  for (const Type* known : seen) {
    if (known == &type) return;
  }
  seen.push_back(&type);
  if (type.pattern != nullptr) {
    if (const auto why = pattern_error(*type.pattern); !why.empty())
      wrong += std::string(type.name) + ": " + type.pattern->text + ": " + why + "\n";
  }
  for (uint16_t i = 0; i < type.field_count; ++i) check_patterns(*type.fields[i].type, seen, wrong);
  if (type.element != nullptr) check_patterns(*type.element, seen, wrong);
  if (type.key != nullptr) check_patterns(*type.key, seen, wrong);
}

TEST(Tables, EveryPatternOfEveryImplementedOperationCompiles) {
  std::string wrong;
  for (const Service* service : services()) {
    std::vector<const Type*> seen;
    for (uint16_t i = 0; i < service->operation_count; ++i) {
      if (const Operation* operation = service->operations[i].implemented) {
        check_patterns(*operation->input, seen, wrong);
        check_patterns(*operation->output, seen, wrong);
      }
    }
  }
  EXPECT_EQ(wrong, "");
}

TEST(JsonCodec, ReadsARequestAndItsBlobs) {
  const auto request = from_json<kms::op::Encrypt>(
      R"({"KeyId":"alias/app","Plaintext":"aGVsbG8=","EncryptionContext":{"app":"shop","é":"\u00e9\ud83d\ude00"},"Unknown":[1,{"x":null}],"DryRun":false})");
  ASSERT_TRUE(request.ok()) << message(request);
  EXPECT_EQ(request->key_id, "alias/app");
  EXPECT_EQ(request->plaintext, "hello");
  EXPECT_EQ(request->encryption_context->at("é"), "é😀");
  EXPECT_EQ(request->dry_run, false);
  EXPECT_FALSE(request->grant_tokens.has_value());
}

TEST(JsonCodec, SaysWhatIsMissingOrTooLongInAwsWords) {
  EXPECT_EQ(message(from_json<kms::op::Encrypt>(R"({"Plaintext":"aGVsbG8="})")),
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must "
            "not be null");
  const std::string key(2049, 'k');
  EXPECT_EQ(message(from_json<kms::op::DescribeKey>("{\"KeyId\":\"" + key + "\"}")).substr(0, 40),
            "1 validation error detected: Value 'kkkk");
  EXPECT_TRUE(message(from_json<kms::op::DescribeKey>("{\"KeyId\":\"" + key + "\"}"))
                  .ends_with("' at 'keyId' failed to satisfy constraint: Member must have length less than "
                             "or equal to 2048"));
  EXPECT_EQ(message(from_json<kms::op::ListKeys>(R"({"Limit":0})")),
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must "
            "have value greater "
            "than or equal to 1");
  EXPECT_TRUE(
      message(from_json<kms::op::CreateKey>(R"({"KeyUsage":"EVERYTHING"})"))
          .starts_with(
              "1 validation error detected: Value 'EVERYTHING' at 'keyUsage' failed to satisfy constraint: "
              "Member must satisfy enum value set: [ENCRYPT_DECRYPT, "));
  EXPECT_EQ(message(from_json<kms::op::CreateAlias>(R"({"AliasName":"alias/a b","TargetKeyId":"x"})")),
            "1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy constraint: "
            "Member must satisfy "
            "regular expression pattern: ^[a-zA-Z0-9:/_-]+$");
  EXPECT_EQ(message(from_json<kms::op::TagResource>(
                R"({"KeyId":"k","Tags":[{"TagKey":"a","TagValue":"b"},{"TagKey":""}]})")),
            "2 validation errors detected: Value null at 'tags.2.member.tagValue' failed to satisfy "
            "constraint: Member must "
            "not be null; Value '' at 'tags.2.member.tagKey' failed to satisfy constraint: Member must have "
            "length greater "
            "than or equal to 1");
}

TEST(JsonCodec, NeverEchoesASecret) {
  const auto text = message(from_json<iam::op::CreateLoginProfile>(R"({"UserName":"u","Password":""})"));
  EXPECT_EQ(text.find("Value ''"), std::string::npos) << text;
}

TEST(JsonCodec, RefusesWhatIsNotJsonOrOfAnotherKind) {
  for (const char* text : {"",
                           "{",
                           "{\"KeyId\"}",
                           "{\"KeyId\":}",
                           "{\"KeyId\":\"a\"}}",
                           "[]",
                           "\"x\"",
                           "{\"KeyId\":5}",
                           "{\"KeyId\":{}}",
                           "{\"KeyId\":\"a\",}",
                           "{\"KeyId\":\"\\ud800\"}",
                           "{\"KeyId\":\"a\" \"b\"}",
                           "{\"KeyId\":\"\x01\"}",
                           "{\"KeyId\":\"\xff\"}",
                           "{\"KeyId\":\"a\",\"KeyId\":\"b\"}",
                           "{'KeyId':1}",
                           "{\"KeyId\":nul}",
                           "{\"X\":01}",
                           "{\"X\":1.}",
                           "{\"X\":-}",
                           "{\"GrantTokens\":\"x\",\"KeyId\":\"k\"}",
                           "{\"GrantTokens\":[,],\"KeyId\":\"k\"}"}) {
    const auto request = from_json<kms::op::DescribeKey>(text);
    ASSERT_FALSE(request.ok()) << text;
    EXPECT_EQ(request.error().code, kMalformed) << text;
  }
  const std::string deep(100'000, '[');
  EXPECT_FALSE(from_json<kms::op::DescribeKey>("{\"X\":" + deep).ok());
  EXPECT_FALSE(from_json<kms::op::Encrypt>(R"({"KeyId":"k","Plaintext":"not base64!"})").ok());
  EXPECT_FALSE(from_json<kms::op::ListKeys>(R"({"Limit":1.5})").ok());
  EXPECT_FALSE(from_json<kms::op::ListKeys>(R"({"Limit":4294967297})").ok());
  EXPECT_TRUE(from_json<kms::op::ListKeys>(R"({"Limit":1e2})").ok());
}

TEST(JsonCodec, WritesTimesBlobsAndNestedStructures) {
  kms::DescribeKeyResponse response;
  auto& key = response.key_metadata.emplace();
  key.key_id = "k\"1";
  key.creation_date = 1'700'000'000'123;
  key.enabled = true;
  EXPECT_EQ(to_json<kms::op::DescribeKey>(response),
            R"({"KeyMetadata":{"KeyId":"k\"1","CreationDate":1700000000.123,"Enabled":true}})");
  kms::EncryptResponse encrypted;
  encrypted.ciphertext_blob = std::string("\0\xff", 2);
  EXPECT_EQ(to_json<kms::op::Encrypt>(encrypted), R"({"CiphertextBlob":"AP8="})");
}

TEST(JsonCodec, ReadsBackWhatItWrites) {
  const auto request =
      from_json<ecs::op::RegisterTaskDefinition>(R"({"family":"web","containerDefinitions":[{"name":"app",
      "image":"x@sha256:1","essential":true,"cpu":256,"portMappings":[{"containerPort":8080}],"environment":[{"name":"A","value":"b"}],
      "logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"g"}}}]})");
  ASSERT_TRUE(request.ok()) << message(request);
  std::string text;
  write_json(text, *ecs::op::RegisterTaskDefinition::operation.input, &*request);
  const auto again = from_json<ecs::op::RegisterTaskDefinition>(text);
  ASSERT_TRUE(again.ok()) << message(again);
  EXPECT_EQ(again->container_definitions[0].port_mappings->at(0).container_port, 8080);
  EXPECT_EQ(again->container_definitions[0].log_configuration->options->at("awslogs-group"), "g");
}

TEST(QueryCodec, ReadsListsMapsAndNumbers) {
  const auto request = from_form<sts::op::AssumeRole>(
      "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdeploy&"
      "RoleSessionName=ci"
      "&DurationSeconds=3600&Tags.member.2.Key=b&Tags.member.2.Value=2&Tags.member.1.Key=a&Tags.member.1."
      "Value=1+x"
      "&TransitiveTagKeys.member.1=a");
  ASSERT_TRUE(request.ok()) << message(request);
  EXPECT_EQ(request->role_arn, "arn:aws:iam::123456789012:role/deploy");
  EXPECT_EQ(request->duration_seconds, 3600);
  ASSERT_EQ(request->tags->size(), 2u);
  EXPECT_EQ(request->tags->at(0).value, "1 x");
  EXPECT_EQ(request->tags->at(1).key, "b");
}

TEST(QueryCodec, KeepsMoreThanNineElementsInOrder) {
  std::string form = "Action=TagRole&RoleName=r";
  for (int i = 1; i <= 12; ++i) {
    form += "&Tags.member." + std::to_string(i) + ".Key=k" + std::to_string(i) + "&Tags.member." +
            std::to_string(i) + ".Value=v";
  }
  const auto request = from_form<iam::op::TagRole>(form);
  ASSERT_TRUE(request.ok()) << message(request);
  ASSERT_EQ(request->tags.size(), 12u);
  EXPECT_EQ(request->tags[9].key, "k10");
}

TEST(QueryCodec, AnswersInAwsWords) {
  EXPECT_EQ(message(from_form<iam::op::GetRole>("Action=GetRole")),
            "1 validation error detected: Value null at 'roleName' failed to satisfy constraint: Member must "
            "not be null");
  EXPECT_EQ(message(from_form<sts::op::AssumeRole>(
                "RoleArn=arn:aws:iam::123456789012:role/x&RoleSessionName=a%2Fb")),
            "1 validation error detected: Value 'a/b' at 'roleSessionName' failed to satisfy constraint: "
            "Member must satisfy "
            "regular expression pattern: [\\w+=,.@-]*");
  EXPECT_EQ(from_form<iam::op::GetRole>("RoleName=a&RoleName=b").error().code, kMalformed);
  EXPECT_EQ(from_form<iam::op::GetRole>("RoleName=%zz").error().code, kMalformed);
  EXPECT_EQ(from_form<iam::op::ListRoles>("MaxItems=ten").error().code, kMalformed);
}

TEST(QueryCodec, ReadsBackWhatItWrites) {
  elbv2::CreateTargetGroupInput input;
  input.name = "tg";
  input.port = 80;
  input.matcher.emplace().http_code = "200-299";
  input.tags.emplace().push_back({.key = "a:b", .value = "ü + 1"});
  std::string form;
  write_query(form, *elbv2::op::CreateTargetGroup::operation.input, &input, false);
  const auto again = from_form<elbv2::op::CreateTargetGroup>(form);
  ASSERT_TRUE(again.ok()) << message(again);
  EXPECT_EQ(again->port, 80);
  EXPECT_EQ(again->matcher->http_code, "200-299");
  EXPECT_EQ(again->tags->at(0).key, "a:b");
  EXPECT_EQ(again->tags->at(0).value, "ü + 1");
}

TEST(Ec2Codec, ReadsFlatListsByEc2Names) {
  const auto request = from_form<ec2::op::AuthorizeSecurityGroupIngress>(
      "GroupId=sg-1&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=443&IpPermissions.1.ToPort=443"
      "&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0%2F8&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=%3A%3A%2F0",
      true);
  ASSERT_TRUE(request.ok()) << message(request);
  EXPECT_EQ(request->ip_permissions->at(0).ip_ranges->at(0).cidr_ip, "10.0.0.0/8");
  EXPECT_EQ(request->ip_permissions->at(0).from_port, 443);
  const auto described = from_form<ec2::op::DescribeVpcs>(
      "Filter.1.Name=vpc-id&Filter.1.Value.1=a&Filter.1.Value.2=b&VpcId.1=vpc-1", true);
  ASSERT_TRUE(described.ok()) << message(described);
  EXPECT_EQ(described->filters->at(0).values->size(), 2u);
  EXPECT_EQ(described->vpc_ids->at(0), "vpc-1");
}

TEST(Ec2Codec, NamesAMissingParameterAsEc2Does) {
  const auto request = from_form<ec2::op::CreateSubnet>("CidrBlock=10.0.0.0/24", true);
  ASSERT_FALSE(request.ok());
  EXPECT_EQ(request.error().code, "MissingParameter");
  EXPECT_EQ(request.error().message, "The request must contain the parameter VpcId");
}

TEST(XmlCodec, WritesEc2SetsAndQueryMembers) {
  ec2::DescribeVpcsResult vpcs;
  auto& vpc = vpcs.vpcs.emplace().emplace_back();
  vpc.vpc_id = "vpc-1";
  vpc.is_default = false;
  vpc.tags.emplace().push_back({.key = "Name", .value = "<main>"});
  EXPECT_EQ(to_xml<ec2::op::DescribeVpcs>(vpcs).find("<vpcSet><item>"), 0u)
      << to_xml<ec2::op::DescribeVpcs>(vpcs);
  EXPECT_NE(to_xml<ec2::op::DescribeVpcs>(vpcs).find(
                "<tagSet><item><key>Name</key><value>&lt;main&gt;</value></item></tagSet>"),
            std::string::npos)
      << to_xml<ec2::op::DescribeVpcs>(vpcs);
  iam::ListRolesResponse roles;
  auto& role = roles.roles.emplace_back();
  role.role_name = "r";
  role.create_date = 1'700'000'000'000;
  EXPECT_NE(to_xml<iam::op::ListRoles>(roles).find("<Roles><member>"), std::string::npos);
  EXPECT_NE(to_xml<iam::op::ListRoles>(roles).find("<CreateDate>2023-11-14T22:13:20Z</CreateDate>"),
            std::string::npos);
}

TEST(XmlCodec, ReadsBackWhatItWrites) {
  cloudformation::DescribeStacksOutput output;
  auto& stack = output.stacks.emplace().emplace_back();
  stack.stack_name = "net";
  stack.stack_status = "CREATE_COMPLETE";
  stack.creation_time = 1'700'000'000'000;
  stack.outputs.emplace().push_back({.output_key = "K", .output_value = " spaces kept\n& more "});
  const auto root = parse_xml("<R>" + to_xml<cloudformation::op::DescribeStacks>(output) + "</R>");
  ASSERT_TRUE(root.ok());
  cloudformation::DescribeStacksOutput again;
  ASSERT_TRUE(read_xml(*root, *cloudformation::op::DescribeStacks::operation.output, &again, nullptr).ok());
  ASSERT_EQ(again.stacks->size(), 1u);
  EXPECT_EQ(again.stacks->at(0).stack_name, "net");
  EXPECT_EQ(again.stacks->at(0).creation_time, 1'700'000'000'000);
  EXPECT_EQ(again.stacks->at(0).outputs->at(0).output_value, " spaces kept\n& more ");
}

TEST(XmlTree, RefusesDocumentTypesDepthAndRubbish) {
  EXPECT_FALSE(parse_xml("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>").ok());
  EXPECT_FALSE(parse_xml("").ok());
  EXPECT_FALSE(parse_xml("<a>").ok());
  EXPECT_FALSE(parse_xml("<a/><b/>").ok());
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "<a>";
  EXPECT_FALSE(parse_xml(deep).ok());
  EXPECT_EQ(parse_xml("<x:a xmlns:x=\"u\" k=\"v\">t</x:a>")->name, "a");
}

TEST(JsonByName, SpeaksTheModelsMemberNamesInEveryProtocol) {
  const auto input = json::parse(R"({"VpcIds":["vpc-1"],"Filters":[{"Name":"a","Values":["b"]}]})");
  ec2::DescribeVpcsRequest request;
  Check check;
  ASSERT_TRUE(read_json_value(*input, *ec2::op::DescribeVpcs::operation.input, &request, &check).ok());
  EXPECT_EQ(request.vpc_ids->at(0), "vpc-1");
  EXPECT_EQ(write_json_value(*ec2::op::DescribeVpcs::operation.input, &request), *input);
}

}  // namespace
}  // namespace bastide::model
