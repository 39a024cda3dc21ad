// The service `bastide`: pipelines, releases, approvals, environments, as models/bastide describes them. Its resources
// belong to the shared-services account.
#pragma once

#include <functional>

#include "aws/service.h"
#include "delivery/pipeline.h"
#include "gen/bastide.h"

namespace bastide::delivery {

namespace op = model::bastide::op;

class Service {
 public:
  // `host`: what GetStatus says of this machine ({version, startedAt, tier, tierNotes, components}).
  Service(Pipeline& pipeline, aws::LocalClient& client, AssumeRole assume, Clock& clock,
          std::function<Result<json::Value>()> host)
      : pipeline_(pipeline), client_(client), assume_(std::move(assume)), clock_(clock), host_(std::move(host)) {}

  void offer(aws::Registry& registry);

 private:
  Result<op::PutArchitecture::Response> put_architecture(aws::Call&, const op::PutArchitecture::Request&);
  Result<op::GetArchitecture::Response> get_architecture(aws::Call&, const op::GetArchitecture::Request&);
  Result<op::GetStatus::Response> get_status(aws::Call&, const op::GetStatus::Request&);
  Result<op::DescribeEnvironments::Response> describe_environments(aws::Call&, const op::DescribeEnvironments::Request&);
  Result<op::ListPipelineRuns::Response> list_runs(aws::Call&, const op::ListPipelineRuns::Request&);
  Result<op::DescribePipelineRun::Response> describe_run(aws::Call&, const op::DescribePipelineRun::Request&);
  Result<op::StartPipelineRun::Response> start_run(aws::Call&, const op::StartPipelineRun::Request&);
  Result<op::ListReleases::Response> list_releases(aws::Call&, const op::ListReleases::Request&);
  Result<op::DescribeRelease::Response> describe_release(aws::Call&, const op::DescribeRelease::Request&);
  Result<op::PromoteRelease::Response> promote(aws::Call&, const op::PromoteRelease::Request&);
  Result<op::ApproveRelease::Response> approve(aws::Call&, const op::ApproveRelease::Request&);
  Result<op::RejectRelease::Response> reject(aws::Call&, const op::RejectRelease::Request&);
  Result<op::RollbackEnvironment::Response> rollback(aws::Call&, const op::RollbackEnvironment::Request&);

  Result<std::vector<aws::Target>> on(const aws::Call& call, const std::string& resource, const std::string& environment);
  Result<json::Value> environment(const Plan& plan, const std::string& name);
  std::string promotion_of(const std::string& release);
  // The app that a request means: the named one, or the only one.
  Result<const App*> app_of(const Plan& plan, const std::optional<std::string>& name);

  Pipeline& pipeline_;
  aws::LocalClient& client_;
  AssumeRole assume_;
  Clock& clock_;
  std::function<Result<json::Value>()> host_;
};

}  // namespace bastide::delivery
