"""Gives the scenarios a virtual environment with the pinned clients, and runs them.

Usage: run.py MSTR_FAKE_PROGRAM WORK_FOLDER

Where that environment cannot be made, it ends as `environment.py` does.
"""

import os
import subprocess
import sys

# Nothing is to be written beside the sources.
sys.dont_write_bytecode = True
import environment

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    program, folder = sys.argv[1:3]
    python = environment.make(folder)
    # Without a buffer, so that each line is there when its scenario ends.
    scenarios = [python, "-u", os.path.join(HERE, "scenarios.py"), program, folder]
    return subprocess.run(scenarios).returncode


if __name__ == "__main__":
    sys.exit(main())
