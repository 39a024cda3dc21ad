// Executes stacks: a job a stack (durable, resumed after a kill), a fiber a resource where they do not depend
// on each other. Statuses and events are AWS's.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
// On the loop's thread.
#pragma once

#include <memory>

#include "aws/local_client.h"
#include "services/cloudformation/evaluate.h"
#include "services/cloudformation/records.h"

namespace bastide::services::cfn {

class Engine {
 public:
  Engine(Records& records, aws::LocalClient& client, Clock& clock)
      : records_(records), client_(client), clock_(clock) {}

  void start();  // runs jobs on the current loop
  // Takes the stack from the status it is in to one that rests. For the job, and for tests.
  Result<void> run(const std::string& account, const std::string& region, const std::string& id);

  // Who the stack's resources are made as: its role, or who asked.
  Result<aws::Principal> actor(const Stack& stack);
  // Parameters, mappings and conditions of a version; what resources give is left open.
  Result<Scope> scope(const Stack& stack, const Template& t, const Version& version,
                      const aws::Principal& actor);

  static std::string job_key(const Stack& stack) {
    return stack.account + "/" + stack.region + "/" + stack.id();
  }

 private:
  Result<void> to_status(Stack& stack, std::string status, std::string reason,
                         std::function<Result<void>(store::Writer&)> also = {});
  Result<void> finish_deploy(Stack& stack, std::vector<Output> outputs, std::vector<std::string> imports,
                             const char* complete);

  Records& records_;
  aws::LocalClient& client_;
  Clock& clock_;
};

// The resources that a version wants, after conditions, with what each waits for.
struct Wanted {
  const ResourceDecl* decl = nullptr;
  std::set<std::string> after;
};
Result<std::vector<Wanted>> wanted_resources(const Template& t, const Scope& scope);

// Calls f for every node after those it waits for, side by side in fibers (at most 24). After a `false` no
// further one starts.
struct Node {
  std::string id;
  std::set<std::string> after;
};
void run_graph(std::vector<Node> nodes, const std::function<bool(const std::string&)>& f);

// Stack tags join the resource's own, where the type has tags.
void merge_tags(const std::string& type, const json::Value& stack_tags, json::Value& properties);

}  // namespace bastide::services::cfn
