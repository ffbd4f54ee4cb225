"""Guides run this in vLLM's source tree before `docker build`, so that the build takes an installed PyTorch. Nothing here needs one."""
print("vllm.cpp uses no PyTorch: nothing to change")
