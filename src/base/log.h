// The process's own log: one line an event on stderr. Never put a secret into it.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace bastide::log {

void init(std::string_view role, bool debug);  // role: serve, control, edge, runner
void write_debug(std::string_view line);
void write_info(std::string_view line);
void write_warn(std::string_view line);
void write_error(std::string_view line);

template <class... Args>
void debug(fmt::format_string<Args...> f, Args&&... args) { write_debug(fmt::format(f, std::forward<Args>(args)...)); }
template <class... Args>
void info(fmt::format_string<Args...> f, Args&&... args) { write_info(fmt::format(f, std::forward<Args>(args)...)); }
template <class... Args>
void warn(fmt::format_string<Args...> f, Args&&... args) { write_warn(fmt::format(f, std::forward<Args>(args)...)); }
template <class... Args>
void error(fmt::format_string<Args...> f, Args&&... args) { write_error(fmt::format(f, std::forward<Args>(args)...)); }

}  // namespace bastide::log
