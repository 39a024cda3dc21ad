// Elastic Load Balancing v2: application load balancers, on top of this machine's edge.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/Welcome.html
//
// Resources are kept as bodies in the model's shapes (kinds elbv2.load_balancer, elbv2.target_group with its
// targets, elbv2.listener, elbv2.rule). Every change wakes the topic "elbv2.edge"; EdgeLink sends the edge
// what follows from it. Listeners are HTTP on port 80 and HTTPS on port 443, the two sockets of the edge. On
// the loop's thread, in fibers.
#pragma once

#include <string>

#include "aws/call.h"
#include "aws/local_client.h"
#include "aws/service.h"
#include "base/json.h"
#include "base/result.h"
#include "model/body.h"
#include "services/elbv2/certificates.h"
#include "services/elbv2/health_board.h"
#include "store/database.h"

namespace bastide::services {

inline constexpr const char* kElbEdgeTopic = "elbv2.edge";
inline constexpr const char* kElbHealthTopic = "elbv2.health";

class Elbv2 {
 public:
  // `source` may be null: then listeners take certificates of the local CA alone.
  Elbv2(store::Database& database, aws::LocalClient& client, HealthBoard& board,
        CertificateSource* source = nullptr)
      : db_(database), client_(client), board_(board), source_(source) {}
  void offer(aws::Registry& registry);

 private:
  using Json = json::Value;
  using Operation = Result<Json> (Elbv2::*)(aws::Call&, const Json&);

  // Operations work on bodies: the request's and the answer's, by the model's member names.
  Result<Json> create_load_balancer(aws::Call&, const Json&);
  Result<Json> describe_load_balancers(aws::Call&, const Json&);
  Result<Json> delete_load_balancer(aws::Call&, const Json&);
  Result<Json> modify_load_balancer_attributes(aws::Call&, const Json&);
  Result<Json> describe_load_balancer_attributes(aws::Call&, const Json&);

  Result<Json> create_target_group(aws::Call&, const Json&);
  Result<Json> describe_target_groups(aws::Call&, const Json&);
  Result<Json> modify_target_group(aws::Call&, const Json&);
  Result<Json> delete_target_group(aws::Call&, const Json&);
  Result<Json> modify_target_group_attributes(aws::Call&, const Json&);
  Result<Json> describe_target_group_attributes(aws::Call&, const Json&);

  Result<Json> register_targets(aws::Call&, const Json&);
  Result<Json> deregister_targets(aws::Call&, const Json&);
  Result<Json> describe_target_health(aws::Call&, const Json&);

  Result<Json> create_listener(aws::Call&, const Json&);
  Result<Json> describe_listeners(aws::Call&, const Json&);
  Result<Json> modify_listener(aws::Call&, const Json&);
  Result<Json> delete_listener(aws::Call&, const Json&);
  Result<Json> add_listener_certificates(aws::Call&, const Json&);
  Result<Json> remove_listener_certificates(aws::Call&, const Json&);
  Result<Json> describe_listener_certificates(aws::Call&, const Json&);

  Result<Json> create_rule(aws::Call&, const Json&);
  Result<Json> describe_rules(aws::Call&, const Json&);
  Result<Json> modify_rule(aws::Call&, const Json&);
  Result<Json> delete_rule(aws::Call&, const Json&);
  Result<Json> set_rule_priorities(aws::Call&, const Json&);

  Result<Json> add_tags(aws::Call&, const Json&);
  Result<Json> remove_tags(aws::Call&, const Json&);
  Result<Json> describe_tags(aws::Call&, const Json&);

  Result<json::Array> checked_certificates(const Json& certificates, bool https);
  Result<Json> with_balancers(store::Reader& reader, aws::Call& call, Json group);

  template <class Op, Operation F>
  Result<typename Op::Response> run(aws::Call& call, const typename Op::Request& request) {
    auto out = TRY((this->*F)(call, model::request_body<Op>(request)));
    return model::response_of<Op>(out);
  }

  store::Database& db_;
  aws::LocalClient& client_;
  HealthBoard& board_;
  CertificateSource* source_;
};

}  // namespace bastide::services
