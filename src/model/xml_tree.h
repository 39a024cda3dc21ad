// XML as a small tree, read strictly: no document type, so no entities; 64 levels, 200,000 elements at most.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace bastide::model {

struct XmlNode {
  std::string name;                                             // without its prefix
  std::string text;                                             // of this element alone
  std::vector<std::pair<std::string, std::string>> attributes;  // names as written, "xsi:type"
  std::vector<XmlNode> children;

  const XmlNode* child(std::string_view wanted) const;
  std::string child_text(std::string_view wanted) const;  // empty where there is none
};

Result<XmlNode> parse_xml(std::string_view text);
void append_xml_text(std::string& out, std::string_view text);  // escaped for text and attributes

}  // namespace bastide::model
