// Filters and pages of EC2's Describe operations, over bodies of resources.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace bastide::services {

// Filter name -> where its values stand in a body: "Attachments.VpcId"; lists are walked through.
using FilterPaths = std::map<std::string, std::string>;

// Keeps what fits all filters of the request ("tag:K", "tag-key" always exist). A filter nobody knows is a
// fault.
Result<void> apply_filters(const json::Value& filters, const FilterPaths& paths,
                           std::vector<json::Value>& bodies);

// One page in the order of `id_member`: sets NextToken in `answer` where more is left.
Result<json::Array> page(std::vector<json::Value> bodies, const std::string& id_member,
                         const json::Value& request, json::Value& answer);

}  // namespace bastide::services
