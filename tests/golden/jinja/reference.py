"""jinja2 as transformers sets it up for chat templates, behind one function. Used by make.py and compare_real.py.

Versions the goldens were made with: Python 3.11, jinja2 3.1.6, transformers 5.23.0.
"""
import datetime
import time

from transformers.utils import chat_template_utils


def render(template: str, variables: dict, now: float):
    """{"text": ...} or {"error": type: message}"""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(now, tz)

    chat_template_utils.datetime = Clock
    try:
        compiled = chat_template_utils._compile_jinja_template(template)
        return {"text": compiled.render(**variables)}
    except Exception as e:  # whatever Python raises is the template's failure
        message = getattr(e, "message", None) or str(e)
        return {"error": f"{type(e).__name__}: {message}"}


NOW = 1763718600.25  # 2025-11-21 09:50 UTC
time.tzset()
