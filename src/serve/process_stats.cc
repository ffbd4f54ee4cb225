#include "serve/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace vllm::serve {
namespace {

double boot_time_s() {
  std::ifstream in("/proc/stat");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  }
  return 0;
}

}  // namespace

ProcessStats read_process_stats() {
  ProcessStats out;
  std::ifstream in("/proc/self/stat");
  std::string text;
  std::getline(in, text);
  // proc(5): field 2, the command, may hold anything but ends with the last ')'; utime is field 14, starttime 22.
  const size_t paren = text.rfind(')');
  if (paren != std::string::npos) {
    std::istringstream fields(text.substr(paren + 1));
    std::string field;
    const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    static const double boot = boot_time_s();
    for (int number = 3; number <= 24 && fields >> field; ++number) {
      const double value = number == 3 ? 0 : std::strtod(field.c_str(), nullptr);
      if (number == 14 || number == 15) out.cpu_s += value / ticks;
      if (number == 22) out.start_time_s = boot + value / ticks;
      if (number == 23) out.virtual_bytes = value;
      if (number == 24) out.resident_bytes = value * static_cast<double>(sysconf(_SC_PAGESIZE));
    }
  }
  std::error_code ec;
  for (std::filesystem::directory_iterator it("/proc/self/fd", ec), end; !ec && it != end; it.increment(ec))
    ++out.open_fds;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) out.max_fds = static_cast<double>(limit.rlim_cur);
  return out;
}

}  // namespace vllm::serve
