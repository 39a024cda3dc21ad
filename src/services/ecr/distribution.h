// The registry's other door: the OCI distribution protocol under /v2/, as docker, skopeo and buildah speak
// it. https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
//
// Names: /v2/<account>/<repository>/... names a repository of any account in the token's region;
// /v2/<repository>/... one of the account that the token was given to. Clients log in with the user AWS and
// the password of GetAuthorizationToken. Every request is authorised as the ECR action that it stands for.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "aws/authorize.h"
#include "net/http_server.h"
#include "services/ecr/ecr.h"
#include "services/ecr/token.h"

namespace bastide::services {

class Distribution {
 public:
  // Decides about one target; `decide_with` makes it of the house's policies.
  using Decide = std::function<Result<aws::Decision>(const aws::Call&, const aws::Target&)>;
  static Decide decide_with(aws::PolicySource& policies);

  Distribution(Ecr& ecr, Decide decide, Clock& clock);
  // For /v2 and everything under it. In a fiber of control's loop; the object outlives every call.
  void handle(net::Exchange& exchange);

 private:
  struct Request;  // what handle() understood

  Result<void> dispatch(Request& r);
  Result<void> ping(Request& r);
  Result<void> get_blob(Request& r);
  Result<void> start_upload(Request& r);
  Result<void> continue_upload(Request& r);
  Result<void> upload_status(Request& r);
  Result<void> finish_upload(Request& r);
  Result<void> cancel_upload(Request& r);
  Result<void> get_manifest(Request& r);
  Result<void> put_manifest(Request& r);
  Result<void> delete_manifest(Request& r);
  Result<void> list_tags(Request& r);
  Result<void> list_referrers(Request& r);

  Result<void> log_in(Request& r);
  Result<void> resolve(Request& r, std::string_view name);
  // Allowed when any of the actions is.
  Result<void> authorise(const Request& r, const ecr::RepositoryRef& ref,
                         std::initializer_list<const char*> any);
  Result<int64_t> receive(Request& r, const std::string& upload, int64_t at);
  void refuse(net::Exchange& exchange, const Error& e);

  Ecr& ecr_;
  Decide decide_;
  Clock& clock_;
};

}  // namespace bastide::services
