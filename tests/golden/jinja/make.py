"""Write golden.json: every template of cases.py with what jinja2 renders from VARIABLES (versions: reference.py).

    TZ=UTC python make.py
"""
import json
import os
import pathlib
import sys

os.environ["TZ"] = "UTC"
here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here))
import cases
import reference

out = {"now": reference.NOW, "variables": cases.VARIABLES, "cases": []}
for subject, templates in cases.CASES.items():
    for i, template in enumerate(templates):
        result = reference.render(template, cases.VARIABLES, reference.NOW)
        if subject != "errors" and "error" in result:
            print(f"{subject}[{i}]: {result['error']}")
        out["cases"].append({"name": f"{subject}[{i}]", "template": template, **result})
(here / "golden.json").write_text(json.dumps(out, ensure_ascii=True, indent=0) + "\n")
print(len(out["cases"]), "cases")
