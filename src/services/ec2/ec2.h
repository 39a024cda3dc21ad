// Amazon EC2's control plane of networks: VPCs, subnets, route tables, internet gateways, security groups,
// tags. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Welcome.html
//
// Resources are kept as bodies in the model's shapes (kinds ec2.vpc, ec2.subnet, ec2.route_table,
// ec2.internet_gateway, ec2.security_group, ec2.vpc_peering_connection, ec2.network_interface). A change of a VPC wakes the topic
// "ec2.network" with "account/region/id". On the loop's thread, in fibers.
#pragma once

#include <string>
#include <vector>

#include "aws/call.h"
#include "aws/service.h"
#include "base/json.h"
#include "base/result.h"
#include "model/body.h"
#include "store/database.h"

namespace bastide::services {

inline constexpr const char* kEc2NetworkTopic = "ec2.network";

class Ec2 {
 public:
  explicit Ec2(store::Database& database) : db_(database) {}
  void offer(aws::Registry& registry);

 private:
  using Json = json::Value;
  using Operation = Result<Json> (Ec2::*)(aws::Call&, const Json&);

  // Operations work on bodies: the request's and the answer's, by the model's member names.
  Result<Json> create_vpc(aws::Call&, const Json&);
  Result<Json> delete_vpc(aws::Call&, const Json&);
  Result<Json> describe_vpcs(aws::Call&, const Json&);
  Result<Json> modify_vpc_attribute(aws::Call&, const Json&);
  Result<Json> describe_vpc_attribute(aws::Call&, const Json&);

  Result<Json> create_subnet(aws::Call&, const Json&);
  Result<Json> delete_subnet(aws::Call&, const Json&);
  Result<Json> describe_subnets(aws::Call&, const Json&);
  Result<Json> modify_subnet_attribute(aws::Call&, const Json&);

  Result<Json> create_route_table(aws::Call&, const Json&);
  Result<Json> delete_route_table(aws::Call&, const Json&);
  Result<Json> describe_route_tables(aws::Call&, const Json&);
  Result<Json> associate_route_table(aws::Call&, const Json&);
  Result<Json> disassociate_route_table(aws::Call&, const Json&);
  Result<Json> replace_route_table_association(aws::Call&, const Json&);
  Result<Json> create_route(aws::Call&, const Json&);
  Result<Json> replace_route(aws::Call&, const Json&);
  Result<Json> delete_route(aws::Call&, const Json&);

  Result<Json> create_internet_gateway(aws::Call&, const Json&);
  Result<Json> delete_internet_gateway(aws::Call&, const Json&);
  Result<Json> attach_internet_gateway(aws::Call&, const Json&);
  Result<Json> detach_internet_gateway(aws::Call&, const Json&);
  Result<Json> describe_internet_gateways(aws::Call&, const Json&);

  Result<Json> create_vpc_peering_connection(aws::Call&, const Json&);
  Result<Json> accept_vpc_peering_connection(aws::Call&, const Json&);
  Result<Json> reject_vpc_peering_connection(aws::Call&, const Json&);
  Result<Json> delete_vpc_peering_connection(aws::Call&, const Json&);
  Result<Json> describe_vpc_peering_connections(aws::Call&, const Json&);

  Result<Json> create_network_interface(aws::Call&, const Json&);
  Result<Json> delete_network_interface(aws::Call&, const Json&);

  Result<Json> create_security_group(aws::Call&, const Json&);
  Result<Json> delete_security_group(aws::Call&, const Json&);
  Result<Json> describe_security_groups(aws::Call&, const Json&);
  Result<Json> describe_security_group_rules(aws::Call&, const Json&);
  Result<Json> authorize_ingress(aws::Call&, const Json&);
  Result<Json> authorize_egress(aws::Call&, const Json&);
  Result<Json> revoke_ingress(aws::Call&, const Json&);
  Result<Json> revoke_egress(aws::Call&, const Json&);

  Result<Json> create_tags(aws::Call&, const Json&);
  Result<Json> delete_tags(aws::Call&, const Json&);
  Result<Json> describe_tags(aws::Call&, const Json&);

  Result<Json> describe_availability_zones(aws::Call&, const Json&);
  Result<Json> describe_regions(aws::Call&, const Json&);
  Result<Json> describe_account_attributes(aws::Call&, const Json&);
  Result<Json> describe_network_interfaces(aws::Call&, const Json&);
  Result<Json> describe_nat_gateways(aws::Call&, const Json&);

  Result<Json> authorize(aws::Call&, const Json&, bool egress);
  Result<Json> revoke(aws::Call&, const Json&, bool egress);
  Result<Json> settle_peering(aws::Call&, const std::string& id, bool accept);
  Result<Json> put_route(aws::Call&, const Json&, bool replace);

  template <class Op, Operation F>
  Result<typename Op::Response> run(aws::Call& call, const typename Op::Request& request) {
    auto in = model::request_body<Op>(request);
    if (in.get_bool("DryRun")) {
      return fault("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412);
    }
    auto out = TRY((this->*F)(call, in));
    return model::response_of<Op>(out);
  }

  store::Database& db_;
};

}  // namespace bastide::services
