"""Write a new method: a working, commented plugin file and its test.

python -m bench new-method mine                          learns clips by matching; writes mine.py and test_mine.py here
python -m bench new-method mine --kind coreset           chooses real clips
python -m bench new-method mine --kind set               stores a representation of its own
python -m bench new-method mine --into methods           in this source tree, where it is found without --plugin
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
from importlib import resources
from pathlib import Path

from bench import plugins
from bench.cli.shared import load_parts
from bench.core.errors import BenchError
from bench.core.paths import possible

SUMMARY = "write a working plugin file for a new method, and its test"

KINDS = {
    "matching": "learns clips by matching real ones",
    "coreset": "chooses real clips",
    "set": "stores a representation of its own, and learns it",
}

_NAME = re.compile(r"[a-z][a-z0-9]*([-+][a-z0-9]+)*", re.ASCII)
_LONGEST = 60
_RESERVED = ("all", "everything", "new-method")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``new-method``."""
    parser.add_argument("name", metavar="NAME", help="how users will ask for it, such as mine or dm+mine")
    parser.add_argument(
        "--kind",
        choices=tuple(KINDS),
        default="matching",
        help="; ".join(f"{kind}: {text}" for kind, text in KINDS.items()) + " (default: matching)",
    )
    parser.add_argument(
        "--into", type=possible, default=".", metavar="DIR", help="the folder to write to (default: the current one)"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the files and says what to do next."""
    folder = Path(args.into)
    stem = re.sub(r"[-+]", "_", args.name)
    registered = plugins.package_in(folder) is not None
    file = folder / f"{stem}.py"
    # In a folder that is searched for methods, the test would be mistaken for one.
    test = (folder.resolve().parent / "tests" if registered else folder) / f"test_{stem}.py"
    _check(args.name, stem, folder, (file, test))
    texts = {file: _filled(args.kind, args.name, stem), test: _filled("conformance_test", args.name, stem)}
    if registered:
        texts[test] = (
            texts[test]
            .replace(f'Path(__file__).with_name("{stem}.py")', f'"{args.name}"')
            .replace("from pathlib import Path\n", "")
            .replace(f"check {stem}.py", f"check {args.name}")
        )
    for path, text in texts.items():
        _write(path, text)
        print(f"wrote {_shown(path)}")
    plugin = "" if registered else f" --plugin {shlex.quote(str(file))}"
    print("\nnext:")
    print(f"  python -m bench check {args.name if registered else shlex.quote(str(file))}")
    missing = "" if importlib.util.find_spec("pytest") else "pip install pytest && "
    print(f"  {missing}python -m pytest {shlex.quote(_shown(test))}")
    print(f"  python -m bench run{plugin} --methods random,{args.name}")
    return 0


def _check(name: str, stem: str, folder: Path, files: tuple[Path, ...]) -> None:
    """Checks that the name can be used and that no file would be overwritten.

    Raises:
        BenchError: one of these fails. The message says what would be valid.
    """
    if _NAME.fullmatch(name) is None or len(name) > _LONGEST:
        raise BenchError(
            f"new-method: '{name}' is not a valid name; use words of lower-case letters and digits, joined by - or +, "
            f"starting with a letter, such as mine or dm+mine, of at most {_LONGEST} characters"
        )
    if name in _RESERVED:
        raise BenchError(f"new-method: '{name}' is taken by the command line (--methods {name}); choose another name")
    if not folder.is_dir():
        raise BenchError(f"--into: no folder '{folder}'")
    for path in files:
        if path.exists():
            raise BenchError(
                f"new-method: {_shown(path)} exists and would be overwritten; choose another name or --into DIR"
            )
    methods = load_parts(()).methods
    if name in methods.names():
        raise BenchError(f"new-method: a method '{name}' exists, in {methods.origin(name).where}; choose another name")
    if importlib.util.find_spec(stem) is not None:
        raise BenchError(f"new-method: {stem}.py would hide the Python module '{stem}'; choose another name")


def _filled(template: str, name: str, stem: str) -> str:
    """A template with the names of its class, file and method replaced."""
    text = resources.files("bench.templates").joinpath(f"{template}.py").read_text(encoding="utf-8")
    camel = "".join(word.capitalize() for word in re.split(r"[-+]", name))
    return text.replace("NewMethod", camel).replace("new_method", stem).replace("new-method", name)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BenchError(f"new-method: cannot write {path} ({error.strerror})") from error


def _shown(path: Path) -> str:
    """The path relative to the current folder if it is inside it, else the absolute path."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
