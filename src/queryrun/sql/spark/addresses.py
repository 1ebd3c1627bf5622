"""IP addresses in Spark's SQL: BINARY of 16 bytes, whose order is that of Trino."""

from __future__ import annotations

from queryrun.sql.addresses import MAPPED, Network, read_address
from queryrun.sql.compile import types as t
from queryrun.sql.compile.cast_site import CastSite
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.spark.binding import bound
from queryrun.sql.spark.types import text

_MAPPED = MAPPED.hex().upper()
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"^{_BYTE}([.]{_BYTE}){{3}}\z"
_GROUPS = "([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*)?"
_IPV6 = rf"^{_GROUPS}(::{_GROUPS})?\z"


def literal(value: bytes) -> str:
    """An address that is known."""
    return f"X'{value.hex().upper()}'"


def cast(value: Typed, site: CastSite) -> Typed:
    """A text or bytes as an address."""
    if value.type == t.VARBINARY:
        return Typed(bound(value.sql, lambda x: _of_bytes(x, site), "x"), t.IPADDRESS)
    if value.type != t.VARCHAR:
        raise UnsupportedCastError(f"A cast from {value.type} to ipaddress", is_mismatch=True)
    if isinstance(value.constant, str):
        try:
            return Typed(literal(read_address(value.constant)), t.IPADDRESS)
        except ValueError:
            pass  # it fails where it is computed
    return Typed(bound(value.sql, lambda x: _of_text(x, site), "x"), t.IPADDRESS)


def _of_bytes(x: str, site: CastSite) -> str:
    wrong = f"'Invalid InetAddress binary length: ' || octet_length({x})"
    other = "" if site.is_safe else f" ELSE raise_error({wrong})"
    mapped = f"unhex('{_MAPPED}' || hex({x}))"
    return (
        f"(CASE WHEN {x} IS NULL THEN NULL WHEN octet_length({x}) = 16 THEN {x} "
        f"WHEN octet_length({x}) = 4 THEN {mapped}{other} END)"
    )


def _of_text(x: str, site: CastSite) -> str:
    """IPv6 addresses that end in the spelling of IPv4 are refused."""
    octets = f"transform(split({x}, '[.]', -1), part -> lpad(hex(CAST(part AS INT)), 2, '0'))"
    mapped = f"unhex('{_MAPPED}' || array_join({octets}, ''))"
    halves = f"transform(split({x}, '::', -1), half -> {_digits('half')})"

    def filled(h: str) -> str:
        joined = f"array_join({h}, '')"
        zeros = f"repeat('0', 32 - length({joined}))"
        both = f"concat({h}[0], {zeros}, {h}[1])"
        few = f"size({h}) = 2 AND length({joined}) <= 28"
        whole = f"size({h}) = 1 AND length({joined}) = 32"
        return f"CASE WHEN {few} THEN unhex({both}) WHEN {whole} THEN unhex({h}[0]) {wrong} END"

    failing = f"raise_error({text('Cannot cast value to IPADDRESS: ')} || {x})"
    wrong = "" if site.is_safe else f"ELSE {failing}"
    mixed = "raise_error('A cast of such a text to ipaddress is not supported')"
    return (
        f"(CASE WHEN {x} RLIKE {text(_IPV4)} THEN {mapped} "
        f"WHEN {x} RLIKE {text(_IPV6)} THEN {bound(halves, filled, 'h')} "
        f"WHEN {x} RLIKE ':.*[.]' THEN {mixed} WHEN {x} IS NOT NULL THEN "
        f"{'NULL' if site.is_safe else failing} END)"
    )


def _digits(half: str) -> str:
    """The groups on one side of `::`, each of four digits."""
    groups = f"filter(split({half}, ':', -1), part -> part <> '')"
    return f"array_join(transform({groups}, part -> lpad(part, 4, '0')), '')"


def printed(value: Typed) -> str:
    """As Guava's InetAddresses prints it: the longest run of zeros becomes `::`."""
    return bound(f"hex({value.sql})", _printed, "h")


def _printed(h: str) -> str:
    octet = f"conv(substring({h}, 25 + 2 * part, 2), 16, 10)"
    dotted = f"array_join(transform(sequence(0, 3), part -> {octet}), '.')"
    group = f"lower(regexp_replace(substring({h}, 1 + 4 * part, 4), '^0{{1,3}}', ''))"
    joined = f"array_join(transform(sequence(0, 7), part -> {group}), ':')"
    return f"CASE WHEN {h} LIKE '{_MAPPED}%' THEN {dotted} ELSE {bound(joined, _short, 'g')} END"


def _short(g: str) -> str:
    run = "'(^|:)0(:0){' || (size - 1) || '}(:|$)'"
    sizes = f"filter(sequence(8, 2, -1), size -> {g} RLIKE {run})"
    first = "'^(.*?)(?:^|:)0(?::0){' || (size - 1) || '}(?::|$)(.*)$'"
    shortened = f"transform({sizes}, size -> regexp_replace({g}, {first}, '$1::$2'))"
    return f"coalesce(try_element_at({shortened}, 1), {g})"


def contained(network: Network, address: str) -> str:
    """Whether an address is one of the network's."""
    between = f"{address} BETWEEN {literal(network.first)} AND {literal(network.last)}"
    sign = "" if network.is_mapped else "NOT "
    return f"({between} AND {sign}startswith(hex({address}), '{_MAPPED}'))"
