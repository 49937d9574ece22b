"""The matrix as text for a terminal or a pull request, and as one HTML file."""

from collections.abc import Iterator
from html import escape

from harness.workflows.prove.matrix import Matrix, Row, Score
from harness.workflows.prove.outcome import Meaning

_SYMBOLS = {
    Meaning.HELD: "✓",
    Meaning.PROVEN: "✓",
    Meaning.BROKEN: "✕",
    Meaning.UNPROVEN: "✕",
    Meaning.ELSEWHERE: "✕",
    Meaning.UNDECIDED: "?",
}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #d5dae1; vertical-align: top }
td.told { overflow-wrap: anywhere }
.good { color: #0b5c2f } .bad { color: #a11616; font-weight: 600 } .unsure { color: #6b4b00 }
@media (prefers-color-scheme: dark) {
  body { color: #e6e9ee; background: #14171c } th, td { border-color: #39414d }
  .good { color: #7bd39b } .bad { color: #ff9a92 } .unsure { color: #f0c674 }
}
"""


def markdown(matrix: Matrix) -> str:
    """Return the matrix as Markdown, which a terminal shows as well."""
    lines = ["| scenario | without | must fail | shown | |", "|---|---|---|---|---|"]
    lines += [" ".join(f"| {_cell(cell)}" for cell in _cells(row)) + " |" for row in matrix.rows]
    return "\n".join([*lines, "", *_sentences(matrix)])


def html(matrix: Matrix) -> str:
    """Return the matrix as one page without a request to anywhere."""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("scenario", "without", "must fail", "shown", "how"))
    rows = "".join(_html_row(row) for row in matrix.rows)
    said = "".join(f"<li>{escape(line)}</li>" for line in _sentences(matrix))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Proof of the protections</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>Proof of the protections</h1><ul>{said}</ul>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></main></body></html>\n"
    )


def _html_row(row: Row) -> str:
    scenario, without, must_fail, shown, told = (escape(cell) for cell in _cells(row))
    tone = {"✓": "good", "✕": "bad"}.get(shown[:1], "unsure")
    return (
        f'<tr><th scope="row">{scenario}</th><td>{without}</td><td>{must_fail}</td>'
        f'<td class="{tone}">{shown}</td><td class="told">{told}</td></tr>'
    )


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    case = row.case
    symbol = _SYMBOLS[row.meaning] if row.meaning else "–"
    return case.scenario, ", ".join(case.without) or "–", case.must_fail or "–", f"{symbol} {row.word}", row.told


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _sentences(matrix: Matrix) -> Iterator[str]:
    yield f"protections proven: {matrix.protections}{_missing(matrix.protections)}"
    if matrix.mutants.declared:
        yield f"mutants caught: {matrix.mutants}{_missing(matrix.mutants)}"
    if matrix.unnamed:
        yield f"declared, and no scenario proves them: {', '.join(matrix.unnamed)}"
    if matrix.idle_checks:
        yield f"checks that no removal ever failed: {', '.join(matrix.idle_checks)}"


def _missing(score: Score) -> str:
    return f"; missing: {', '.join(score.missing)}" if score.missing else ""
