// The service cloudformation: stacks and change sets of templates, executed by cfn::Engine.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/Welcome.html
// On the loop's thread; operations run in fibers.
#pragma once

#include "aws/local_client.h"
#include "aws/service.h"
#include "gen/cloudformation.h"
#include "services/cloudformation/difference.h"
#include "services/cloudformation/drift_detection.h"
#include "services/cloudformation/engine.h"
#include "services/cloudformation/parameters.h"
#include "services/cloudformation/records.h"

namespace bastide::services {

class Cloudformation {
 public:
  Cloudformation(store::Database& db, store::Keyring& keyring, aws::LocalClient& client, Clock& clock);
  void offer(aws::Registry& registry);
  void start();  // executes stacks on the current loop, also those that a kill interrupted
  cfn::Engine& engine() { return engine_; }

 private:
  using Call = aws::Call;

#define BASTIDE_CFN_OPERATION(function, Op)                            \
  Result<model::cloudformation::op::Op::Response> function(Call& call, \
                                                           const model::cloudformation::op::Op::Request& in)
  BASTIDE_CFN_OPERATION(cancel_update_stack, CancelUpdateStack);
  BASTIDE_CFN_OPERATION(continue_update_rollback, ContinueUpdateRollback);
  BASTIDE_CFN_OPERATION(create_change_set, CreateChangeSet);
  BASTIDE_CFN_OPERATION(create_stack, CreateStack);
  BASTIDE_CFN_OPERATION(delete_change_set, DeleteChangeSet);
  BASTIDE_CFN_OPERATION(delete_stack, DeleteStack);
  BASTIDE_CFN_OPERATION(describe_change_set, DescribeChangeSet);
  BASTIDE_CFN_OPERATION(describe_stack_events, DescribeStackEvents);
  BASTIDE_CFN_OPERATION(describe_stack_resource, DescribeStackResource);
  BASTIDE_CFN_OPERATION(describe_stack_resources, DescribeStackResources);
  BASTIDE_CFN_OPERATION(describe_stacks, DescribeStacks);
  BASTIDE_CFN_OPERATION(execute_change_set, ExecuteChangeSet);
  BASTIDE_CFN_OPERATION(get_template, GetTemplate);
  BASTIDE_CFN_OPERATION(get_template_summary, GetTemplateSummary);
  BASTIDE_CFN_OPERATION(list_change_sets, ListChangeSets);
  BASTIDE_CFN_OPERATION(list_exports, ListExports);
  BASTIDE_CFN_OPERATION(list_imports, ListImports);
  BASTIDE_CFN_OPERATION(list_stack_resources, ListStackResources);
  BASTIDE_CFN_OPERATION(list_stacks, ListStacks);
  BASTIDE_CFN_OPERATION(rollback_stack, RollbackStack);
  BASTIDE_CFN_OPERATION(update_stack, UpdateStack);
  BASTIDE_CFN_OPERATION(update_termination_protection, UpdateTerminationProtection);
  BASTIDE_CFN_OPERATION(validate_template, ValidateTemplate);
  BASTIDE_CFN_OPERATION(describe_account_limits, DescribeAccountLimits);
  BASTIDE_CFN_OPERATION(describe_events, DescribeEvents);
  BASTIDE_CFN_OPERATION(describe_stack_drift_detection_status, DescribeStackDriftDetectionStatus);
  BASTIDE_CFN_OPERATION(describe_stack_resource_drifts, DescribeStackResourceDrifts);
  BASTIDE_CFN_OPERATION(describe_type, DescribeType);
  BASTIDE_CFN_OPERATION(detect_stack_drift, DetectStackDrift);
  BASTIDE_CFN_OPERATION(detect_stack_resource_drift, DetectStackResourceDrift);
  BASTIDE_CFN_OPERATION(get_stack_policy, GetStackPolicy);
  BASTIDE_CFN_OPERATION(list_types, ListTypes);
  BASTIDE_CFN_OPERATION(set_stack_policy, SetStackPolicy);
  BASTIDE_CFN_OPERATION(signal_resource, SignalResource);
#undef BASTIDE_CFN_OPERATION

  // What create, update and change sets are given alike.
  struct Given {
    const std::optional<std::string>* body = nullptr;
    const std::optional<std::string>* url = nullptr;
    bool use_previous = false;
    const std::optional<std::vector<model::cloudformation::Parameter>>* parameters = nullptr;
    const std::optional<std::vector<model::cloudformation::Tag>>* tags = nullptr;
    const std::optional<std::vector<std::string>>* capabilities = nullptr;
    const std::optional<std::vector<std::string>>* notifications = nullptr;
    const std::optional<std::string>* role = nullptr;
    bool looks_first = false;  // a change set: transforms need no capability
  };
  struct Proposal {
    std::unique_ptr<cfn::Template> t;
    cfn::Version version;
    std::unique_ptr<cfn::Template> previous;
    std::optional<cfn::Version> previous_version;
    cfn::Difference difference;
    cfn::Scope scope;
  };
  // Checks everything that can be checked without making anything; `stack` gets role, principal,
  // capabilities.
  Result<Proposal> propose(const Call& call, cfn::Stack& stack, const Given& given, bool exists);
  Result<std::string> text_of(const Call& call, const std::optional<std::string>& body,
                              const std::optional<std::string>& url);
  // An object of S3, read in the caller's name: "s3://bucket/key", or its https address.
  Result<std::string> fetch(const Call& call, const std::string& url);
  struct Prepared {
    std::string executed;  // after transforms
    std::vector<std::string> transforms;
  };
  Result<Prepared> prepared(const Call& call, const std::string& text, const std::string& stack_name,
                            const std::map<std::string, std::string>& parameters);
  // Resources with names of their own that exist already and that the template retains: logical -> physical.
  Result<std::map<std::string, std::string>> existing(const Call& call, const cfn::Stack& stack,
                                                      const cfn::Template& t, const cfn::Scope& scope,
                                                      const std::vector<cfn::Change>& changes);
  Result<std::unique_ptr<cfn::Template>> parsed(const std::string& text);
  Result<std::optional<cfn::Stack>> find(const Call& call, const std::string& name);
  Result<cfn::Stack> need(const Call& call, const std::string& name);  // "Stack with id X does not exist"
  cfn::Stack new_stack(const Call& call, const std::string& name) const;
  // Writes the stack with its status and event, and its job.
  Result<void> begin(store::Writer& w, cfn::Stack& stack, std::string status, std::string reason);
  Result<std::optional<store::Resource>> find_change_set(const Call& call, const std::string& name,
                                                         const std::optional<std::string>& stack);
  Result<model::cloudformation::Stack> shown(const cfn::Stack& stack, const cfn::Template* t);

  cfn::Records records_;
  aws::LocalClient& client_;
  cfn::Engine engine_;
  cfn::DriftDetection drift_;
  Clock& clock_;
};

}  // namespace bastide::services
