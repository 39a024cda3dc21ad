#include "aws/principal.h"

namespace bastide::aws {

Principal Principal::service(std::string name) {
  Principal p;
  p.kind = Kind::service;
  p.arn = p.id = p.name = std::move(name);
  return p;
}

Principal Principal::root(std::string account) {
  Principal p;
  p.kind = Kind::root;
  p.arn = "arn:aws:iam::" + account + ":root";
  p.id = account;
  p.name = "root";
  p.account = std::move(account);
  return p;
}

}  // namespace bastide::aws
