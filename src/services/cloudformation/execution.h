// One pass over the resources of one stack: towards a version of its template, or away from it.
#pragma once

#include <string>
#include <vector>

#include "services/cloudformation/engine.h"
#include "services/cloudformation/handler.h"

namespace bastide::services::cfn {

class Execution {
 public:
  Execution(Records& records, aws::LocalClient& client, Clock& clock, Stack& stack, aws::Principal actor)
      : records_(records), client_(client), clock_(clock), stack_(stack), actor_(std::move(actor)) {}

  Result<void> load();  // the resources' rows, first

  enum class Purpose { create, update, rollback };
  // Makes and changes what the version wants. `failed` names the resources that did not go well.
  Result<void> deploy(const Template& t, Scope scope, Purpose purpose);
  // After deploy: values of the outputs.
  Result<std::vector<Output>> outputs(const Template& t);

  // Deletes what the version does not want, and what was replaced.
  Result<void> clean_up(const Template& t, const Scope& scope);
  // Deletes everything. A rollback of a create does not spare RetainExceptOnCreate.
  Result<void> remove_all(bool rollback_of_create);

  std::vector<std::string> failed;
  std::vector<std::string> imports;  // names of the exports that were used
  std::string stack_problem;         // a failure that is no single resource's
  std::map<std::string, std::string> adopt;  // to be taken up as they stand: logical -> physical id
  Result<void> forget_imported();            // of this operation: they stay, the stack does not know them any more

 private:
  bool deploy_one(const Wanted& wanted);
  void cancel_if_asked();
  bool permitted(ResourceRow& row, const char* action);  // by the stack's policy; else it has failed
  bool create(ResourceRow& row, const Handler& handler, const ResourceDecl& decl, json::Value properties,
              bool replacing);
  bool update(ResourceRow& row, const Handler& handler, json::Value properties);
  bool import(ResourceRow& row, const Handler& handler, const ResourceDecl& decl, json::Value properties,
              const std::string& physical);
  Result<void> wait_for_signals(const Context& c, const ResourceDecl& decl);
  void restore_replaced(ResourceRow& row);
  bool fail(ResourceRow& row, const std::string& status, const Error& why);
  bool delete_row(ResourceRow& row, bool rollback_of_create);
  bool delete_leftovers(ResourceRow& row);
  Result<void> delete_physical(const ResourceRow& row, const std::string& type, const std::string& physical,
                               const json::Value& properties);
  Result<json::Value> properties_of(const ResourceDecl& decl);
  Result<void> resolve_dynamic(json::Value& value);
  Context context(const ResourceRow& row) const;
  bool save(const ResourceRow& row, const std::vector<std::string>& statuses);  // with an event a status
  void internal(const Error& e);
  std::string reason_of(const Error& e, const std::string& token) const;
  Result<std::optional<json::Value>> ref(const std::string& logical);
  Result<std::optional<json::Value>> attribute(const std::string& logical, const std::string& name);

  Records& records_;
  aws::LocalClient& client_;
  Clock& clock_;
  Stack& stack_;
  aws::Principal actor_;
  std::map<std::string, ResourceRow> rows_;
  Scope scope_;
  Purpose purpose_ = Purpose::create;
  bool stop_ = false;
  std::optional<Error> broken_;  // of the store: the job is tried again
};

}  // namespace bastide::services::cfn
