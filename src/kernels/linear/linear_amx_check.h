#pragma once
namespace vllm::linear {

/// What a small product by the tile unit gives beside its emulation. The instructions may be missing although the CPU
/// says that it has them (a hypervisor that shows half of AMX): kNoInstruction then, instead of the death of the
/// process. Call it once, before another thread installs a handler of SIGILL; only where cpu_info.h's amx_use() is
/// kNative.
enum class AmxCheck { kWorks, kWrongResult, kNoInstruction };
AmxCheck check_amx();
/// check_amx() once a process, where amx_use() is kNative; what is wrong is logged once.
bool amx_can_be_trusted();

}  // namespace vllm::linear
