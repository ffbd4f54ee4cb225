#include "engine/testing/rank_pair.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "base/check.h"

namespace vllm::engine::testing {
namespace {

// Messages: u32 length, then the bytes.
bool transfer(ssize_t (*call)(int, void*, size_t, int), int fd, void* data, size_t size) {
  for (char* p = static_cast<char*>(data); size > 0;) {
    const ssize_t n = call(fd, p, size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    p += n, size -= static_cast<size_t>(n);
  }
  return true;
}
ssize_t send_some(int fd, void* data, size_t size, int flags) { return ::send(fd, data, size, flags); }
bool send_message(int fd, std::string bytes) {
  uint32_t size = static_cast<uint32_t>(bytes.size());
  return transfer(send_some, fd, &size, sizeof size) && transfer(send_some, fd, bytes.data(), size);
}
bool receive_message(int fd, std::string& bytes) {
  uint32_t size = 0;
  if (!transfer(::recv, fd, &size, sizeof size)) return false;
  bytes.resize(size);
  return transfer(::recv, fd, bytes.data(), size);
}

class Rank {
 public:
  explicit Rank(const FakeDeviceOptions& options) {
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds_.data()) == 0);
    thread_ = std::thread([fd = fds_[1], options] { serve(fd, options); });
  }
  ~Rank() {
    ::shutdown(fds_[0], SHUT_RDWR);
    thread_.join();
    for (int fd : fds_) ::close(fd);
  }
  int fd() const { return fds_[0]; }

 private:
  static void serve(int fd, const FakeDeviceOptions& options) {
    FakeDevice device(options);
    std::string input, sample;
    while (receive_message(fd, input) && receive_message(fd, sample)) {
      auto decoded_input = decode_step_input(input);
      auto decoded_sample = decode_sample_input(sample);
      CHECK(decoded_input && decoded_sample);
      if (!send_message(fd, encode(device.run(*decoded_input, *decoded_sample)))) return;
    }
  }
  std::array<int, 2> fds_{};
  std::thread thread_;
};

struct Ranks {
  explicit Ranks(const FakeDeviceOptions& options) : first(options), second(options) {}
  Rank first, second;
};

}  // namespace

StepFunction make_rank_pair(const FakeDeviceOptions& options) {
  return [ranks = std::make_shared<Ranks>(options)](const StepInput& input, const SampleInput& sample) -> StepResult {
    const std::array<int, 2> fds{ranks->first.fd(), ranks->second.fd()};
    for (int fd : fds) CHECK(send_message(fd, encode(input)) && send_message(fd, encode(sample)));
    std::array<std::string, 2> answers;
    for (size_t i = 0; i < 2; ++i) CHECK(receive_message(fds[i], answers[i]));
    if (answers[0] != answers[1]) return {.step = input.step, .slots = {}, .error = "the ranks disagree"};
    return decode_step_result(answers[0]).value();
  };
}

}  // namespace vllm::engine::testing
