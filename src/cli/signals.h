#pragma once
// Signals as values: they are blocked in every thread and waited for by one.
#include <csignal>

namespace vllm::cli {

/// Block SIGTERM, SIGINT and SIGHUP for this thread and all that it starts; ignore SIGPIPE. Call first in main(): it
/// also makes them work for a process that is PID 1. As PID 1, children that others left behind are reaped by the
/// kernel.
void block_signals();
/// Wait for one of them; 0 after `timeout_ms`.
int wait_signal(int timeout_ms);

}  // namespace vllm::cli
