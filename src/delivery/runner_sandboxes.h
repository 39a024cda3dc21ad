// Sandboxes over the messages of internal/runner.h. `call` asks the runner; whoever owns the channel hands
// the events sandbox.output to on_output. On control's loop.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "delivery/sandbox.h"
#include "net/message.h"
#include "store/blobs.h"

namespace bastide::delivery {

class RunnerSandboxes final : public Sandboxes {
 public:
  using Call = std::function<Result<net::Message>(net::Message request, Millis timeout)>;
  RunnerSandboxes(Call call, store::Blobs& blobs) : call_(std::move(call)), blobs_(blobs) {}

  Result<void> open(const internal::SandboxSpec& spec, sys::Fd workspace) override;
  Result<Exit> exec(const internal::SandboxExec& step, const Output& output) override;
  Result<sys::Fd> export_tar(const std::string& id, const std::string& what) override;
  Result<void> close(const std::string& id) override;

  void on_output(const std::string& id, std::string_view text);

 private:
  Result<void> ensure_layers(const std::vector<std::string>& digests);
  Call call_;
  store::Blobs& blobs_;
  std::map<std::string, Output> outputs_;
};

}  // namespace bastide::delivery
