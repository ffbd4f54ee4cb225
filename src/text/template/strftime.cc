#include "text/template/strftime.h"

#include <fmt/core.h>

#include <cmath>
#include <ctime>

#include "text/template/failure.h"

namespace vllm::text::tmpl {

std::string format_time(std::string_view format, double now_s) {
  constexpr double kLastSecond = 253402300799.0;  // end of the year 9999, as datetime
  if (!(now_s >= 0 && now_s <= kLastSecond)) fail("the time {} is out of range", now_s);
  if (format.size() > 4096) fail("a time format of more than 4096 characters");
  auto seconds = static_cast<time_t>(std::floor(now_s));
  auto micros = static_cast<int>(std::floor((now_s - std::floor(now_s)) * 1e6));
  struct tm local{};
  localtime_r(&seconds, &local);
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    std::string directive = {'%', format[++i]};
    if (directive == "%f") {
      out += fmt::format("{:06}", micros);
      continue;
    }
    if (directive == "%z" || directive == "%Z") continue;  // datetime.now() carries no zone
    if ((format[i] == '-' || format[i] == 'E' || format[i] == 'O' || format[i] == '_' || format[i] == '0' ||
         format[i] == '^' || format[i] == '#') &&
        i + 1 < format.size()) {
      directive += format[++i];
    }
    char buffer[128];
    out.append(buffer, std::strftime(buffer, sizeof buffer, directive.c_str(), &local));
  }
  return out;
}

}  // namespace vllm::text::tmpl
