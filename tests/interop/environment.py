"""A virtual environment with the pinned clients, in a folder.

Usage: environment.py FOLDER

Prints the path of its Python last. A machine without venv or package index can still change the rest:
then this says what is absent, in its last line, and ends with status 77. A wrong requirement is a mistake.
"""

import os
import subprocess
import sys

REQUIREMENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "requirements.txt")
SKIPPED = 77

# What a failure says, and what this machine lacks then. "No matching distribution" is not among them: pip
# says it if it cannot reach the index, but also if the index lacks a package or a version.
ABSENT = {
    "ensurepip": "python3 is here without its module venv",
    "No module named venv": "python3 is here without its module venv",
    "require a different python version": "this python3 has a version that the clients do not support",
    "connection broken by": "the Python package index cannot be reached",
}


def step(*words):
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return
    print(done.stdout)
    for sign, what in ABSENT.items():
        if sign in done.stdout:
            print(f"    SKIPPED: {what}")
            sys.exit(SKIPPED)
    sys.exit(1)


def make(folder):
    """The Python of the environment in this folder, which is made where it is not there."""
    os.makedirs(folder, exist_ok=True)
    venv = os.path.join(folder, "venv")
    step(sys.executable, "-m", "venv", venv)
    python = os.path.join(venv, "bin", "python")
    print(f"    installing {os.path.relpath(REQUIREMENTS)} into {folder}", flush=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Only a request that pip repeats makes it say why it failed.
    step(*pip, "--retries", "3", "--requirement", REQUIREMENTS)
    return python


if __name__ == "__main__":
    print(make(sys.argv[1]))
