// The handler of runner's channels, and what it tells control by itself: how tasks change and what they
// print. On the loop's thread, in fibers; blocking work is offloaded.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/message.h"
#include "runner/parts.h"
#include "runner/probe.h"
#include "runner/spool_reader.h"
#include "runner/watcher.h"

namespace bastide::runner {

class Role {
 public:
  // `unavailable`: why there are no parts, where there are none; every request but status is then refused
  // with it.
  Role(std::unique_ptr<Parts> parts, Error unavailable, std::vector<Guarantee> guarantees);

  Result<void> start();  // on the loop: the feeds of tasks that are there already
  void connect(std::unique_ptr<net::Channel> channel);
  bool idle() const;  // no task runs
  Parts* parts() { return parts_.get(); }

 private:
  struct Link {
    std::unique_ptr<net::Channel> channel;
    std::set<std::string> sandboxes;  // opened over it; closed with it
  };
  struct Feed {  // what one task has to tell
    std::string id;
    net::Event wake;
    std::atomic<bool> woken = false;
    SpoolReader reader{"", {}};
    uint64_t watch = 0;
    uint64_t reported_to = 0;  // the connection that knows `reported`
    std::string reported;
    bool over = false;
  };
  using Handler = Result<net::Message> (Role::*)(Link&, net::Message&);
  static const std::map<std::string, Handler, std::less<>>& handlers();

  Result<net::Message> handle(Link& link, net::Message message);
  Result<net::Message> status(Link&, net::Message&);
  Result<net::Message> layers_missing(Link&, net::Message&);
  Result<net::Message> layers_put(Link&, net::Message&);
  Result<net::Message> network_ensure(Link&, net::Message&);
  Result<net::Message> network_remove(Link&, net::Message&);
  Result<net::Message> network_list(Link&, net::Message&);
  Result<net::Message> network_policy(Link&, net::Message&);
  Result<net::Message> network_paths(Link&, net::Message&);
  Result<net::Message> edge_namespace(Link&, net::Message&);
  Result<net::Message> task_start(Link&, net::Message&);
  Result<net::Message> task_stop(Link&, net::Message&);
  Result<net::Message> task_list(Link&, net::Message&);
  Result<net::Message> task_usage(Link&, net::Message&);
  Result<net::Message> task_listeners(Link&, net::Message&);
  Result<net::Message> task_forget(Link&, net::Message&);
  Result<net::Message> sandbox_open(Link&, net::Message&);
  Result<net::Message> sandbox_exec(Link&, net::Message&);
  Result<net::Message> sandbox_export(Link&, net::Message&);
  Result<net::Message> sandbox_close(Link&, net::Message&);

  void add_feed(const std::string& id);
  void feed(std::shared_ptr<Feed> one);
  bool tell_output(Feed& one);  // whether there was any to tell
  bool tell_state(Feed& one, const internal::TaskState& state);
  Result<void> tell(json::Value event);  // to a control that takes it
  void stream(Link& link, SpoolReader& reader, const std::string& id);

  std::unique_ptr<Parts> parts_;
  Error unavailable_;
  std::vector<Guarantee> guarantees_;
  std::unique_ptr<Watcher> watcher_;
  std::vector<std::shared_ptr<Link>> links_;  // of control, the newest last
  uint64_t connection_ = 0;
  std::map<std::string, std::shared_ptr<Feed>> feeds_;
};

}  // namespace bastide::runner
