// What plan, apply, drift and destroy share: questions about stacks, through `Call`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "architecture/architecture.h"
#include "base/time.h"

namespace bastide::architecture {

inline constexpr const char* kArchitectureTag = "bastide:architecture";  // on every stack: whose it is

inline constexpr Millis kFirstPause = 20, kLongestPause = 2 * kSecond;
void pause(Millis d);  // in a fiber or outside one

bool at_rest(const std::string& status);
bool good(const std::string& status);   // complete, and may be updated
bool wreck(const std::string& status);  // what a failed create leaves: it can only be deleted

// Nothing: there is no such stack.
Result<std::optional<json::Value>> describe_stack(const Call& call, const std::string& account,
                                                  const std::string& name_or_id);
// All that are not deleted.
Result<std::vector<json::Value>> describe_stacks(const Call& call, const std::string& account);
// Name, template, parameters, tags, capabilities: for CreateStack, UpdateStack, CreateChangeSet.
json::Value stack_input(const Stack& s);
std::string tag_of(const json::Value& stack, const std::string& key);

// All stacks of the accounts, by account.
using Standing = std::map<std::string, std::vector<json::Value>>;
Result<Standing> standing_stacks(const std::map<std::string, std::string>& accounts, const Call& call);

// Stacks of the architecture that its file does not want any more, in accounts that it still has.
std::vector<std::pair<std::string, std::string>> unwanted_stacks(const Architecture& a,
                                                                 const Standing& standing,
                                                                 const std::vector<Stack>& wanted);

// Ends what the pipeline runs beside the stacks: services of an app's cluster and their rules, so that its
// stack can go.
Result<void> end_deployments(const Architecture& a, const std::string& environment, const std::string& app,
                             const Call& call, const Observer& observer);

}  // namespace bastide::architecture
