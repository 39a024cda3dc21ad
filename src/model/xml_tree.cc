#include "model/xml_tree.h"

#include <expat.h>
#include <fmt/format.h>

#include "model/check.h"

namespace bastide::model {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxElements = 200'000;

struct Building {
  XML_Parser parser = nullptr;
  XmlNode root;              // its only child is the document's element
  std::vector<size_t> path;  // index of each open element in its parent
  size_t elements = 0;
  const char* refused = nullptr;

  XmlNode& open() {
    XmlNode* node = &root;
    for (const size_t index : path) node = &node->children[index];
    return *node;
  }
  void refuse(const char* why) {
    refused = why;
    XML_StopParser(parser, XML_FALSE);
  }
};

void start(void* data, const char* name, const char** attributes) {
  auto& building = *static_cast<Building*>(data);
  if (building.path.size() >= kMaxDepth) return building.refuse("nested too deeply");
  if (++building.elements > kMaxElements) return building.refuse("too many elements");
  XmlNode& parent = building.open();
  building.path.push_back(parent.children.size());
  XmlNode& node = parent.children.emplace_back();
  const std::string_view full = name;
  const size_t colon = full.find(':');
  node.name = colon == std::string_view::npos ? full : full.substr(colon + 1);
  for (; attributes[0] != nullptr; attributes += 2)
    node.attributes.emplace_back(attributes[0], attributes[1]);
}

void end(void* data, const char*) { static_cast<Building*>(data)->path.pop_back(); }

void text(void* data, const char* bytes, int length) {
  auto& building = *static_cast<Building*>(data);
  building.open().text.append(bytes, static_cast<size_t>(length));
}

void doctype(void* data, const char*, const char*, const char*, int) {
  static_cast<Building*>(data)->refuse("a document type is not accepted");
}

}  // namespace

const XmlNode* XmlNode::child(std::string_view wanted) const {
  for (const XmlNode& node : children) {
    if (node.name == wanted) return &node;
  }
  return nullptr;
}

std::string XmlNode::child_text(std::string_view wanted) const {
  const XmlNode* node = child(wanted);
  return node == nullptr ? "" : node->text;
}

Result<XmlNode> parse_xml(std::string_view bytes) {
  Building building;
  const std::unique_ptr<std::remove_pointer_t<XML_Parser>, decltype(&XML_ParserFree)> parser(
      XML_ParserCreate("UTF-8"), &XML_ParserFree);
  if (parser == nullptr) return error("out of memory");
  building.parser = parser.get();
  XML_SetUserData(building.parser, &building);
  XML_SetElementHandler(building.parser, start, end);
  XML_SetCharacterDataHandler(building.parser, text);
  XML_SetStartDoctypeDeclHandler(building.parser, doctype);
  const auto status = XML_Parse(building.parser, bytes.data(), static_cast<int>(bytes.size()), 1);
  if (building.refused != nullptr)
    return error(std::string(kMalformed), std::string("XML: ") + building.refused);
  if (status != XML_STATUS_OK) {
    return error(std::string(kMalformed),
                 fmt::format("XML: line {}: {}", XML_GetCurrentLineNumber(building.parser),
                             XML_ErrorString(XML_GetErrorCode(building.parser))));
  }
  return std::move(building.root.children.front());
}

void append_xml_text(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\r':
        out += "&#xD;";
        break;
      case '\n':
      case '\t':
        out += c;
        break;
      default:
        // XML 1.0 has no other control characters, not even escaped.
        if (static_cast<uint8_t>(c) >= 0x20)
          out += c;
        else
          out += "\xef\xbf\xbd";
    }
  }
}

}  // namespace bastide::model
