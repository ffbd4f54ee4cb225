#!/usr/bin/env python3
"""The recorded correctness run: everything that has to hold on a GPU, in one script that needs no network and ends within ten minutes.

    check.py --bin build/cuda/bin --out FOLDER [--parity FOLDER] [--commit HASH] [--steps tests,memcheck,parity,soak,faults]

Run from the repository's root (the tests read tests/golden). --parity: NAME.gguf with NAME-DTYPE.npz, or with NAME.json
(make_case.py): then reference.py makes the references meanwhile. The soak and the fault tests serve the first of these models. FOLDER gets a log per step, gpu.jsonl (lines for docs/measurements/gpu.jsonl) and
summary.txt. Exit status 1 if anything failed. Needs Python's standard library; for parity numpy; for references torch, transformers
and gguf.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from common import machine, program_env, record  # noqa: E402

# What memcheck runs of each binary, chosen to end within a minute of its slowed-down time: every kernel, not every size.
MEMCHECK = {"kernels_embedding_cuda_test": "*", "kernels_qkv_finish_cuda_test": "*", "kernels_rms_norm_cuda_test": "*",
            "kernels_linear_cuda_test": "LinearCudaTest/*-*WideAndDeep*", "kernels_decode_attention_cuda_test": "*",
            "kernels_paged_attention_cuda_test": "*OnEveryCase:*DecodesRagged*:*PlansAs*",
            "engine_sample_cuda_test": "*_1000:*_17:*_151936_few:*Replays*:*DrawsFrom*", "model_cuda_test": "CudaDecoder.MatchesTransformersOnEveryFamily:CudaDecoder.LoadsGgufForms",
            "engine_cuda_test": "*SurvivesAborts:SlotKernels.*"}


class Check:
    def __init__(self, options):
        self.o = options
        self.summary = []
        self.failed = []

    def say(self, text):
        self.summary.append(text)
        print(text, flush=True)

    def run(self, name, command, seconds, **more):
        """Run to a log; (exit status, seconds, output). 124: it took too long."""
        start = time.time()
        log = self.o.out / f"{name}.log"
        with log.open("w") as f:
            process = subprocess.Popen([str(c) for c in command], stdout=f, stderr=subprocess.STDOUT, **more)
            try:
                rc = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                rc = 124
        return rc, time.time() - start, log.read_text(errors="replace")

    def done(self, name, rc, seconds, figures):
        if rc:
            self.failed.append(name)
        self.say(f"{'ok    ' if rc == 0 else 'FAILED'} {name}: rc {rc}, {seconds:.1f} s, {figures}")

    def save(self, command, load, **values):
        record(self.o.out / "gpu.jsonl", self.o.commit, command, load, values)

    @staticmethod
    def counts(text):
        return {word: len(re.findall(rf"^\[ +{mark} +\] \S+ \(\d+ ms\)", text, re.M)) for word, mark in (("passed", "OK"), ("failed", "FAILED"), ("skipped", "SKIPPED"))}

    def tests(self):
        binaries = sorted(p for p in self.o.bin.glob("*_test") if "cuda" in p.name)
        total = {"passed": 0, "failed": 0, "skipped": 0}
        for path in binaries:
            rc, seconds, text = self.run(path.name, [path], 60, env=program_env(self.o.bin))
            counts = self.counts(text)
            self.done(path.name, rc, seconds, counts)
            for key, value in counts.items():
                total[key] += value
        self.save("*_cuda_test", f"{len(binaries)} test programs", **{f"tests {k}": (v, "") for k, v in total.items()})

    def memcheck_one(self, tool, name):
        command = [tool, "--tool", "memcheck", "--report-api-errors", "no", "--error-exitcode", "9", self.o.bin / name, f"--gtest_filter={MEMCHECK[name]}"]
        return name, *self.run(f"memcheck-{name}", command, 100, env=program_env(self.o.bin))

    def memcheck(self):
        tool = shutil.which("compute-sanitizer", path=os.environ.get("PATH", "") + ":/usr/local/cuda/bin:/usr/local/cuda/compute-sanitizer")
        if not tool:
            self.done("memcheck", 2, 0, "no compute-sanitizer")
            return
        names = [n for n in MEMCHECK if (self.o.bin / n).exists()]
        total, errors = 0, 0
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for name, rc, seconds, text in pool.map(lambda n: self.memcheck_one(tool, n), names):
                counts, found = self.counts(text), re.search(r"ERROR SUMMARY: (\d+) error", text)
                self.done(f"memcheck {name}", rc, seconds, f"{found.group(0) if found else 'no error summary'}, {counts}")
                total += counts["passed"]
                errors += int(found.group(1)) if found else 1
        self.save("compute-sanitizer --tool memcheck", f"{len(names)} test programs, chosen tests", **{"tests passed": (total, ""), "memcheck errors": (errors, "")})

    def start_references(self):
        """In the background, on the CPU: what parity compares with."""
        self.references = []
        for case in sorted(self.o.parity.glob("*.json")) if self.o.parity else []:
            for dtype in ("float32", "bfloat16"):
                out, model = case.parent / f"{case.stem}-{dtype}.npz", case.with_suffix(".gguf")
                if model.exists() and not out.exists():
                    log = (self.o.out / f"reference-{case.stem}-{dtype}.log").open("w")
                    command = [sys.executable, str(HERE / "reference.py"), str(case), str(model), str(out), "--dtype", dtype]
                    env = {**os.environ, "OMP_NUM_THREADS": "6", "CUDA_VISIBLE_DEVICES": ""}
                    self.references.append((out.stem, subprocess.Popen(command, stdout=log, stderr=log, env=env)))

    def await_references(self):
        start = time.time()
        for name, process in self.references:
            try:
                rc = process.wait(max(1, start + 240 - time.time()))
            except subprocess.TimeoutExpired:
                process.kill()
                rc = 124
            lines = (self.o.out / f"reference-{name}.log").read_text().strip().splitlines()
            self.done(f"reference {name}", rc, time.time() - start, lines[-1:])

    def parity(self):
        self.await_references()
        command = [sys.executable, HERE / "parity.py", "--bin", self.o.bin, "--parity", self.o.parity, "--out", self.o.out, "--commit", self.o.commit]
        rc, seconds, text = self.run("parity", command, 300)
        self.done("parity", rc, seconds, text.strip().splitlines()[-1:])
        for line in text.splitlines():
            if "p99" in line or "FAILED" in line or "greedy" in line:
                self.say(f"         {line}")

    def soak(self):
        for dtype, env in (("float32", {}), ("bfloat16", {"VLLM_BATCH_INVARIANT": "1"})):
            command = [sys.executable, HERE.parent / "soak" / "soak.py", "--binary", self.o.bin / "vllm", "--model", self.model(), "--requests", 1000, "--seconds", 45,
                       "--workers", 24, "--log", self.o.out / f"soak-server-{dtype}.log", "--", "--device", "cuda", "--dtype", dtype, "--kv-cache-memory-bytes", "1G", "--max-model-len", "1024"]
            rc, seconds, text = self.run(f"soak-{dtype}", command, 100, env={**program_env(self.o.bin), **env})
            self.done(f"soak {dtype} {' '.join('='.join(e) for e in env.items())}".strip(), rc, seconds, text.strip().splitlines()[-2:])
            if found := re.search(r"soak: (\d+) problems in \d+ s, (\d+) requests, (\d+) of", text):
                values = {name: (int(value), "") for name, value in zip(("problems", "requests", "bad or left"), found.groups())}
                self.save("tests/soak/soak.py", f"soak, {self.model().stem} {dtype} {env or ''}".strip(), **values)

    def faults(self):
        if not (HERE / "faults.py").exists():
            return
        rc, seconds, text = self.run("faults", [sys.executable, HERE / "faults.py", "--bin", self.o.bin, "--model", self.model(), "--out", self.o.out, "--commit", self.o.commit], 90)
        self.done("faults", rc, seconds, text.strip().splitlines()[-1:])

    def model(self):
        return sorted(self.o.parity.glob("*.gguf"), key=lambda p: p.stat().st_size)[0] if self.o.parity else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--parity", type=pathlib.Path)
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--steps", default="tests,memcheck,parity,soak,faults")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    check = Check(options)
    check.say(f"{machine()}, commit {options.commit}")
    start = time.time()
    if "parity" in options.steps:
        check.start_references()
    for step in options.steps.split(","):
        if step in ("parity", "soak", "faults") and not (options.parity and check.model()):
            check.say(f"left out: {step} (no --parity FOLDER with a model)")
            continue
        getattr(check, step)()
    check.say(f"{time.time() - start:.0f} s; " + (f"FAILED: {', '.join(check.failed)}" if check.failed else "all passed"))
    (options.out / "summary.txt").write_text("\n".join(check.summary) + "\n")
    sys.exit(bool(check.failed))


main()
