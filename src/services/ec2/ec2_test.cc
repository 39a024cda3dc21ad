#include "services/ec2/ec2.h"

#include <gtest/gtest.h>

#include "net/test_loop.h"
#include "services/ec2/cidr.h"
#include "services/ec2/network_reconciler.h"
#include "sys/file.h"

namespace bastide::services {
namespace {

using json::array;
using json::object;
using json::Value;

struct Ec2Test : ::testing::Test {
  Ec2Test() : folder("/tmp/ec2-test-" + std::to_string(::getpid())) {
    EXPECT_TRUE(sys::make_folders(folder));
    db = store::Database::open(folder + "/metadata.sqlite", clock).value();
    ec2 = std::make_unique<Ec2>(*db);
    ec2->offer(registry);
  }
  ~Ec2Test() override {
    db.reset();
    EXPECT_TRUE(sys::remove_tree(folder));
  }
  Result<Value> call(const std::string& operation, const Value& input,
                     const std::string& account = "111122223333") {
    const auto* entry = registry.find("ec2", operation);
    if (entry == nullptr) return error("no operation " + operation);
    auto request = entry->make_request(), response = entry->make_response();
    TRY(model::read_json_value(input, *entry->operation->input, request.get(), nullptr));
    aws::Call c;
    c.principal = aws::Principal::root(account);
    c.account = account;
    c.region = "eu-west-1";
    c.now = clock.wall();
    TRY(entry->targets(c, request.get()));
    TRY(entry->run(c, request.get(), response.get()));
    return model::write_json_value(*entry->operation->output, response.get());
  }
  std::string code(const std::string& operation, const Value& input,
                   const std::string& account = "111122223333") {
    auto r = call(operation, input, account);
    return r ? "" : r.error().code;
  }
  std::string vpc(const std::string& cidr = "10.10.0.0/16") {
    return call("CreateVpc", object({{"CidrBlock", cidr}})).value().find("Vpc")->get("VpcId");
  }
  std::string subnet(const std::string& vpc, const std::string& cidr) {
    return call("CreateSubnet", object({{"VpcId", vpc}, {"CidrBlock", cidr}}))
        .value()
        .find("Subnet")
        ->get("SubnetId");
  }
  static Value filter(const std::string& name, const std::string& value) {
    return object({{"Filters", array({object({{"Name", name}, {"Values", array({value})}})})}});
  }

