#include "cli/profile_endpoints.h"

#include <sstream>

#include "base/log.h"
#include "cli/profiling.h"
#include "server/response.h"

namespace vllm::cli {
namespace {

serve::HttpResponse answer(const Status& status) {
  if (!status) return server::error_response(500, status.error().message);
  serve::HttpResponse ok;
  ok.content_type.clear();
  return ok;
}

}  // namespace

ProfileEndpoints::ProfileEndpoints(profile::Profiler& profiler) : profiler_(profiler) {
  thread_ = std::thread([this] {
    while (auto job = jobs_.pop()) (*job)();
  });
}

ProfileEndpoints::~ProfileEndpoints() {
  jobs_.close();
  thread_.join();
}

void ProfileEndpoints::add_to(server::Api& api) {
  api.start_profile = [this](serve::HttpRequest, server::Writer w) { push([this] { return start(); }, std::move(w)); };
  api.stop_profile = [this](serve::HttpRequest, server::Writer w) { push([this] { return stop(); }, std::move(w)); };
}

void ProfileEndpoints::push(std::function<Status()> job, server::Writer writer) {
  std::function<void()> run = [job = std::move(job), writer] { writer->respond(answer(job())); };
  if (!jobs_.push(std::move(run))) writer->respond(server::error_response(503, "too many profile requests at once"));
}

// As in vLLM, starting twice and stopping nothing are no errors.
Status ProfileEndpoints::start() {
  if (Status status = profiler_.start(); !status) {
    LOG_WARNING("/start_profile: {}", status.error().message);
    return status.error().code == ErrorCode::kInvalidArgument ? Status() : std::move(status);
  }
  LOG_INFO("Profiler started.");
  return {};
}

Status ProfileEndpoints::stop() {
  Result<std::string> text = stop_and_describe(profiler_);
  if (!text) {
    LOG_WARNING("/stop_profile: {}", text.error().message);
    return text.error().code == ErrorCode::kInvalidArgument ? Status() : Status(text.error());
  }
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) LOG_INFO("Profile: {}", line);
  return {};
}

}  // namespace vllm::cli
