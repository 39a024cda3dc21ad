// How a service offers its operations. Each is added with its rule, so that no operation can exist without
// saying what it is authorised against:
//
//   void Kms::offer(aws::Registry& registry) {
//     registry.add<op::Encrypt>(this, &Kms::encrypt, {"kms:Encrypt", [this](auto& call, auto& request) {
//     return key_target(...); }}); registry.add<op::ListKeys>(this, &Kms::list_keys, {"kms:ListKeys"});   //
//     no function: resource "*"
//   }
//
// Operation tags (`op::Encrypt` with Request, Response and a table row) are generated from models/; see
// docs/HACKING.md. An operation runs in a fiber of control's loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/authorize.h"
#include "aws/call.h"
#include "base/result.h"
#include "model/type.h"

namespace bastide::aws {

template <class Op>
struct Rule {
  std::string action;  // empty: no authorisation beyond authentication (sts:GetCallerIdentity)
  std::function<Result<std::vector<Target>>(const Call&, const typename Op::Request&)> targets;
};

// One operation, with the types erased.
struct Entry {
  const model::Operation* operation = nullptr;
  std::string service;
  std::string action;
  bool unauthenticated = false;  // AssumeRoleWithWebIdentity and its like
  std::function<Result<std::vector<Target>>(const Call&, const void* request)> targets;
  std::function<Result<void>(Call&, const void* request, void* response)> run;
  std::function<std::shared_ptr<void>()> make_request;
  std::function<std::shared_ptr<void>()> make_response;
};

class Registry {
 public:
  template <class Op, class S>
  void add(S* self, Result<typename Op::Response> (S::*function)(Call&, const typename Op::Request&),
           Rule<Op> rule) {
    using Request = typename Op::Request;
    using Response = typename Op::Response;
    Entry e;
    e.operation = &Op::operation;
    e.service = Op::service;
    e.action = rule.action;
    e.targets = [rule = std::move(rule)](const Call& call,
                                         const void* request) -> Result<std::vector<Target>> {
      if (rule.action.empty()) return std::vector<Target>{};
      std::vector<Target> targets(1);
      if (rule.targets) targets = TRY(rule.targets(call, *static_cast<const Request*>(request)));
      for (auto& t : targets) {
        if (t.action.empty()) t.action = rule.action;
      }
      return targets;
    };
    e.run = [self, function](Call& call, const void* request, void* response) -> Result<void> {
      *static_cast<Response*>(response) = TRY((self->*function)(call, *static_cast<const Request*>(request)));
      return {};
    };
    e.make_request = [] { return std::make_shared<Request>(); };
    e.make_response = [] { return std::make_shared<Response>(); };
    put(std::move(e));
  }
  // The same, for the few operations that AWS answers without a signature.
  template <class Op, class S>
  void add_unauthenticated(S* self,
                           Result<typename Op::Response> (S::*function)(Call&, const typename Op::Request&)) {
    add<Op>(self, function, {});
    entries_.at({Op::service, Op::operation.name}).unauthenticated = true;
  }

  const Entry* find(const std::string& service, const std::string& operation) const;
  std::vector<const Entry*> all() const;
  // Operations that models/<service>/implemented lists and nobody added: empty in a whole control.
  std::vector<std::string> missing(const model::Service& service) const;

 private:
  void put(Entry entry);
  std::map<std::pair<std::string, std::string>, Entry> entries_;
};

}  // namespace bastide::aws
