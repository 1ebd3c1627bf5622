"""References in code, tests and documents resolve: to the contract, the guarantee, and each other.

`(contract F7)` is the one form of a reference to `docs/reference/contract.md`; several codes are
separated by commas. Pages for operators explain themselves and have none.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "docs/reference/contract.md"
GUARANTEE = ROOT / "docs/cancel.md"
OPERATOR_PAGES = (
    *("docs/reference/settings.md", "docs/reference/sql.md", "docs/reference/result-files.md"),
    *("docs/reference/encryption.md", "docs/reference/cli.md", "docs/reference/scale.md"),
    *("docs/reference/sample-data.md", "docs/tutorial.md", "docs/glossary.md", "README.md"),
    *(f"docs/how-to/{path.name}" for path in sorted((ROOT / "docs/how-to").glob("*.md"))),
)

CODE = r"[A-H][0-9]{0,2}\b"
CONTRACT_REFERENCE = re.compile(rf"\(contract\s{CODE}(?:,\s{CODE})*\)")
LOOSE_REFERENCE = re.compile(rf"\bcontract(?:'s)?\s(?:sections?\s)?{CODE}", re.IGNORECASE)
PARENTHESISED = re.compile(r"\((?:[A-H][0-9]{1,2}(?:, )?)+\)")
BARE_CODE = re.compile(r"(?<![\w%&#/\"'.-])[A-H](?:[1-9]|1[0-9]|2[0-9])(?![\w%&-])")
"""A code by itself. Encoded bytes (`%C3`) and data in quotes are none."""
GUARANTEE_REFERENCE = re.compile(r"(?<!how-to/)\bcancel\.md")
ANCHORED_GUARANTEE = re.compile(r"(?<!how-to/)\bcancel\.md#([\w-]+)")
FILE = re.compile(r"`(?:\.\./)*((?:[\w.]+/)*\w+\.(?:py|sql))`")
FOLDER = re.compile(r"`((?:src|tests|docs|packages|benchmarks)/[\w./-]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
"""From Python 3.12 on the text of an f-string has a kind of its own."""
FENCE = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)


def test_every_contract_code_has_an_anchor() -> None:
    """The page's own promise: A1 to H24, and nothing that the list of decisions skips."""
    ids = anchors(CONTRACT.read_text(encoding="utf-8"))
    sections = {"a": 12, "b": 4, "c": 13, "d": 3, "f": 10, "g": 20, "h": 24}
    expected = {f"{one}{number}" for one, last in sections.items() for number in range(1, last + 1)}
    assert expected | set("abcdefgh") <= ids


def test_references_in_code_resolve() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {fault}"
        for path in code_files()
        for line, fault in faults_in_code(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_references_in_pages_resolve() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {fault}"
        for path in pages()
        for fault in faults_in_page(path, path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_files_that_pages_name_exist() -> None:
    """`runs/state.py` and the like; worked examples name files that are yet to be made."""
    known = [f"/{path.relative_to(ROOT)}" for path in code_files()]
    found = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages()
        if "add-a" not in page.name
        for name in FILE.findall(page.read_text(encoding="utf-8"))
        if not any(path.endswith(f"/{name}") for path in known)
    ]
    assert not found, "\n".join(found)


def test_folders_that_pages_name_exist() -> None:
    found = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages()
        if "add-a" not in page.name
        for name in FOLDER.findall(page.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert not found, "\n".join(found)


def test_sections_of_the_conformance_tables_are_codes_of_the_contract() -> None:
    ids = anchors(CONTRACT.read_text(encoding="utf-8"))
    for path in (ROOT / "tests/http").glob("conformance*.py"):
        codes = re.findall(r'"([A-H][0-9]{1,2})"', path.read_text(encoding="utf-8"))
        assert codes
        assert {code.lower() for code in codes} <= ids


@pytest.mark.parametrize("page", OPERATOR_PAGES)
def test_pages_for_operators_have_no_codes(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [match[0] for match in CONTRACT_REFERENCE.finditer(text)]
    assert not found + re.findall(r"\([A-H][0-9]{1,2}\)", text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# limits (contract F7)", ""),
        ("# limits (contract F7, H14)", ""),
        ("# tokens (contract E)", ""),
        ("x = 'A1'", ""),
        ("x = 'a separator (H7)'", "bare code H7"),
        ("# contract F7 says so", "not in the one form: contract F7"),
        ("# Contract H22", "not in the one form: Contract H22"),
        ("# limits (contract F7-F9)", "not in the one form: contract F7"),
        ("# limits (contract F77)", "contract F77"),
        ("# limits (contract F7, H99)", "contract H99"),
        ("# limits (F7)", "bare code F7"),
        ("# limits, as F7 says", "bare code F7"),
        ("def one():\n    '''A limit (F7).'''", "bare code F7"),
        ("# as design.md says", "design.md"),
        ("# the record (cancel.md, 6)", "cancel.md without an anchor"),
        ("# the record (docs/cancel.md#nowhere)", "docs/cancel.md#nowhere"),
        ("# the record (cancel.md#the-record)", "cancel.md without its folder"),
        ("# the record (docs/cancel.md#the-record)", ""),
        ("# how (docs/how-to/cancel.md)", ""),
    ],
)
def test_a_planted_reference_is_noticed(text: str, fault: str) -> None:
    assert [one for _, one in faults_in_code(text)] == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[states](contract.md#b1)", ""),
        ("[states](contract.md#b99)", "contract.md#b99"),
        ("[states](nowhere.md)", "nowhere.md"),
        ("[below](#nowhere)", "#nowhere"),
        ("as (contract Q1) and (contract F99) say", "contract F99"),
    ],
)
def test_a_planted_link_is_noticed(text: str, fault: str) -> None:
    found = list(faults_in_page(ROOT / "docs/reference/planted.md", text))
    assert found == ([fault] if fault else [])


# --- what is scanned ------------------------------------------------------------------------


def code_files() -> list[Path]:
    """Our Python and SQL files, except this one, which plants bad references."""
    found = [
        path
        for folder in ("src", "tests", "benchmarks", "docs", "tools", "packages")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".sql") and path != Path(__file__).resolve()
    ]
    assert len(found) > 100
    return sorted(path for path in found if not _is_foreign(path))


