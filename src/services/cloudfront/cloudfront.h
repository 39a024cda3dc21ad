// Amazon CloudFront's control plane: distributions, their policies, keys and invalidations. The data plane is
// edge, which gets everything compiled in its snapshot; "Deployed" means that edge uses it.
// https://docs.aws.amazon.com/cloudfront/latest/APIReference/Welcome.html
//
// Resources are bodies in the model's shapes with Id and ETag (kinds.h). Every change wakes kCloudFrontTopic.
// On the loop's thread, in fibers.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "aws/call.h"
#include "aws/credentials.h"
#include "aws/service.h"
#include "internal/edge.h"
#include "model/body.h"
#include "services/cloudfront/kinds.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

inline constexpr const char* kCloudFrontTopic = "cloudfront.edge";

class Cloudfront {
 public:
  struct Parts {
    store::Database& database;
    store::Keyring& keyring;
    Clock& clock;
    // A certificate by ACM's ARN; "NotFound" where there is none.
    std::function<Result<internal::EdgeCertificate>(const std::string& arn)> certificate;
    bool private_origins = false;  // origins may stand at private addresses
  };
  explicit Cloudfront(Parts parts) : p_(std::move(parts)), db_(p_.database) {}
  void offer(aws::Registry& registry);

  // Adds the distributions of all accounts and their certificates. Waits.
  Result<void> add_to(internal::EdgeSnapshot& snapshot);
  void acknowledged(const internal::EdgeSnapshot& snapshot);  // edge uses it

  // The session by which edge signs for a distribution's buckets; nothing where the key is not one of those.
  Result<std::optional<aws::Identity>> origin_session(const std::string& access_key_id);

 private:
  using Json = json::Value;
  using Kind = cloudfront::Kind;
  using Operation = Result<Json> (Cloudfront::*)(aws::Call&, const Json&);
  using OfKind = Result<Json> (Cloudfront::*)(aws::Call&, const Kind&, const Json&);

  // things.cc: the same for every kind.
  Result<Json> create(aws::Call&, const Kind&, const Json&);
  Result<Json> get(aws::Call&, const Kind&, const Json&);
  Result<Json> get_config(aws::Call&, const Kind&, const Json&);
  Result<Json> update(aws::Call&, const Kind&, const Json&);
  Result<Json> remove(aws::Call&, const Kind&, const Json&);
  Result<Json> list(aws::Call&, const Kind&, const Json&);
  Result<Json> load(store::Reader& reader, const aws::Call& call, const Kind& kind, const std::string& id);
  Result<Json> make(aws::Call& call, const Kind& kind, Json config, json::Array tags);
  Result<void> check(store::Reader& reader, aws::Call& call, const Kind& kind, const Json& config,
                     const std::string& id);
  Result<bool> in_use(store::Reader& reader, const aws::Call& call, const Kind& kind, const std::string& id);
  Json shown(const Kind& kind, Json body) const;  // without what is not the caller's to see
  Json answer(const aws::Call& call, const Kind& kind, Json body) const;

  // distributions.cc
  Result<void> check_distribution(store::Reader& reader, aws::Call& call, const Json& config,
                                  const std::string& id);
  Result<Json> create_with_tags(aws::Call&, const Json&);
  Json described(const Json& body) const;

  // invalidations.cc
  Result<Json> create_invalidation(aws::Call&, const Json&);
  Result<Json> get_invalidation(aws::Call&, const Json&);
  Result<Json> list_invalidations(aws::Call&, const Json&);
  Result<Json> tag(aws::Call&, const Json&);
  Result<Json> untag(aws::Call&, const Json&);
  Result<Json> list_tags(aws::Call&, const Json&);
  std::string invalidation_status(const std::string& distribution, int64_t number) const;

  template <class Op, Operation F>
  Result<typename Op::Response> run(aws::Call& call, const typename Op::Request& request) {
    auto out = TRY((this->*F)(call, model::request_body<Op>(request)));
    return model::response_of<Op>(out);
  }
  template <class Op, const Kind& K, OfKind F>
  Result<typename Op::Response> run_of(aws::Call& call, const typename Op::Request& request) {
    auto out = TRY((this->*F)(call, K, model::request_body<Op>(request)));
    return model::response_of<Op>(out);
  }

  Parts p_;
  store::Database& db_;
  struct Deployed {
    std::string etag;
    int64_t invalidation = 0;
  };
  std::map<std::string, Deployed> deployed_;     // by distribution: what edge has
  std::map<std::string, std::string> compiled_;  // ETags of the latest snapshot, by distribution
};

}  // namespace bastide::services
