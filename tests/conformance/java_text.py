"""Constant texts in Java sources: which calls there are, and the strings that they are given.

A reader of tokens, not of Java: strings, text blocks, names and signs are enough to find
`query("SELECT " + X)` and to know what X is when the file says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|(?P<block>"""[ \t]*\n.*?(?<!\\)""")|(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<char>'(?:[^'\\\n]|\\.)+')|(?P<word>[A-Za-z_$][\w$]*)|(?P<number>\d[\w.]*)|(?P<sign>\S)",
    re.S,
)
_ESCAPE = re.compile(r"\\(u+[0-9a-fA-F]{4}|[0-7]{1,3}|\n|.)", re.S)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "s": " ", "0": "\0", "\n": ""}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: string, word, number, sign or char. A string's text is its value."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call and its arguments; `chain` are those that follow with a point in front."""

    name: str
    arguments: Sequence[Sequence[Token]]
    chain: Sequence[Call] = ()


def tokens_of(source: str) -> list[Token]:
    """The tokens, without comments."""
    found = []
    for match in _TOKEN.finditer(source):
        if match["block"]:
            found.append(Token("string", _text_block(match["block"])))
        elif match["string"]:
            found.append(Token("string", _unescaped(match["string"][1:-1])))
        elif kind := match.lastgroup:
            found.append(Token(kind, match[0]))
    return found


def constants_of(tokens: Sequence[Token]) -> dict[str, str]:
    """Variables that are given one constant text in the file, and no other."""
    found: dict[str, str] = {}
    spoiled: set[str] = set()
    for at in range(2, len(tokens)):
        is_assigned = tokens[at].text == "=" and tokens[at].kind == "sign"
        if not is_assigned or tokens[at - 1].kind != "word" or tokens[at - 2].text != "String":
            continue
        name = tokens[at - 1].text
        end = next((i for i in range(at, len(tokens)) if _is(tokens[i], ";")), at)
        value = constant(tokens[at + 1 : end], found)
        if value is None or found.get(name, value) != value:
            spoiled.add(name)
        else:
            found[name] = value
    return {name: value for name, value in found.items() if name not in spoiled}


def constant(tokens: Sequence[Token], known: Mapping[str, str]) -> str | None:
    """The text that an expression of strings joined by `+` has; None when it is no constant."""
    text, expects_value = "", True
    for token in tokens:
        if expects_value:
            value = token.text if token.kind == "string" else known.get(token.text)
            if value is None or (token.kind not in {"string", "word"}):
                return None
            text += value
        elif not _is(token, "+"):
            return None
        expects_value = not expects_value
    return None if expects_value else text


def calls_of(tokens: Sequence[Token], names: frozenset[str]) -> Iterator[Call]:
    """Every call of one of these names, with what is called on its result."""
    for at in range(len(tokens) - 1):
        if tokens[at].kind == "word" and tokens[at].text in names and _is(tokens[at + 1], "("):
            call, end = _call(tokens, at)
            chain = []
            while end + 2 < len(tokens) and _is(tokens[end], ".") and _is(tokens[end + 2], "("):
                following, end = _call(tokens, end + 1)
                chain.append(following)
            yield Call(call.name, call.arguments, chain)


def _call(tokens: Sequence[Token], at: int) -> tuple[Call, int]:
    """The call at a name, and what comes after its bracket."""
    depth = 0
    arguments: list[list[Token]] = []
    current: list[Token] = []
    for end in range(at + 1, len(tokens)):
        token = tokens[end]
        is_sign = token.kind == "sign"
        if is_sign and token.text in "([{":
            depth += 1
            if depth == 1:
                continue
        elif is_sign and token.text in ")]}":
            depth -= 1
            if depth == 0:
                if current:
                    arguments.append(current)
                return Call(tokens[at].text, arguments), end + 1
        elif is_sign and token.text == "," and depth == 1:
            arguments.append(current)
            current = []
            continue
        current.append(token)
    return Call(tokens[at].text, arguments), len(tokens)


def _is(token: Token, sign: str) -> bool:
    return token.kind == "sign" and token.text == sign


def _text_block(written: str) -> str:
    """Without its common indentation, as Java has it."""
    lines = written[3:-3].split("\n")[1:]
    counted = [line for line in lines[:-1] if line.strip()] + [lines[-1]]
    indent = min(len(line) - len(line.lstrip()) for line in counted)
    stripped = [line[indent:].rstrip() for line in lines]
    return _unescaped("\n".join(stripped))


def _unescaped(written: str) -> str:
    def value(match: re.Match[str]) -> str:
        code = match[1]
        if code.startswith("u"):
            return chr(int(code.lstrip("u"), 16))
        if code in _ESCAPED:
            return _ESCAPED[code]
        return chr(int(code, 8)) if code.isdigit() else code

    text = _ESCAPE.sub(value, written)
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return text
