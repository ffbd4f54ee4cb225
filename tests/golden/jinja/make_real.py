"""Hashes of what jinja2 makes of real chat templates, for every conversation: real.json, read by real_templates_test.cc.

    python make_real.py FOLDER_WITH_TEMPLATES > real.json

The templates are vendor/llama.cpp/models/templates of the source archive that tests/data.lock pins; they stay there. A hash is 64-bit
FNV-1a of the rendered UTF-8 text, or "error" where jinja2 refuses. Python as reference.py says.
"""
import json
import os
import pathlib
import sys

os.environ["TZ"] = "UTC"
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import conversations
import reference


def fnv1a(data: bytes) -> str:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def main():
    cases = list(conversations.cases())
    templates = {}
    for file in sorted(pathlib.Path(sys.argv[1]).glob("*.jinja")):
        source = file.read_bytes()
        rendered = [reference.render(source.decode(), variables, reference.NOW) for _, variables in cases]
        templates[file.name] = {
            "source": fnv1a(source),
            "rendered": [fnv1a(r["text"].encode()) if "text" in r else "error" for r in rendered],
        }
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in templates.items()]
    variables = [f"{{\"name\": {json.dumps(name)}, \"variables\": {json.dumps(v, ensure_ascii=False)}}}" for name, v in cases]
    print(f"{{\"now\": {reference.NOW}, \"cases\": [\n" + ",\n".join(variables) + "\n], \"templates\": {\n" + ",\n".join(lines) + "\n}}")


if __name__ == "__main__":
    main()
