// What ECR's operations are authorised against: the repository with its own policy.
#pragma once

#include <string>
#include <vector>

#include "aws/service.h"
#include "gen/ecr.h"
#include "services/ecr/ecr.h"

namespace bastide::services::ecr {

Result<RepositoryRef> ref_from_arn(const std::string& arn);  // InvalidParameterException

struct Rules {
  store::Database& database;

  template <class Op>
  aws::Rule<Op> of(const char* action) const {
    return {action,
            [&db = database](const aws::Call& call,
                             const typename Op::Request& request) -> Result<std::vector<aws::Target>> {
              auto target = TRY(repository_target(db, ref_of(call, request)));
              std::vector<aws::Target> all;
              all.push_back(std::move(target));
              return all;
            }};
  }
  template <class Op>
  aws::Rule<Op> by_arn(const char* action) const {
    return {action,
            [&db = database](const aws::Call&,
                             const typename Op::Request& request) -> Result<std::vector<aws::Target>> {
              const RepositoryRef ref = TRY(ref_from_arn(request.resource_arn));
              auto target = TRY(repository_target(db, ref));
              std::vector<aws::Target> all;
              all.push_back(std::move(target));
              return all;
            }};
  }
  aws::Rule<model::ecr::op::CreateRepository> create() const;
  aws::Rule<model::ecr::op::DescribeRepositories> describe() const;
};

}  // namespace bastide::services::ecr
