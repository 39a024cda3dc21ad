#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/jail.h"

namespace bastide::shim {
namespace {

constexpr off_t kMaxPlan = 8 << 20;

uint32_t number(const char* text) { return static_cast<uint32_t>(::strtoul(text, nullptr, 10)); }

bool limit(JailPlan& plan, char* text) {  // "RESOURCE:VALUE"
  char* colon = ::strchr(text, ':');
  if (!colon || plan.limit_count == 16) return false;
  plan.limits[plan.limit_count++] = {::atoi(text), static_cast<rlim_t>(::strtoull(colon + 1, nullptr, 10))};
  return true;
}

bool take(JailPlan& plan, const char* key, char* value) {
  const auto is = [&](const char* name) { return ::strcmp(key, name) == 0; };
  if (is("pid-file"))
    plan.pid_file = value;
  else if (is("log-file"))
    plan.log_file = value;
  else if (is("root"))
    plan.root = value;
  else if (is("folder"))
    plan.folder = value;
  else if (is("uid"))
    plan.uid = number(value);
  else if (is("address"))
    plan.address = number(value);
  else if (is("vpc"))
    plan.vpc = number(value);
  else if (is("mask"))
    plan.mask = number(value);
  else if (is("door"))
    plan.door = number(value);
  else if (is("credentials"))
    plan.credentials = static_cast<uint16_t>(number(value));
  else if (is("api"))
    plan.api = static_cast<uint16_t>(number(value));
  else if (is("limit"))
    return limit(plan, value);
  else if (is("read-only") && plan.read_only_count < kMaxRules)
    plan.read_only[plan.read_only_count++] = value;
  else if (is("writable") && plan.writable_count < kMaxRules)
    plan.writable[plan.writable_count++] = value;
  else if (is("argument") && plan.argument_count < kMaxWords)
    plan.arguments[plan.argument_count++] = value;
  else if (is("variable") && plan.environment_count < kMaxWords)
    plan.environment[plan.environment_count++] = value;
  else
    return false;
  return true;
}

}  // namespace

bool read_plan(const char* path, JailPlan& plan) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || ::fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > kMaxPlan) return false;
  char* text = static_cast<char*>(::malloc(static_cast<size_t>(st.st_size) + 1));
  off_t got = 0;
  while (text && got < st.st_size) {
    const ssize_t n = ::read(fd, text + got, static_cast<size_t>(st.st_size - got));
    if (n <= 0) return false;
    got += n;
  }
  ::close(fd);
  if (!text) return false;
  text[st.st_size] = 0;
  for (char* at = text; at < text + st.st_size;) {
    char* next = at + ::strlen(at) + 1;
    char* equals = ::strchr(at, '=');
    if (!equals) return false;
    *equals = 0;
    if (!take(plan, at, equals + 1)) return false;
    at = next;
  }
  return plan.pid_file && plan.log_file && plan.argument_count > 0;
}

}  // namespace bastide::shim