  std::string folder;
  ManualClock clock{1'700'000'000'000};
  std::unique_ptr<store::Database> db;
  std::unique_ptr<Ec2> ec2;
  aws::Registry registry;
};

TEST_F(Ec2Test, EveryOperationOfTheModelIsOffered) {
  const auto* service = model::find_service("ec2");
  ASSERT_NE(service, nullptr);
  for (uint16_t i = 0; i < service->operation_count; ++i) {
    const auto& operation = service->operations[i];
    EXPECT_EQ(operation.implemented != nullptr, registry.find("ec2", operation.name) != nullptr)
        << operation.name;
  }
}

TEST_F(Ec2Test, AVpcComesWithItsMainRouteTableAndDefaultGroup) {
  auto id = vpc();
  EXPECT_EQ(id.size(), 4u + 17u);
  auto tables = call("DescribeRouteTables", filter("vpc-id", id)).value();
  ASSERT_EQ(tables.get_array("RouteTables").size(), 1u);
  const auto& table = tables.get_array("RouteTables")[0];
  EXPECT_TRUE(table.get_array("Associations")[0].get_bool("Main"));
  EXPECT_EQ(table.get_array("Routes")[0].get("GatewayId"), "local");
  auto groups = call("DescribeSecurityGroups", filter("vpc-id", id)).value();
  ASSERT_EQ(groups.get_array("SecurityGroups").size(), 1u);
  EXPECT_EQ(groups.get_array("SecurityGroups")[0].get("GroupName"), "default");
  EXPECT_EQ(code("DeleteSecurityGroup",
                 object({{"GroupId", groups.get_array("SecurityGroups")[0].get("GroupId")}})),
            "CannotDelete");
  EXPECT_EQ(code("DeleteVpc", object({{"VpcId", id}})), "");
  EXPECT_EQ(code("DescribeVpcs", object({{"VpcIds", array({id})}})), "InvalidVpcID.NotFound");
  EXPECT_TRUE(call("DescribeRouteTables", object()).value().get_array("RouteTables").empty());
}

TEST_F(Ec2Test, VpcsOfOneMachineDoNotOverlapAcrossAccounts) {
  vpc("10.10.0.0/16");
  EXPECT_EQ(code("CreateVpc", object({{"CidrBlock", "10.10.128.0/20"}}), "444455556666"), "InvalidVpc.Range");
  EXPECT_EQ(code("CreateVpc", object({{"CidrBlock", "10.11.0.0/16"}}), "444455556666"), "");
  EXPECT_EQ(code("CreateVpc", object({{"CidrBlock", "10.0.0.0/8"}})), "InvalidVpc.Range");
  EXPECT_EQ(code("CreateVpc", object({{"CidrBlock", "10.20.0.0"}})), "InvalidParameterValue");
  EXPECT_EQ(code("CreateVpc", object({{"CidrBlock", "10.20.0.0/16"}, {"DryRun", true}})), "DryRunOperation");
  EXPECT_EQ(call("DescribeVpcs", object()).value().get_array("Vpcs").size(), 1u) << "of this account alone";
}

TEST_F(Ec2Test, SubnetsStayInsideTheirVpcAndApart) {
  auto v = vpc();
  auto s = subnet(v, "10.10.1.0/24");
  EXPECT_EQ(code("CreateSubnet", object({{"VpcId", v}, {"CidrBlock", "10.10.1.128/25"}})),
            "InvalidSubnet.Conflict");
  EXPECT_EQ(code("CreateSubnet", object({{"VpcId", v}, {"CidrBlock", "10.11.1.0/24"}})),
            "InvalidSubnet.Range");
  EXPECT_EQ(code("CreateSubnet", object({{"VpcId", "vpc-0123456789abcdef0"}, {"CidrBlock", "10.10.2.0/24"}})),
            "InvalidVpcID.NotFound");
  auto found = call("DescribeSubnets", filter("vpc-id", v)).value();
  EXPECT_EQ(found.get_array("Subnets")[0].get_int("AvailableIpAddressCount"), 251);
  EXPECT_EQ(found.get_array("Subnets")[0].get("AvailabilityZoneId"), "euw1-az1");
  EXPECT_EQ(code("DeleteVpc", object({{"VpcId", v}})), "DependencyViolation");
  EXPECT_EQ(code("ModifySubnetAttribute",
                 object({{"SubnetId", s}, {"MapPublicIpOnLaunch", object({{"Value", true}})}})),
            "");
  EXPECT_TRUE(call("DescribeSubnets", object({{"SubnetIds", array({s})}}))
                  .value()
                  .get_array("Subnets")[0]
                  .get_bool("MapPublicIpOnLaunch"));
  EXPECT_EQ(code("DeleteSubnet", object({{"SubnetId", s}})), "");
  EXPECT_EQ(code("DeleteVpc", object({{"VpcId", v}})), "");
}

TEST_F(Ec2Test, RoutesLeadToAttachedGateways) {
  auto v = vpc();
  auto s = subnet(v, "10.10.1.0/24");
  auto igw =
      call("CreateInternetGateway", object()).value().find("InternetGateway")->get("InternetGatewayId");
  auto table =
      call("CreateRouteTable", object({{"VpcId", v}})).value().find("RouteTable")->get("RouteTableId");
  auto route = object({{"RouteTableId", table}, {"DestinationCidrBlock", "0.0.0.0/0"}, {"GatewayId", igw}});
  EXPECT_EQ(code("CreateRoute", route), "InvalidParameterValue") << "not attached yet";
  EXPECT_EQ(code("AttachInternetGateway", object({{"InternetGatewayId", igw}, {"VpcId", v}})), "");
  EXPECT_EQ(code("AttachInternetGateway", object({{"InternetGatewayId", igw}, {"VpcId", v}})),
            "Resource.AlreadyAssociated");
  EXPECT_EQ(code("CreateRoute", route), "");
  EXPECT_EQ(code("CreateRoute", route), "RouteAlreadyExists");
  auto association = call("AssociateRouteTable", object({{"RouteTableId", table}, {"SubnetId", s}}))
                         .value()
                         .get("AssociationId");
  EXPECT_EQ(code("AssociateRouteTable", object({{"RouteTableId", table}, {"SubnetId", s}})),
            "Resource.AlreadyAssociated");
  EXPECT_EQ(code("DeleteRouteTable", object({{"RouteTableId", table}})), "DependencyViolation");
  EXPECT_EQ(
      call("DescribeRouteTables", filter("association.subnet-id", s)).value().get_array("RouteTables").size(),
      1u);
  EXPECT_EQ(code("DeleteInternetGateway", object({{"InternetGatewayId", igw}})), "DependencyViolation");
  EXPECT_EQ(code("DetachInternetGateway", object({{"InternetGatewayId", igw}, {"VpcId", v}})), "");
  EXPECT_EQ(
      call("DescribeRouteTables", filter("route.state", "blackhole")).value().get_array("RouteTables").size(),
      1u);
  EXPECT_EQ(code("DisassociateRouteTable", object({{"AssociationId", association}})), "");
  EXPECT_EQ(code("DeleteRoute", object({{"RouteTableId", table}, {"DestinationCidrBlock", "0.0.0.0/0"}})),
            "");
  EXPECT_EQ(code("DeleteRouteTable", object({{"RouteTableId", table}})), "");
}

TEST_F(Ec2Test, SecurityGroupRulesAreAddedOnceAndRevoked) {
  auto v = vpc();
  auto create = object({{"VpcId", v}, {"GroupName", "web"}, {"Description", "the web"}});
  auto g = call("CreateSecurityGroup", create).value().get("GroupId");
  EXPECT_EQ(code("CreateSecurityGroup", create), "InvalidGroup.Duplicate");
  auto permission =
      object({{"IpProtocol", "tcp"},
              {"FromPort", 80},
              {"ToPort", 80},
              {"IpRanges", array({object({{"CidrIp", "0.0.0.0/0"}, {"Description", "all"}})})}});
  auto rule = object({{"GroupId", g}, {"IpPermissions", array({permission})}});
  auto added = call("AuthorizeSecurityGroupIngress", rule);
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->get_array("SecurityGroupRules")[0].get("CidrIpv4"), "0.0.0.0/0");
  EXPECT_EQ(code("AuthorizeSecurityGroupIngress", rule), "InvalidPermission.Duplicate");
  EXPECT_EQ(code("AuthorizeSecurityGroupIngress", object({{"GroupId", g},
                                                          {"IpProtocol", "tcp"},
                                                          {"FromPort", 9},
                                                          {"ToPort", 2},
                                                          {"CidrIp", "10.0.0.0/8"}})),
            "InvalidParameterValue");
  auto shown = call("DescribeSecurityGroups", object({{"GroupIds", array({g})}})).value();
  const auto& group = shown.get_array("SecurityGroups")[0];
  EXPECT_EQ(group.get_array("IpPermissions")[0].get_array("IpRanges")[0].get("Description"), "all");
  EXPECT_EQ(group.get_array("IpPermissionsEgress")[0].get("IpProtocol"), "-1");
  EXPECT_EQ(call("DescribeSecurityGroupRules", filter("group-id", g))
                .value()
                .get_array("SecurityGroupRules")
                .size(),
            2u);
  EXPECT_EQ(code("RevokeSecurityGroupIngress", rule), "");
  EXPECT_EQ(code("RevokeSecurityGroupIngress", rule), "InvalidPermission.NotFound");
  // A group that another's rule names cannot go.
  auto h = call("CreateSecurityGroup", object({{"VpcId", v}, {"GroupName", "db"}, {"Description", "d"}}))
               .value()
               .get("GroupId");
  auto from_web = object({{"IpProtocol", "tcp"},
                          {"FromPort", 5432},
                          {"ToPort", 5432},
                          {"UserIdGroupPairs", array({object({{"GroupId", g}})})}});
  EXPECT_EQ(
      code("AuthorizeSecurityGroupIngress", object({{"GroupId", h}, {"IpPermissions", array({from_web})}})),
      "");
  EXPECT_EQ(code("DeleteSecurityGroup", object({{"GroupId", g}})), "DependencyViolation");
  EXPECT_EQ(code("DeleteSecurityGroup", object({{"GroupId", h}})), "");
  EXPECT_EQ(code("DeleteSecurityGroup", object({{"GroupId", g}})), "");
}

TEST_F(Ec2Test, TagsFiltersAndPages) {
  std::vector<std::string> ids;
  auto v = vpc();
  for (int i = 0; i < 7; ++i) ids.push_back(subnet(v, "10.10." + std::to_string(i) + ".0/24"));
  auto tag = object(
      {{"Resources", array({ids[0], v})}, {"Tags", array({object({{"Key", "Name"}, {"Value", "front"}})})}});
  EXPECT_EQ(code("CreateTags", tag), "");
  EXPECT_EQ(call("DescribeSubnets", filter("tag:Name", "fr*t")).value().get_array("Subnets").size(), 1u);
  EXPECT_EQ(call("DescribeTags", filter("resource-id", v)).value().get_array("Tags")[0].get("ResourceType"),
            "vpc");
  EXPECT_EQ(code("DescribeSubnets", filter("colour", "blue")), "InvalidParameterValue");
  auto first = call("DescribeSubnets", object({{"MaxResults", 5}})).value();
  EXPECT_EQ(first.get_array("Subnets").size(), 5u);
  auto second =
      call("DescribeSubnets", object({{"MaxResults", 5}, {"NextToken", first.get("NextToken")}})).value();
  EXPECT_EQ(second.get_array("Subnets").size(), 2u);
  EXPECT_FALSE(second.has("NextToken"));
  EXPECT_EQ(code("DescribeSubnets", object({{"NextToken", "nonsense"}})), "InvalidNextToken");
  EXPECT_EQ(code("DeleteTags", tag), "");
  EXPECT_TRUE(call("DescribeTags", object()).value().get_array("Tags").empty());
  auto made = call("CreateVpc",
                   object({{"CidrBlock", "10.30.0.0/16"},
                           {"TagSpecifications",
                            array({object({{"ResourceType", "vpc"},
                                           {"Tags", array({object({{"Key", "k"}, {"Value", "v"}})})}})})}}));
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->find("Vpc")->get_array("Tags")[0].get("Value"), "v");
}

