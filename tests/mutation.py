"""How many small faults a room's tests find: ``tests/mutation.py query --lines 50 --seed 0``.

Lines of the room are drawn at random. In each, one operator, comparison, constant or boolean is
changed, in a copy of the project, and the room's tests run until the first of them fails. A mutant
dies if one does; those that live are listed, and each names a line that no test looks at, or a
change that means the same.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def tests_of(room: str, module: str, project: Path) -> list[str]:
    """The room's tests, those of the module first."""
    folder = project / "tests" / room
    own = [folder / f"test_{module}.py"]
    return [str(path.relative_to(project)) for path in [*own, folder] if path.exists()]


def passes(project: Path, tests: list[str], seconds: float) -> bool:
    """Whether the tests pass; a mutant that does not end has died, too."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    command += ["-m", "not slow and not gpu", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> int:
    """Draw, change, test, count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("room", help="folder of alsweep: query, results, sweep")
    parser.add_argument("--lines", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        skipped = shutil.ignore_patterns(".*", "__pycache__", "runs", "node_modules")
        shutil.copytree(ROOT, project, ignore=skipped)
        began = time.monotonic()
        if not passes(project, [f"tests/{given.room}"], 3600):
            sys.stderr.write(f"tests/{given.room} fails as it is; mend that first\n")
            return 1
        seconds = 60 + 4 * (time.monotonic() - began)
        chosen = drawn(project / "alsweep" / given.room, given.lines, given.seed)
        dead = 0
        for number, site in enumerate(chosen, start=1):
            original = site.file.read_text(encoding="utf-8")
            text, words = mutated(site)
            site.file.write_text(text, encoding="utf-8")
            lives = passes(project, tests_of(given.room, site.file.stem, project), seconds)
            site.file.write_text(original, encoding="utf-8")
            dead += not lives
            place = f"{site.file.relative_to(project)}:{site.line}"
            fate = "LIVES" if lives else "dies "
            sys.stdout.write(f"{number:3} {fate} {place}  {words}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{dead} of {len(chosen)} mutants die ({100 * dead / len(chosen):.0f} %)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
