// The head that a viewer gets: the stored one under the response-header policy, with CloudFront's own fields.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "edge/head.h"
#include "edge/object.h"
#include "internal/edge_cdn.h"

namespace bastide::edge {

// Appends the fields of `fields` ("Name: value\r\n"...) as the policy changes them, for this request's
// Origin.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-response-headers-policies.html
void append_fields(std::string& out, std::string_view fields, const internal::EdgeResponseHeaders& policy,
                   const std::vector<Field>& request);

}  // namespace bastide::edge
