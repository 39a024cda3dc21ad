#include "runner/validate.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/bytes.h"

namespace bastide::runner {
namespace {

constexpr size_t kMaxLayers = 127;
constexpr size_t kMaxArguments = 4096;
constexpr size_t kMaxArgumentBytes = 1 << 20;
constexpr size_t kMaxPath = 1024;
constexpr int64_t kMaxCpuUnits = 1024 * 1024;
constexpr int64_t kMaxMemoryMib = int64_t{16} << 20;
constexpr int64_t kMaxProcesses = 1 << 20;

bool hexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Error invalid(std::string message) { return error("Invalid", std::move(message)); }

Result<void> check_texts(const std::vector<std::string>& texts, std::string_view what) {
  size_t bytes = 0;
  for (const auto& text : texts) {
    bytes += text.size() + 1;
    if (text.find('\0') != std::string::npos) return invalid(std::string(what) + " has a zero byte");
  }
  if (texts.size() > kMaxArguments || bytes > kMaxArgumentBytes)
    return invalid(std::string(what) + " is too long");
  return {};
}

Result<void> check_environment(const std::vector<std::string>& environment) {
  TRY(check_texts(environment, "the environment"));
  for (const auto& entry : environment) {
    const auto equals = entry.find('=');
    if (equals == std::string::npos || equals == 0)
      return invalid("an entry of the environment is not NAME=VALUE");
  }
  return {};
}

// A path inside the container; the runtime resolves it there.
Result<void> check_inside_path(const std::string& path, std::string_view what) {
  if (path.empty()) return {};
  bool clean = path[0] == '/' && path.size() <= kMaxPath &&
               path.find_first_of(std::string_view("\0\n", 2)) == std::string::npos;
  for (const auto part : split(path, '/')) clean &= part != "..";
  if (!clean) return invalid(std::string(what) + " must be an absolute path without '..'");
  return {};
}

Result<void> check_user(const std::string& user) {
  const bool clean = user.size() <= 128 && std::all_of(user.begin(), user.end(), [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              c == '_' || c == '-' || c == '.' || c == ':' || c == '$';
                     });
  if (!clean) return invalid("the user is not a name or number");
  return {};
}

Result<void> check_layers(const std::vector<std::string>& layers) {
  if (layers.size() > kMaxLayers) return invalid("more than " + std::to_string(kMaxLayers) + " layers");
  for (const auto& layer : layers) {
    if (!is_digest(layer)) return invalid("a layer is not named by its digest");
  }
  return {};
}

Result<void> check_limits(int64_t cpu_units, int64_t memory_mib, int64_t processes) {
  if (cpu_units < 1 || cpu_units > kMaxCpuUnits) return invalid("cpu_units is out of range");
  if (memory_mib < 4 || memory_mib > kMaxMemoryMib) return invalid("memory_mib is out of range (at least 4)");
  if (processes < 1 || processes > kMaxProcesses) return invalid("processes is out of range");
  return {};
}

Result<void> check_account(const std::string& account) {
  if (!is_account(account)) return invalid("an account has 12 digits");
  return {};
}

Result<void> check_vpc(const std::string& vpc) {
  const std::string_view rest = std::string_view(vpc).substr(std::min<size_t>(4, vpc.size()));
  if (!vpc.starts_with("vpc-") || (rest.size() != 8 && rest.size() != 17) || !hexadecimal(rest))
    return invalid("not the id of a VPC");
  return {};
}

}  // namespace

bool is_digest(std::string_view text) {
  return text.size() == 71 && text.starts_with("sha256:") && hexadecimal(text.substr(7));
}
bool is_id(std::string_view text) { return text.size() == 32 && hexadecimal(text); }
bool is_account(std::string_view text) {
  return text.size() == 12 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<uint32_t> parse_address(std::string_view text) {
  in_addr address;
  if (::inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return invalid("not an IPv4 address");
  return ntohl(address.s_addr);
}

Result<Cidr> parse_cidr(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return invalid("a CIDR block has a slash");
  const uint32_t network = TRY(parse_address(text.substr(0, slash)));
  const int64_t prefix = TRY(parse_int(text.substr(slash + 1)));
  if (prefix < 16 || prefix > 28) return invalid("a VPC's CIDR block is between /16 and /28");
  const Cidr cidr{network, static_cast<int>(prefix)};
  if ((cidr.network & ~cidr.mask()) != 0) return invalid("a CIDR block starts with its network's address");
  const uint32_t first = cidr.network >> 24;
  if (first == 0 || first == 127 || first >= 224 || (cidr.network >> 16) == 0xa9fe)
    return invalid("a CIDR block outside the usable addresses");
  return cidr;
}

std::string address_text(uint32_t address) {
  const in_addr in{htonl(address)};
  char text[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, &in, text, sizeof text);
}

Result<void> check(const internal::NetworkSpec& spec) {
  TRY(check_account(spec.account));
  TRY(check_vpc(spec.vpc));
  TRY(parse_cidr(spec.cidr));
  return {};
}

Result<void> check(const internal::TaskSpec& spec) {
  if (!is_id(spec.id)) return invalid("a task's id has 32 hexadecimal digits");
  TRY(check_account(spec.account));
  TRY(check_vpc(spec.vpc));
  TRY(parse_address(spec.address));
  TRY(check_layers(spec.layers));
  TRY(check_texts(spec.image.entrypoint, "the entry point"));
  TRY(check_texts(spec.image.command, "the command"));
  if (spec.image.entrypoint.empty() && spec.image.command.empty())
    return invalid("there is neither an entry point nor a command");
  TRY(check_environment(spec.image.environment));
  TRY(check_user(spec.image.user));
  TRY(check_inside_path(spec.image.working_folder, "the working folder"));
  TRY(check_limits(spec.cpu_units, spec.memory_mib, spec.processes));
  const bool host_clean =
      spec.hostname.size() <= 63 && std::all_of(spec.hostname.begin(), spec.hostname.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '.';
      });
  if (!host_clean) return invalid("the host name has other characters than letters, digits, '-' and '.'");
  return {};
}

Result<void> check(const internal::SandboxSpec& spec) {
  if (!is_id(spec.id)) return invalid("a sandbox's id has 32 hexadecimal digits");
  TRY(check_account(spec.account));
  TRY(check_layers(spec.layers));
  if (spec.host_tools && !spec.layers.empty())
    return invalid("a sandbox has the host's tools or an image, not both");
  TRY(check_inside_path(spec.workspace, "the workspace"));
  TRY(check_limits(spec.cpu_units, spec.memory_mib, spec.processes));
  return {};
}

Result<void> check(const internal::SandboxExec& spec) {
  if (!is_id(spec.id)) return invalid("a sandbox's id has 32 hexadecimal digits");
  if (spec.argv.empty() || spec.argv[0].empty()) return invalid("there is no command");
  TRY(check_texts(spec.argv, "the command"));
  TRY(check_environment(spec.environment));
  TRY(check_inside_path(spec.folder, "the folder"));
  TRY(check_user(spec.user));
  if (spec.timeout < 1 || spec.timeout > kDay) return invalid("the timeout is out of range");
  return {};
}

}  // namespace bastide::runner
