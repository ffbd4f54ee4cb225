"""Renders the images' example templates (deploy/image/rootfs/vllm-workspace/examples) with jinja2 as transformers sets it up: golden.json.

python3 tests/golden/examples/make.py     # jinja2 3.1.6
"""
import json
import pathlib

from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
EXAMPLES = HERE.parents[2] / "deploy/image/rootfs/vllm-workspace/examples"
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": " 1 + 1? "}]
CALL = [{"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "w", "arguments": {"city": "Köln"}}}]},
        {"role": "tool", "tool_call_id": "1", "content": "12 °C"}]
TOOLS = [{"type": "function", "function": {"name": "w", "description": "weather of a city", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
CASES = {
    "chat": {"messages": CHAT, "add_generation_prompt": True, **SPECIAL},
    "no system": {"messages": CHAT[1:], "add_generation_prompt": False, **SPECIAL},
    "tools": {"messages": CALL, "tools": TOOLS, "add_generation_prompt": True, **SPECIAL},
    "tools and system": {"messages": CHAT[:1] + CALL, "tools": TOOLS, "add_generation_prompt": True, **SPECIAL},
}


def raise_exception(message):
    raise ValueError(message)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
environment.globals["raise_exception"] = raise_exception
rendered = {}
for path in sorted(EXAMPLES.glob("*.jinja")):
    template = environment.from_string(path.read_text())
    rendered[path.name] = {name: template.render(**variables) for name, variables in CASES.items() if "tools" not in name or path.name.startswith("tool_")}
text = json.dumps({"cases": CASES, "rendered": rendered}, indent=1, ensure_ascii=False) + "\n"
(HERE / "golden.json").write_text(text)
