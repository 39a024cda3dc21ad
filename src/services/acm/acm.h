// AWS Certificate Manager: certificates that the local CA issues at once, and imported ones.
// https://docs.aws.amazon.com/acm/latest/APIReference/Welcome.html
//
// A body: CertificateArn, Names, Type, Chain and Certificate (PEM), SealedKey, times. On the loop's thread,
// in fibers.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "aws/call.h"
#include "aws/service.h"
#include "internal/edge.h"
#include "model/body.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

class Acm {
 public:
  struct Parts {
    store::Database& database;
    store::Keyring& keyring;
    Clock& clock;
    std::string home;
    // ARNs of listeners and distributions that use a certificate.
    std::function<Result<std::vector<std::string>>(store::Reader&, const std::string& arn)> used_by;
    const char* topic;  // woken when a certificate's contents change
    const char* other_topic;
  };
  explicit Acm(Parts parts) : p_(std::move(parts)), db_(p_.database) {}
  void offer(aws::Registry& registry);
  void start();  // renews what the local CA issued 60 days before its end

  // For edge: "NotFound" where there is none.
  Result<internal::EdgeCertificate> certificate(const std::string& arn);

 private:
  using Json = json::Value;
  using Operation = Result<Json> (Acm::*)(aws::Call&, const Json&);
  Result<Json> request(aws::Call&, const Json&);
  Result<Json> import(aws::Call&, const Json&);
  Result<Json> describe(aws::Call&, const Json&);
  Result<Json> list(aws::Call&, const Json&);
  Result<Json> get(aws::Call&, const Json&);
  Result<Json> remove(aws::Call&, const Json&);
  Result<Json> add_tags(aws::Call&, const Json&);
  Result<Json> remove_tags(aws::Call&, const Json&);
  Result<Json> list_tags(aws::Call&, const Json&);
  Result<Json> renew(aws::Call&, const Json&);

  Result<store::Resource> load(store::Reader& reader, const aws::Call& call, const std::string& arn);
  Result<void> issue(Json& body);  // new key, new certificate, by the local CA. Waits.
  Result<void> wake(store::Writer& writer, const std::string& key);
  Result<void> renew_due();

  template <class Op, Operation F>
  Result<typename Op::Response> run(aws::Call& call, const typename Op::Request& in) {
    auto out = TRY((this->*F)(call, model::request_body<Op>(in)));
    return model::response_of<Op>(out);
  }

  Parts p_;
  store::Database& db_;
};

}  // namespace bastide::services
