// Structs to and from XML, as query and ec2 carry answers and rest-xml carries both.
// https://smithy.io/2.0/spec/protocol-traits.html#xml-bindings
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/check.h"
#include "model/type.h"
#include "model/xml_tree.h"

namespace bastide::model {

// The members of a structure, without an element of its own around them.
void write_xml_members(std::string& out, const Type& type, const void* value);
// <name>...</name>, with attributes and namespaces.
void write_xml_element(std::string& out, std::string_view name, const Type& type, const void* value,
                       std::string_view xml_namespace = "");
Result<void> read_xml(const XmlNode& element, const Type& type, void* out, Check* check);

}  // namespace bastide::model
