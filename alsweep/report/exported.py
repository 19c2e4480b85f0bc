"""The tables of a page as files: LaTeX with booktabs, and Markdown; one of each a section."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from alsweep.report.section import Beside, Block, Section, Tables
from alsweep.report.tables import MARKS, NamedTable, Table
from alsweep.results.leading import Place

_LATEX = {
    "\\": r"\textbackslash{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "—": "---",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "·": r"$\cdot$",
    "χ": r"$\chi$",
    "β": r"$\beta$",
    "²": r"$^2$",
    "\N{MINUS SIGN}": "$-$",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "\N{NO-BREAK SPACE}": "~",
    "“": "``",
    "”": "''",
}
LATEX_MARKS: Mapping[Place, str] = {"best": r"\textbf{{{}}}", "level": r"\underline{{{}}}"}
MARKDOWN_MARKS: Mapping[Place, str] = {"best": "**{}**", "level": "<ins>{}</ins>"}
_ENDINGS = (".tex", ".md")


def names_of(section: Section) -> tuple[str, str]:
    """What the tables of a section are called as files."""
    tex, markdown = (f"table_{section.id}{ending}" for ending in _ENDINGS)
    return tex, markdown


def table_files(shown: Iterable[tuple[Section, Sequence[Block]]]) -> Iterator[tuple[str, bytes]]:
    """Name and content of the files of all sections that have a table.

    Args:
        shown: Sections with their blocks.
    """
    for section, blocks in shown:
        named = [one for one in _tables(blocks) if one[1].rows]
        if named:
            tex, markdown = names_of(section)
            yield tex, _joined(_latex(section, number, one) for number, one in enumerate(named))
            yield markdown, _joined(_markdown(section, one) for one in named)


def _joined(texts: Iterable[str]) -> bytes:
    return "\n".join(texts).encode()


def _tables(blocks: Iterable[Block]) -> Iterator[NamedTable]:
    for block in blocks:
        if isinstance(block, Tables):
            yield from block.named
        elif isinstance(block, Beside):
            yield from _tables([*block.left, *block.right])


def _caption(section: Section, named: NamedTable) -> str:
    name, table = named
    told = f"{section.title}: {name}" if name else section.title
    return f"{told}. {MARKS}" if table.marks else told


def _rows(
    table: Table, escaped: Callable[[str], str], marks: Mapping[Place, str]
) -> Iterator[list[str]]:
    """Cells in the words of a format, the best ones marked."""
    for number, row in enumerate(table.rows):
        places = [table.marks.get((number, column)) for column in range(len(row))]
        yield [
            escaped(cell) if place is None else marks[place].format(escaped(cell))
            for cell, place in zip(row, places, strict=True)
        ]


def _latex(section: Section, number: int, named: NamedTable) -> str:
    _, table = named
    columns = "l" + "r" * (len(table.columns) - 1)
    body = [_latex_row(row) for row in _rows(table, _escaped, LATEX_MARKS)]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(_caption(section, named))}}}",
        rf"\label{{tab:{section.id}-{number + 1}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_row(map(_escaped, table.columns)),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _latex_row(cells: Iterable[str]) -> str:
    # A row that begins with a bracket would be read as an option of the one before.
    return "{}" + " & ".join(cells) + r" \\"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _markdown(section: Section, named: NamedTable) -> str:
    caption = _shown(_caption(section, named))
    return "\n".join([caption, "", *_markdown_rows(named[1]), ""])


def _markdown_rows(table: Table) -> Iterator[str]:
    yield _markdown_row(map(_shown, table.columns))
    yield "| :-- |" + " --: |" * (len(table.columns) - 1)
    for row in _rows(table, _shown, MARKDOWN_MARKS):
        yield _markdown_row(row)


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)
