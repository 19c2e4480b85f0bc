"""How many small faults a room's tests find: ``tests/mutation.py query --lines 50 --seed 0``.

Lines of the room are drawn at random. In each, one operator, comparison, constant or boolean is
changed, in a copy of the project, and the room's tests that run the line are run, quickest first,
until one of them fails. A mutant dies if one does; those that live are listed, and each names a
line that no test looks at, or a change that means the same. Tests that are slow or start a local
Ray take no part: what only they would find lives here.

Each run is a fork of this process, into which only the big libraries are loaded, so that a mutant
costs its tests and not their imports.
"""

import argparse
import ast
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

MARKS = "not slow and not gpu and not ray"
WARM = ("hypothesis", "numpy", "pandas", "pyarrow.parquet", "pydantic", "scipy.stats", "torch")
ROOT = Path(__file__).parent.parent
OTHER = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Site:
    """A place in a file that can be changed: the how-manieth changeable node, and its line."""

    file: Path
    index: int
    line: int


def changeable(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that can be changed, in the order of the tree; no annotation and no text."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST):
                continue
            if _is_changeable(node):
                yield node
            yield from changeable(node)


def _is_changeable(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    return isinstance(node, ast.BinOp | ast.AugAssign | ast.Compare | ast.BoolOp)


def change(node: ast.AST) -> None:
    """Turn a node into what it should not be."""
    if isinstance(node, ast.Constant):
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.Compare):
        node.ops[0] = OTHER[type(node.ops[0])]()
    elif isinstance(node, ast.UnaryOp):
        node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
    else:
        node.op = OTHER[type(node.op)]()


def sites(file: Path) -> list[Site]:
    """All places of a file."""
    nodes = changeable(ast.parse(file.read_text(encoding="utf-8")))
    return [
        Site(file, index, node.lineno)
        for index, node in enumerate(nodes)
        if type(getattr(node, "op", ast.Add())) in (*OTHER, ast.Not)
    ]


def drawn(room: Path, lines: int, seed: int) -> list[Site]:
    """One place in each of some lines."""
    rng = random.Random(seed)
    by_line: dict[tuple[Path, int], list[Site]] = {}
    for file in sorted(room.rglob("*.py")):
        for site in sites(file):
            by_line.setdefault((file, site.line), []).append(site)
    chosen = rng.sample(sorted(by_line), min(lines, len(by_line)))
    return [rng.choice(by_line[line]) for line in chosen]


def mutated(site: Site) -> tuple[str, str]:
    """The file's text with the place changed, and the change in words."""
    tree = ast.parse(site.file.read_text(encoding="utf-8"))
    node = list(changeable(tree))[site.index]
    before = ast.unparse(node)
    change(node)
    return ast.unparse(ast.fix_missing_locations(tree)), f"{before}  ->  {ast.unparse(node)}"


class Seconds:
    """A plug-in of pytest that writes how long each test took."""

    def __init__(self) -> None:
        self.of: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the time of a test's phase."""
        self.of[report.nodeid] = self.of.get(report.nodeid, 0) + report.duration

    def pytest_sessionfinish(self) -> None:
        """Write what was found where the parent process reads it."""
        loaded = [name for name in WARM if name in sys.modules]
        Path("seconds.json").write_text(json.dumps({"of": self.of, "loaded": loaded}))


def forked(project: Path, arguments: list[str], seconds: float) -> bool:
    """Whether pytest passes in a fork of this process; one that does not end has failed, too."""
    child = os.fork()
    if child == 0:
        # A group of its own, so that what the tests started ends with them.
        os.setpgid(0, 0)
        os._exit(_pytest(project, arguments))
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _pytest(project: Path, arguments: list[str]) -> int:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(project)
    sys.path.insert(0, str(project))
    os.environ |= {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    # A mutant may be written within the second, and as long, as what it replaces.
    sys.dont_write_bytecode = True
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", MARKS]
    return int(pytest.main([*options, *arguments], plugins=[Seconds()]))


class Coverage:
    """Which tests of a room run which lines of it, and how long they take."""

    def __init__(self, project: Path, room: str) -> None:
        """Run the room's tests once.

        Raises:
            RuntimeError: They fail as they are.
        """
        measure = [f"--cov=alsweep.{room}", "--cov-context=test", "--cov-report="]
        if not forked(project, [*measure, "--cov-fail-under=0", f"tests/{room}"], 3600):
            raise RuntimeError(f"tests/{room} fails as it is; mend that first")
        noted = json.loads((project / "seconds.json").read_text())
        self._seconds: dict[str, float] = noted["of"]
        for name in noted["loaded"]:
            importlib.import_module(name)
        self._data = coverage.CoverageData(str(project / ".coverage"))
        self._data.read()

    def tests(self, site: Site) -> list[str]:
        """The tests that run a site, quickest first.

        What is run by an import alone concerns all tests that run anything of the file, or, where
        there are none, all tests of the room.
        """
        of_file = self._data.contexts_by_lineno(str(site.file))
        run = [of_file[line] for line in _statement(site) if line in of_file]
        found = _tests_in(run)
        if run and not found:
            found = _tests_in(of_file.values()) or set(self._seconds)
        return sorted(found & set(self._seconds), key=lambda test: self._seconds[test])

    def limit(self, tests: list[str]) -> float:
        """Seconds after which a mutant's tests have failed."""
        return 60 + 10 * sum(self._seconds[test] for test in tests)


def _tests_in(contexts: Iterable[list[str]]) -> set[str]:
    return {context.rsplit("|", 1)[0] for line in contexts for context in line if context}


def _statement(site: Site) -> range:
    """The lines of the innermost statement round a site; of a compound one its head alone."""
    tree = ast.parse(site.file.read_text(encoding="utf-8"))
    spans = [
        (node.lineno, node.body[0].lineno - 1 if hasattr(node, "body") else node.end_lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
    ]
    around = [(first, last) for first, last in spans if first <= site.line <= last]
    first, last = max(around, default=(site.line, site.line))
    return range(first, last + 1)


def main() -> int:
    """Draw, change, test, count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("room", help="folder of alsweep: query, results, sweep")
    parser.add_argument("--lines", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve() / "project"
        skipped = shutil.ignore_patterns(".*", "__pycache__", "runs", "node_modules")
        shutil.copytree(ROOT, project, ignore=skipped)
        covered = Coverage(project, given.room)
        chosen = drawn(project / "alsweep" / given.room, given.lines, given.seed)
        dead = unrun = 0
        for number, site in enumerate(chosen, start=1):
            original = site.file.read_text(encoding="utf-8")
            tests = covered.tests(site)
            text, words = mutated(site)
            site.file.write_text(text, encoding="utf-8")
            lives = not tests or forked(project, tests, covered.limit(tests))
            site.file.write_text(original, encoding="utf-8")
            dead += not lives
            unrun += not tests
            place = f"{site.file.relative_to(project)}:{site.line}"
            fate = "LIVES" if lives else "dies "
            sys.stdout.write(f"{number:3} {fate} {place}  {words}  ({len(tests)} tests)\n")
            sys.stdout.flush()
    share, told = 100 * dead / len(chosen), f"{unrun} lie where none of these tests goes"
    sys.stdout.write(f"{dead} of {len(chosen)} mutants die ({share:.0f} %); {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
