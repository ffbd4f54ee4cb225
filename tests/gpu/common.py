"""What the GPU checks share: a server to talk to, and lines for docs/measurements/gpu.jsonl. Standard library only."""
import datetime
import functools
import http.client
import json
import os
import pathlib
import socket
import subprocess
import time


@functools.cache
def machine():
    try:
        out = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True, check=True)
        return out.stdout.strip().splitlines()[0].replace(", ", ", driver ")
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "no GPU"


def program_env(folder):
    """The environment of our programs: libraries that travelled with them lie in FOLDER/../lib (Python itself must not see them)."""
    lib = pathlib.Path(folder).resolve().parent / "lib"
    found = dict(os.environ)
    if lib.is_dir():
        found["LD_LIBRARY_PATH"] = ":".join(filter(None, [str(lib), found.get("LD_LIBRARY_PATH", "")]))
    return found


def record(path, commit, command, load, values):
    """Append {metric: (value, unit)} to a file of JSON lines and print them."""
    base = {"date": datetime.date.today().isoformat(), "machine": machine(), "commit": commit, "command": command, "load": load}
    with open(path, "a") as f:
        for metric, (value, unit) in values.items():
            f.write(json.dumps({**base, "metric": metric, "value": value, "unit": unit}) + "\n")
    print(f"{load}: " + ", ".join(f"{m} {v:.6g} {u}".rstrip() for m, (v, u) in values.items()), flush=True)


class Server:
    """`vllm serve MODEL --served-model-name m FLAGS` on a free port."""

    def __init__(self, binary, model, flags, log, env=None):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = pathlib.Path(log)
        with self.log.open("w") as f:
            self.process = subprocess.Popen([str(binary), "serve", str(model), "--host", "127.0.0.1", "--port", str(self.port), "--served-model-name", "m",
                                             "--disable-uvicorn-access-log", *flags], stdout=f, stderr=f, env=env)
        end = time.time() + 100
        while self.process.poll() is None and time.time() < end:
            try:
                if self.get("/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        self.process.kill()
        raise SystemExit(f"the server did not start:\n{self.log.read_text()[-3000:]}")

    def request(self, method, path, data=None, timeout=120):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path, timeout=10)

    def post(self, path, body, timeout=120):
        return self.request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), timeout)

    def metric(self, name):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.get("/metrics")[1].decode().splitlines() if line.startswith(name + "{"))

    def stop(self, seconds=30):
        """Ask it to end; its exit status, or -9 where it had to be killed."""
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return -9
