// Git's smart HTTP protocol for the apps' repositories, mounted at /git/. Fetching needs codecommit:GitPull, pushing
// codecommit:GitPush on arn:aws:codecommit:REGION:SHARED-SERVICES:APP. A push that triggers a run stays open and streams
// the run's lines as `remote:` lines; ending it early does not end the run.
// https://git-scm.com/docs/http-protocol
#pragma once

#include "aws/authorize.h"
#include "aws/credentials.h"
#include "delivery/pipeline.h"
#include "net/http_server.h"

namespace bastide::delivery {

class GitHttp {
 public:
  GitHttp(Pipeline& pipeline, aws::CredentialSource& credentials, aws::PolicySource& policies, Clock& clock)
      : pipeline_(pipeline), credentials_(credentials), policies_(policies), clock_(clock) {}

  void handle(net::Exchange& exchange);

 private:
  struct Access {
    aws::Principal principal;
    Plan plan;
    const App* app = nullptr;
  };
  // Who asks for which app; nothing: the answer has been sent.
  std::optional<Access> admit(net::Exchange& exchange, const std::string& app, bool push);
  Result<void> advertise(net::Exchange& exchange, const Access& access, const std::string& service);
  Result<void> upload_pack(net::Exchange& exchange, const Access& access);
  Result<void> receive_pack(net::Exchange& exchange, const Access& access);

  Pipeline& pipeline_;
  aws::CredentialSource& credentials_;
  aws::PolicySource& policies_;
  Clock& clock_;
};

}  // namespace bastide::delivery