TEST_F(Ec2Test, NetworksAreMadeAfterVpcsAndRemovedAfterThem) {
  net::TestLoop loop;
  loop.run([&] {
    std::vector<std::string> said;
    bool fails = true;
    NetworkReconciler reconciler(
        *db,
        [&](internal::NetworkSpec spec) -> Result<void> {
          if (fails) return error("the runner is away");
          said.push_back("ensure " + spec.account + " " + spec.cidr);
          return {};
        },
        [&](std::string, std::string id) -> Result<void> {
          said.push_back("remove " + id);
          return {};
        },
        [&]() -> Result<std::vector<internal::NetworkSpec>> {
          if (fails) return error("the runner is away");
          return std::vector<internal::NetworkSpec>{{"111122223333", "management", "10.99.0.0/16"}};
        });
    reconciler.start();
    auto id = vpc();
    net::sleep_for(50);
    EXPECT_TRUE(said.empty());
    fails = false;
    EXPECT_TRUE(reconciler.reconcile());
    EXPECT_EQ(said, std::vector<std::string>{"ensure 111122223333 10.10.0.0/16"});
    EXPECT_EQ(code("DeleteVpc", object({{"VpcId", id}})), "");
    for (int i = 0; i < 100 && said.size() < 2; ++i) net::sleep_for(10);
    ASSERT_EQ(said.size(), 2u) << "the commit wakes it";
    EXPECT_EQ(said[1], "remove " + id);
  });
}

TEST(Cidr, ReadsRangesStrictly) {
  EXPECT_EQ(Cidr::parse("10.0.0.5/16")->text(), "10.0.0.0/16");
  for (auto* bad : {"", "10.0.0.0", "10.0.0/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "::/0"})
    EXPECT_FALSE(Cidr::parse(bad)) << bad;
  EXPECT_TRUE(Cidr::parse("10.0.0.0/8")->contains(*Cidr::parse("10.255.0.0/16")));
  EXPECT_FALSE(Cidr::parse("10.1.0.0/16")->overlaps(*Cidr::parse("10.2.0.0/16")));
}

}  // namespace
}  // namespace bastide::services
