#include "tls/reloader.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <iterator>

#include "base/log.h"

namespace vllm::tls {

Reloader::Reloader(ServerSettings settings, std::shared_ptr<const Context> context)
    : settings_(std::move(settings)), context_(std::move(context)) {}

Result<std::unique_ptr<Reloader>> Reloader::make(ServerSettings settings) {
  std::unique_ptr<Reloader> out(new Reloader(std::move(settings), nullptr));
  out->loaded_ = out->seen_ = out->state_of_files();  // before they are read: a change in between is a change
  ASSIGN_OR_RETURN(out->context_, Context::make_server(out->settings_));
  return out;
}

std::shared_ptr<const Context> Reloader::context() const {
  std::lock_guard lock(mutex_);
  return context_;
}

// Behind symbolic links, so that it changes with `..data` of a Kubernetes secret as well as with a file's contents.
std::string Reloader::state_of_files() const {
  std::string out;
  for (const std::string* path : {&settings_.certfile, &settings_.keyfile, &settings_.ca_certs}) {
    struct stat info{};
    if (path->empty() || ::stat(path->c_str(), &info) != 0) {
      out += "-;";
    } else {
      fmt::format_to(std::back_inserter(out), "{}:{}:{}:{}.{};", info.st_dev, info.st_ino, info.st_size,
                     info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    }
  }
  return out;
}

void Reloader::check() {
  std::string now = state_of_files();
  const bool settled = now == seen_;
  seen_ = now;
  if (!settled || now == loaded_) return;
  loaded_ = std::move(now);
  auto fresh = Context::make_server(settings_);
  if (!fresh) {
    LOG_ERROR("The TLS certificate has changed but can't be used; the old one stays: {}", fresh.error().message);
    return;
  }
  LOG_INFO("New connections use the new TLS certificate of {}", settings_.certfile);
  std::lock_guard lock(mutex_);
  context_ = std::move(*fresh);
}

}  // namespace vllm::tls
