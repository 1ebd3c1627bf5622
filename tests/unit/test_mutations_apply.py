"""The mutations of `make mutation-run` still fit the code that they break."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: str(mutation.name))
def test_every_edit_of_a_mutation_changes_the_code(mutation: Mutation) -> None:
    for edit in mutation.edits:
        source = (ROOT / edit.file).read_text(encoding="utf-8")
        assert edit.edited(source) != source
