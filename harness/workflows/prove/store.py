"""Outcomes on disk, one line each as soon as a case ends: a proof that was stopped goes on where it was."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.model.errors import UsageError
from harness.workflows.prove.outcome import Outcome

FILE = "proof.jsonl"
_OUTCOME = TypeAdapter(Outcome)


class Store:
    """The outcomes of one proof, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / FILE

    def outcomes(self) -> Mapping[str, Outcome]:
        """Return what was decided so far, by case; a last line that a kill cut short is passed over.

        Raises:
            UsageError: the file is no store of outcomes.
        """
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        found: dict[str, Outcome] = {}
        for number, line in enumerate(lines, 1):
            try:
                outcome = _OUTCOME.validate_json(line)
            except ValidationError:
                if number == len(lines):
                    continue
                msg = f"{self._path}:{number}: not the outcome of a case"
                raise UsageError(msg, hint="start a new proof, without --resume") from None
            found[outcome.case] = outcome
        return found

    def add(self, outcome: Outcome) -> None:
        """Append one outcome; it is on disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._end_last_line()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_OUTCOME.dump_python(outcome, mode="json")) + "\n")

    def _end_last_line(self) -> None:
        """Cut off a line that a kill left unfinished: its case runs again."""
        if self._path.exists():
            content = self._path.read_bytes()
            with self._path.open("rb+") as file:
                file.truncate(content.rfind(b"\n") + 1)
