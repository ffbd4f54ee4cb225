"""Render real chat templates with jinja2 and with our engine over every conversation, and count the differences.

    python compare_real.py JINJA_RENDER FILE_OR_FOLDER... [--show N]

JINJA_RENDER is build/release/bin/jinja_render. Folders give their *.jinja files; a tokenizer_config.json or a folder with
one gives its chat_template. Python as reference.py says. Exit status 1 if anything differs.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

os.environ["TZ"] = "UTC"
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import conversations
import reference


def templates(paths):
    for path in map(pathlib.Path, paths):
        if path.is_dir() and (path / "tokenizer_config.json").exists():
            path = path / "tokenizer_config.json"
        if path.is_dir():
            for file in sorted(path.glob("*.jinja")):
                yield file.name, file.read_bytes().decode()
        elif path.name.endswith(".json"):
            template = json.loads(path.read_text()).get("chat_template")
            if isinstance(template, str):
                yield path.parent.name, template
        else:
            yield path.name, path.read_bytes().decode()


def same(expected, got):
    if "text" in expected:
        return expected["text"] == got.get("text")
    return "error" in got


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--show", type=int, default=10)
    args = parser.parse_args()
    engine = subprocess.Popen([args.binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    count = {"equal": 0, "unequal": 0, "equal_errors": 0}
    wording = 0
    shown = 0
    files = 0
    for name, template in templates(args.paths):
        files += 1
        for case, variables in conversations.cases():
            expected = reference.render(template, variables, reference.NOW)
            request = {"template": template, "variables": variables, "now": reference.NOW}
            engine.stdin.write(json.dumps(request, ensure_ascii=False) + "\n")
            engine.stdin.flush()
            got = json.loads(engine.stdout.readline())
            ok = same(expected, got)
            count["equal" if ok else "unequal"] += 1
            if ok and "error" in expected:
                count["equal_errors"] += 1
                words = expected["error"].split(": ", 1)[1]
                if words not in got["error"]:
                    wording += 1
                    if args.show < 0:
                        print(f"wording: {name} / {case}: {expected['error']!r} / {got['error']!r}")
            if not ok and shown < args.show:
                shown += 1
                print(f"--- {name} / {case}")
                a, b = expected.get("text"), got.get("text")
                if a is not None and b is not None:
                    i = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
                    print(f"  differ at {i}: expected {a[max(0, i-40):i+60]!r}\n                    got {b[max(0, i-40):i+60]!r}")
                else:
                    print(f"  expected {str(expected)[:300]}\n  got      {str(got)[:300]}")
    print(f"{files} templates: {count['equal']} equal (of these {count['equal_errors']} errors on both sides, "
          f"{wording} of them worded differently), {count['unequal']} unequal")
    return count["unequal"] > 0


if __name__ == "__main__":
    sys.exit(main())
