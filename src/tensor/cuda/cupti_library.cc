#include "tensor/cuda/cupti_library.h"

#include <dlfcn.h>

#include <type_traits>
#include <vector>

#include "base/env.h"

namespace vllm {
namespace {

Result<void*> open_first(const std::vector<std::string>& paths) {
  std::string tried;
  for (const std::string& path : paths) {
    if (void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
    const char* why = dlerror();
    tried += fmt::format("\n  {}", why != nullptr ? why : path);
  }
  return error(ErrorCode::kNotFound,
               "profiling a GPU needs libcupti.so.13 of CUDA 13 (package cuda-cupti-13-0, or nvidia-cuda-cupti of "
               "PyPI); put its folder into LD_LIBRARY_PATH or its path into VLLM_CUPTI_PATH. Tried:{}",
               tried);
}

}  // namespace

Result<CuptiLibrary> CuptiLibrary::open() {
  std::vector<std::string> paths = {"libcupti.so.13", "/usr/local/cuda/lib64/libcupti.so.13",
                                    "/usr/local/cuda/extras/CUPTI/lib64/libcupti.so.13"};
  if (auto named = env("VLLM_CUPTI_PATH")) paths = {*named};
  ASSIGN_OR_RETURN(void* handle, open_first(paths));
  CuptiLibrary lib;
  const char* missing = nullptr;
  auto bind = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
    if (function == nullptr) missing = name;
  };
  bind(lib.enable, "cuptiActivityEnable"), bind(lib.disable, "cuptiActivityDisable");
  bind(lib.enable_runtime_api, "cuptiActivityEnableRuntimeApi");
  bind(lib.enable_driver_api, "cuptiActivityEnableDriverApi");
  bind(lib.register_callbacks, "cuptiActivityRegisterCallbacks");
  bind(lib.next_record, "cuptiActivityGetNextRecord"), bind(lib.flush_all, "cuptiActivityFlushAll");
  bind(lib.push_id, "cuptiActivityPushExternalCorrelationId");
  bind(lib.pop_id, "cuptiActivityPopExternalCorrelationId");
  bind(lib.num_dropped, "cuptiActivityGetNumDroppedRecords");
  bind(lib.timestamp, "cuptiGetTimestamp"), bind(lib.callback_name, "cuptiGetCallbackName");
  bind(lib.result_string, "cuptiGetResultString");
  if (missing != nullptr) return error(ErrorCode::kNotFound, "libcupti has no {}: another version?", missing);
  return lib;
}

Status CuptiLibrary::check(CUptiResult code, const char* what) const {
  if (code == CUPTI_SUCCESS) return {};
  const char* why = nullptr;
  result_string(code, &why);
  return error(ErrorCode::kInternal, "CUPTI: {}: {}", what, why != nullptr ? why : "unknown error");
}

}  // namespace vllm