def pages() -> list[Path]:
    """Our Markdown pages."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")]
    found += [*(ROOT / ".github").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
    return sorted(path for path in found if not _is_foreign(path))


def _is_foreign(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(part in (".venv", ".cache", "node_modules", "build", "dist") for part in parts)


# --- the rules ------------------------------------------------------------------------------


def anchors(page: str) -> set[str]:
    """What `page#…` can lead to: explicit ids, and the slugs that code hosts give headings."""
    found = set(re.findall(r'<a id="([^"]+)">', page))
    for heading in re.findall(r"^#{1,6} (.+)$", FENCE.sub("", page), flags=re.MULTILINE):
        plain = re.sub(r"<[^>]+>|`|\*\*|\[|\]\([^)]*\)", "", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


_CONTRACT_IDS = anchors(CONTRACT.read_text(encoding="utf-8"))
_GUARANTEE_IDS = anchors(GUARANTEE.read_text(encoding="utf-8"))


def faults_in_code(text: str) -> Iterator[tuple[int, str]]:
    """Line and name of every bad reference in a file of code."""
    for line, remark in remarks(text):
        for fault in _contract_faults(remark):
            yield line, fault
        for match in BARE_CODE.finditer(
            LOOSE_REFERENCE.sub("", CONTRACT_REFERENCE.sub("", remark))
        ):
            yield line, f"bare code {match[0]}"
    for number, row in enumerate(text.splitlines(), 1):
        if "design.md" in row:
            yield number, "design.md"
        for fault in _guarantee_faults(row):
            yield number, fault


def faults_in_page(path: Path, text: str) -> Iterator[str]:
    """Every bad reference and every link to nowhere in a page."""
    yield from _contract_faults(text)
    if "design.md" in text:
        yield "design.md"
    for target in LINK.findall(FENCE.sub("", text)):
        if not re.match(r"[a-z]+:", target) and not _leads_somewhere(path, text, target):
            yield target


def remarks(text: str) -> Iterator[tuple[int, str]]:
    """Comments, docstrings and what strings have in parentheses, with their lines; every line of
    a file that is not Python."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokens:
        if token.type == tokenize.COMMENT or _is_prose(token):
            yield token.start[0], token.string
        elif token.type in STRINGS:
            yield token.start[0], " ".join(PARENTHESISED.findall(token.string))


def _is_prose(token: tokenize.TokenInfo) -> bool:
    """Docstrings, and strings that mention the contract: other strings are data."""
    if token.type not in STRINGS:
        return False
    is_long = token.string.lstrip("rRbBuUfF").startswith(('"""', "'''"))
    return is_long or "ontract" in token.string


def _contract_faults(text: str) -> Iterator[str]:
    for reference in CONTRACT_REFERENCE.findall(text):
        for code in re.findall(CODE, reference.removeprefix("(contract")):
            if code.lower() not in _CONTRACT_IDS:
                yield f"contract {code}"
    for match in LOOSE_REFERENCE.finditer(CONTRACT_REFERENCE.sub("", text)):
        yield f"not in the one form: {match[0]}"


def _guarantee_faults(row: str) -> Iterator[str]:
    anchored = {match.start(): match[1] for match in ANCHORED_GUARANTEE.finditer(row)}
    for match in GUARANTEE_REFERENCE.finditer(row):
        anchor = anchored.get(match.start())
        if anchor is None:
            yield "cancel.md without an anchor"
        elif not row[: match.start()].endswith("docs/"):
            yield "cancel.md without its folder"
        elif anchor not in _GUARANTEE_IDS:
            yield f"docs/cancel.md#{anchor}"


def _leads_somewhere(path: Path, text: str, target: str) -> bool:
    name, _, anchor = target.partition("#")
    page = (path.parent / name).resolve() if name else path
    if name and not page.exists():
        return False
    if not anchor or page.suffix != ".md":
        return True
    return anchor in anchors(page.read_text(encoding="utf-8") if name else text)
