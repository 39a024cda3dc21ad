#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace bastide::log {

void init(std::string_view role, bool debug) {
  auto logger = spdlog::stderr_logger_mt(std::string(role));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %-7n %-5l %v", spdlog::pattern_time_type::utc);
  logger->set_level(debug ? spdlog::level::debug : spdlog::level::info);
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void write_debug(std::string_view line) { spdlog::default_logger_raw()->debug("{}", line); }
void write_info(std::string_view line) { spdlog::default_logger_raw()->info("{}", line); }
void write_warn(std::string_view line) { spdlog::default_logger_raw()->warn("{}", line); }
void write_error(std::string_view line) { spdlog::default_logger_raw()->error("{}", line); }

}  // namespace bastide::log
