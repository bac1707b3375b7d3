"""What a test of somebody else's software needs: a Debian package, or one of PyPI's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def debian(program: str, package: str) -> str:
    """The path of a program; installed first where that is allowed, else the test is skipped."""
    if shutil.which(program) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "-q", package]
        subprocess.run(command, capture_output=True, timeout=300, check=False)
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program} (Debian: apt-get install {package})")
    return found


def pypi(package: str, tmp_path: Path) -> Path:
    """A folder with a package of PyPI and what it needs; the test is skipped if there is none.

    The package is for the Python that runs the test, and nobody else's.
    """
    folder = tmp_path / "pypi"
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), package]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        pytest.skip(f"needs {package}: pip did not get it in five minutes")
    if done.returncode:
        why = done.stderr.strip().splitlines()
        pytest.skip(f"needs {package}: {why[-1] if why else 'pip failed'}")
    return folder
