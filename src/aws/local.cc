#include <fmt/format.h>

#include "aws/dispatch.h"
#include "model/check.h"
#include "model/json_codec.h"

namespace bastide::aws {
namespace {

class Local final : public LocalClient {
 public:
  Local(Dispatch& dispatch, std::string endpoint) : dispatch_(dispatch), endpoint_(std::move(endpoint)) {}

  Result<json::Value> call(const Principal& principal, const std::string& account, const std::string& region,
                           const std::string& service, const std::string& operation,
                           const json::Value& input) override {
    const Entry* entry = TRY(find(service, operation));
    const std::shared_ptr<void> request = entry->make_request(), response = entry->make_response();
    model::Check check;
    auto read = model::read_json_value(input, *entry->operation->input, request.get(), &check);
    if (!read) return fault("ValidationException", std::move(read.error().message));
    TRY(perform(*entry, principal, account, region, request.get(), response.get(), check));
    return model::write_json_value(*entry->operation->output, response.get());
  }

 protected:
  Result<void> call_typed(const Principal& principal, const std::string& account, const std::string& region,
                          const std::string& service, const std::string& operation, const void* request,
                          void* response) override {
    const Entry* entry = TRY(find(service, operation));
    model::Check check;
    return perform(*entry, principal, account, region, request, response, check);
  }

 private:
  Result<const Entry*> find(const std::string& service, const std::string& operation) {
    const Entry* entry = dispatch_.registry().find(service, operation);
    if (entry == nullptr)
      return fault("NotImplemented", fmt::format("{}.{} is not implemented", service, operation), 501);
    return entry;
  }

  Result<void> perform(const Entry& entry, const Principal& principal, const std::string& account,
                       const std::string& region, const void* request, void* response, model::Check& check) {
    model::validate(*entry.operation->input, request, check);
    if (auto checked = check.result(); !checked)
      return fault("ValidationException", std::move(checked.error().message));
    Call call;
    call.principal = principal;
    call.account = principal.kind == Principal::Kind::service ? account : principal.account;
    call.region = region;
    call.service = entry.service;
    call.operation = entry.operation->name;
    call.request_id = new_request_id();
    call.user_agent = principal.kind == Principal::Kind::service ? principal.name : "bastide";
    call.endpoint = endpoint_;
    call.secure = true;
    call.now = dispatch_.clock().wall();
    return dispatch_.perform(entry, call, request, response);
  }

  Dispatch& dispatch_;
  std::string endpoint_;
};

}  // namespace

std::unique_ptr<LocalClient> make_local_client(Dispatch& dispatch, std::string endpoint) {
  return std::make_unique<Local>(dispatch, std::move(endpoint));
}

}  // namespace bastide::aws
