"""`fields[]` and its older name `query_run.fields[]`: the fields to render (contract C1)."""

from __future__ import annotations

from collections.abc import Iterable

from queryrun.errors import Problem
from queryrun.runs.fields import Visibility, visible_fields

NAMED_FIELDS = (
    *visible_fields(Visibility.DEFAULT),
    *visible_fields(Visibility.ON_REQUEST, Visibility.WITH_OTHERS),
)
"""Every field that a caller may name, in the order of rendering."""

VISIBLE_FIELDS = tuple(field for field in NAMED_FIELDS if "." not in field.name)
"""The keys of a run."""

PART_FIELDS = tuple(field for field in NAMED_FIELDS if "." in field.name)
"""Keys of one of these: `file.size` is `size` in `file`. Naming one names the whole, too."""

DEFAULT_FIELDS = tuple(field.name for field in visible_fields(Visibility.DEFAULT))
"""Rendered when `fields[]` names nothing: the contract's, and no other (contract A5, H10)."""

EXTENSION_FIELDS = tuple(field.name for field in visible_fields(Visibility.ON_REQUEST))
"""Our extensions. Who names one knows that there are more than the contract's (contract H10)."""

PAIRED_FIELDS = tuple(field.name for field in visible_fields(Visibility.WITH_OTHERS))
"""Rendered only when an extension is named too."""

KNOWN_FIELDS = frozenset(field.name for field in NAMED_FIELDS)
PARAMETERS = ("fields[]", "query_run.fields[]")


def parse_fields(
    parameters: Iterable[tuple[str, str]],
    problems: list[Problem],
    *,
    strict: bool = False,
    always: bool = False,
) -> frozenset[str] | None:
    """The fields that are named: the union of both parameters, each repeated or comma-joined.

    None when nothing was named, which means the default. Unknown names are ignored (contract H16)
    or, with `strict`, a problem. With `always` a paired field needs no extension beside it.
    """
    names = {
        name.strip() for key, value in parameters if key in PARAMETERS for name in value.split(",")
    } - {""}
    if strict and (unknown := names - KNOWN_FIELDS):
        message = f"'fields[]' has unknown names: {', '.join(sorted(unknown))[:200]}"
        problems.append(Problem("invalid_parameter", "fields[]", message))
    if not names:
        return None
    if not always and names.isdisjoint(EXTENSION_FIELDS):
        names.difference_update(PAIRED_FIELDS)
    known = names & KNOWN_FIELDS
    return frozenset(known | {name.partition(".")[0] for name in known})
