// AWS Systems Manager Parameter Store.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-parameter-store.html
//
// SecureStrings are encrypted and decrypted by KMS as the caller, through this service (kms:ViaService).
// Operations run in fibers of control's loop; those that touch SecureStrings wait.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "aws/local_client.h"
#include "aws/service.h"
#include "gen/ssm.h"
#include "services/ssm/name.h"
#include "services/ssm/parameter.h"
#include "store/database.h"
#include "store/keyring.h"

namespace bastide::services {

class Ssm {
 public:
  Ssm(store::Database& database, store::Keyring& keyring, aws::LocalClient& client)
      : database_(database), keyring_(keyring), client_(client) {}
  void offer(aws::Registry& registry);

 private:
  using Call = aws::Call;
  using Parameter = ssm::Parameter;
  using Version = ssm::Version;
  template <class T>
  using Maybe = Result<std::optional<T>>;

  // find.cc
  Maybe<Parameter> load(const Call& call, const ssm::Selected& which);
  static Maybe<Parameter> reread(store::Reader& r, const std::string& account, const std::string& region,
                                 const std::string& name);
  static Result<void> put(store::Writer& w, const Parameter& parameter);
  Result<Parameter> find(const Call& call, const ssm::Selected& which);
  Result<Version> version_of(const Parameter& parameter, const ssm::Selected& which);
  aws::Target target(const Call& call, const std::string& text, const char* action = "");
  // Parameters in the order of names from after `after` on, until `visit` says false.
  Result<void> scan(const Call& call, const std::string& prefix, std::string after,
                    const std::function<Result<bool>(Parameter&)>& visit);
  std::string scope(const Call& call, const std::string& more) const;
  Result<std::string> open_token(const Call& call, const std::string& more,
                                 const std::optional<std::string>& token);

  // secure.cc: between a version's kept value and what clients see.
  Result<std::string> encrypt(const Call& call, const std::string& arn, const Version& version,
                              const std::string& plain);
  Result<std::string> reveal(const Call& call, const Parameter& parameter, const Version& version,
                             bool decrypt);
  std::string keep_plain(const std::string& arn, int64_t number, const std::string& plain);

  // put.cc: what a request makes of what is there.
  static Result<Version> plan(const Call& call, const model::ssm::PutParameterRequest& request,
                              const std::optional<Parameter>& old);

  model::ssm::ParameterMetadata metadata(const Parameter& parameter) const;
  Result<model::ssm::Parameter> answer(const Call& call, const Parameter& parameter, const Version& version,
                                       const std::string& selector, bool decrypt);

#define SSM_OPERATION(name, Op) \
  Result<model::ssm::op::Op::Response> name(Call& call, const model::ssm::op::Op::Request& request)
  SSM_OPERATION(put_parameter, PutParameter);
  SSM_OPERATION(get_parameter, GetParameter);
  SSM_OPERATION(get_parameters, GetParameters);
  SSM_OPERATION(by_path, GetParametersByPath);
  SSM_OPERATION(describe, DescribeParameters);
  SSM_OPERATION(history, GetParameterHistory);
  SSM_OPERATION(delete_parameter, DeleteParameter);
  SSM_OPERATION(delete_parameters, DeleteParameters);
  SSM_OPERATION(label, LabelParameterVersion);
  SSM_OPERATION(unlabel, UnlabelParameterVersion);
  SSM_OPERATION(add_tags, AddTagsToResource);
  SSM_OPERATION(remove_tags, RemoveTagsFromResource);
  SSM_OPERATION(list_tags, ListTagsForResource);
#undef SSM_OPERATION
  Result<bool> remove(const Call& call, const std::string& text);

  store::Database& database_;
  store::Keyring& keyring_;
  aws::LocalClient& client_;
};

namespace ssm {
Error not_found();
Result<void> count(store::Writer& w, const Parameter& parameter, const std::string& from,
                   const std::string& to);

// filter.cc: ParameterFilters of DescribeParameters and GetParametersByPath.
using Filters = std::optional<std::vector<model::ssm::ParameterStringFilter>>;
Result<void> check_filters(const Filters& filters, bool by_path);
bool matches(const Filters& filters, const Parameter& parameter);
}  // namespace ssm

}  // namespace bastide::services
