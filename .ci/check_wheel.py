"""Builds the wheel, checks that it holds every file of the five folders, and imports every module from it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("datasets", "models", "training", "evaluation", "inference_service")

IMPORT_ALL = """
import importlib, sys
target, *modules = sys.argv[1:]
sys.path = [target] + [p for p in sys.path if not p.rstrip("/").endswith(".types")]
for name in modules:
    module = importlib.import_module(name)
    assert module.__file__.startswith(target), f"{name} was imported from {module.__file__}, not from the wheel"
print(f"{len(modules)} modules imported from the wheel")
"""


def main() -> int:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    expected = {f"tamsoat/{name}" for name in tracked if (ROOT / name).is_file()}
    # Built by `make assets`, ignored by git, and part of the wheel.
    assets = sorted((ROOT / "inference_service/web/static/assets").glob("*"))
    if not assets:
        print("the web page's assets are not built: run make assets")
        return 1
    expected |= {f"tamsoat/{path.relative_to(ROOT)}" for path in assets}
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", scratch, str(ROOT)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        wheel = next(Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            held = {name for name in archive.namelist() if ".dist-info/" not in name}
            archive.extractall(Path(scratch) / "site")
        if held != expected:
            print("missing from the wheel:", *sorted(expected - held), sep="\n  ")
            print("in the wheel but not in the tree:", *sorted(held - expected), sep="\n  ")
            return 1
        modules = sorted(
            name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for name in held
            if name.endswith(".py") and "/migrations/" not in name and not name.endswith("__main__.py")
        )
        empty = Path(scratch) / "empty"
        empty.mkdir()
        subprocess.run([sys.executable, "-c", IMPORT_ALL, str(Path(scratch) / "site"), *modules], cwd=empty, check=True)
    print(f"{wheel.name}: complete, {len(held)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
