"""Functions of numbers and their spellings."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from secrets import SystemRandom
from statistics import NormalDist

from queryrun.engines.duckdb.functions.registry import (
    InputError,
    formatted,
    worker_function,
)

_CHANCE = SystemRandom()
_WIDE = Context(prec=800)


@worker_function("qr_from_base(VARCHAR, BIGINT) -> BIGINT")
def _from_base(value: str, base: int) -> int:
    if not 2 <= base <= 36:
        raise InputError("Radix must be between 2 and 36")
    number = _in_base(value, base)
    if number is None or not -(2**63) <= number < 2**63:
        raise InputError(f"Not a valid base-{base} number: {value}")
    return number


def _in_base(value: str, base: int) -> int | None:
    """Digits alone: Python reads prefixes, underscores and blanks as well."""
    if not re.fullmatch(r"[+-]?[0-9A-Za-z]{1,64}", value, re.ASCII):
        return None
    if any(int(digit, 36) >= base for digit in value.lstrip("+-")):
        return None
    found = 0
    for digit in value.lstrip("+-"):
        found = found * base + int(digit, 36)
    return -found if value.startswith("-") else found


@worker_function("qr_bit_count(BIGINT, BIGINT) -> BIGINT")
def _bit_count(value: int, bits: int) -> int:
    if bits == 64:
        return (value & (2**64 - 1)).bit_count()
    if not 2 <= bits <= 64:
        raise InputError(f"Bits specified in bit_count must be between 2 and 64, got {bits}")
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise InputError(
            "Number must be representable with the bits specified. "
            f"{value} cannot be represented with {bits} bits"
        )
    return int(value & (2**bits - 1)).bit_count()


@worker_function("qr_random(BIGINT, BIGINT) -> BIGINT", is_volatile=True)
def _random(start: int, stop: int) -> int:
    if start >= stop:
        raise InputError("start value must be less than stop value")
    return int(_CHANCE.randrange(start, stop))


@worker_function("qr_random_below(BIGINT) -> BIGINT", is_volatile=True)
def _random_below(bound: int) -> int:
    if bound <= 0:
        raise InputError("bound must be positive")
    return int(_CHANCE.randrange(bound))


# --- spellings ------------------------------------------------------------------------------


@worker_function("qr_human_readable_seconds(DOUBLE) -> VARCHAR")
def _human_readable_seconds(value: float) -> str:
    if not math.isfinite(value):
        word = "NaN" if math.isnan(value) else str(value).replace("inf", "Infinity")
        raise InputError(f"Invalid argument found: {word}")
    rest = min(math.floor(abs(value) + 0.5), 2**63 - 1)
    parts = []
    for unit, seconds in (
        ("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1),
    ):  # fmt: skip
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return ", ".join(parts) or "0 seconds"


_DATA_UNITS = {
    unit: 1024**power
    for power, unit in enumerate(("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"))
}


@worker_function("qr_parse_data_size(VARCHAR) -> DECIMAL(38,0)")
def _parse_data_size(value: str) -> Decimal:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]+)", value, re.ASCII)
    if match is None or match[2] not in _DATA_UNITS:
        raise InputError(f"Invalid data size: '{value}'")
    size = _WIDE.multiply(Decimal(match[1]), Decimal(_DATA_UNITS[match[2]]))
    whole = size.to_integral_value(ROUND_DOWN)
    if whole >= 10**38:
        raise InputError(f"Value out of range: '{value}' ('{whole}B')")
    return whole


_DURATIONS_NS = {
    "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
    "d": 86_400 * 10**9,
}  # fmt: skip


@worker_function("qr_parse_duration_ms(VARCHAR) -> BIGINT")
def _parse_duration_ms(value: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", value, re.ASCII)
    if match is None:
        raise InputError(f"duration is not a valid data duration string: {value}")
    if match[2] not in _DURATIONS_NS:
        raise InputError(f"Unknown time unit: {match[2]}")
    found = float(match[1]) * (_DURATIONS_NS[match[2]] / 10**6)
    if math.isinf(found):
        raise InputError("value is infinite")
    return math.floor(found + 0.5)


_SCALES = ((10**15, "Q"), (10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))


def _compact(value: Decimal) -> str:
    scale, unit = next(((s, u) for s, u in _SCALES if abs(value) >= s), (1, ""))
    scaled = _WIDE.divide(value, Decimal(scale))
    if not unit:
        return str(int(scaled.to_integral_value(ROUND_DOWN)))
    size = abs(scaled)
    digits = 2 if size < 10 else 1 if size < 100 else 0
    text = str(scaled.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text + unit


@worker_function("qr_format_number(DOUBLE) -> VARCHAR")
def _format_number(value: float) -> str:
    """Of doubles: they are cut to whole numbers, as Java does."""
    if math.isnan(value):
        return "0"
    return str(_format_integer(int(min(max(value, -(2**63)), 2**63 - 1))))


@worker_function("qr_format_integer(BIGINT) -> VARCHAR")
def _format_integer(value: int) -> str:
    if value == -(2**63):
        return "-9223.37Q"  # Trino's own result: it negates the number, which stays what it is
    return _compact(Decimal(value))


def _java_double(value: float, max_digits: int) -> str:
    """As `DecimalFormat` prints `0.0###E0`, from the digits that Java finds for a double."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0E0"
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    number = Decimal((0, digits, 0)).normalize()
    _, digits, more = number.as_tuple()
    power = len(digits) - 1 + int(exponent) + int(more)
    if len(digits) > max_digits:
        head = Decimal((0, digits, 1 - len(digits)))
        rounded = head.quantize(Decimal(1).scaleb(1 - max_digits), ROUND_HALF_EVEN)
        if rounded >= 10:
            rounded, power = rounded / 10, power + 1
        digits = rounded.normalize().as_tuple().digits
    text = "".join(map(str, digits))
    sign = "-" if value < 0 else ""
    return f"{sign}{text[0]}.{text[1:] or '0'}E{power}"


# --- probabilities --------------------------------------------------------------------------


@worker_function("qr_normal_cdf(DOUBLE, DOUBLE, DOUBLE) -> VARCHAR")
def _normal_cdf(mean: float, deviation: float, value: float) -> str:
    if not deviation > 0:
        raise InputError("standardDeviation must be > 0")
    return formatted(0.5 * math.erfc((mean - value) / (deviation * math.sqrt(2))))


@worker_function("qr_inverse_normal_cdf(DOUBLE, DOUBLE, DOUBLE) -> VARCHAR")
def _inverse_normal_cdf(mean: float, deviation: float, share: float) -> str:
    if not 0 < share < 1:
        raise InputError("p must be 0 > p > 1")
    if not deviation > 0:
        raise InputError("sd must be > 0")
    return formatted(NormalDist(mean, deviation).inv_cdf(share))


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Lentz's continued fraction of the incomplete beta function."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    found = d
    for m in range(1, 2_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            c = 1 + numerator / c
            d = 1 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            found *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return found


def _beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


@worker_function("qr_beta_cdf(DOUBLE, DOUBLE, DOUBLE) -> VARCHAR")
def _beta_cdf(a: float, b: float, value: float) -> str:
    if not 0 <= value <= 1:
        raise InputError("value must be 0 >= v >= 1")
    if not (a > 0 and b > 0):
        raise InputError("a, b must be > 0")
    return formatted(_beta(a, b, value))


@worker_function("qr_t_cdf(DOUBLE, DOUBLE) -> VARCHAR")
def _t_cdf(value: float, freedom: float) -> str:
    if freedom < 1:
        raise InputError("degrees of freedom must be greater than or equal to 1")
    if math.isnan(value) or math.isnan(freedom):
        return "NaN"
    if value == 0:
        return "0.5"
    tail = 0.5 * _beta(0.5 * freedom, 0.5, freedom / (freedom + value * value))
    return formatted(tail if value < 0 else 1 - tail)


_LANCZOS = (
    0.99999999999999709182, 57.156235665862923517, -59.597960355475491248, 14.136097974741747174,
    -0.49191381609762019978, 0.33994649984811888699e-4, 0.46523628927048575665e-4,
    -0.98374475304879564677e-4, 0.15808870322491248884e-3, -0.21026444172410488319e-3,
    0.21743961811521264320e-3, -0.16431810653676389022e-3, 0.84418223983852743293e-4,
    -0.26190838401581408670e-4, 0.36899182659531622704e-5,
)  # fmt: skip
"""Of the gamma function with g = 607/128, by Paul Godfrey (2001): what Commons Math has."""


def _log_gamma(x: float) -> float:
    """As Commons Math computes it, which Trino calls. Of large numbers the difference of two counts
    that are both inexact: only the same steps have the same digits."""
    if x <= 8:
        return math.lgamma(x)
    terms = (_LANCZOS[n] / (x + n) for n in range(len(_LANCZOS) - 1, 0, -1))
    total = sum(terms) + _LANCZOS[0]
    shifted = x + 607 / 128 + 0.5
    return (x + 0.5) * math.log(shifted) - shifted + 0.5 * math.log(math.tau) + math.log(total / x)


@worker_function("qr_t_pdf(DOUBLE, DOUBLE) -> VARCHAR")
def _t_pdf(value: float, freedom: float) -> str:
    if freedom < 1:
        raise InputError("degrees of freedom must be greater than or equal to 1")
    if math.isnan(value) or not math.isfinite(freedom):
        return "NaN"
    half = (freedom + 1) / 2
    spread = 0.5 * (math.log(math.pi) + math.log(freedom))
    scale = _log_gamma(half) - spread - _log_gamma(freedom / 2)
    return formatted(math.exp(scale - half * math.log(1 + value * value / freedom)))


@worker_function("qr_wilson(BIGINT, BIGINT, DOUBLE, DOUBLE) -> VARCHAR")
def _wilson(successes: int, trials: int, z: float, side: float) -> str:
    """The lower (`side` -1) or upper (1) end of Wilson's interval."""
    if successes < 0:
        raise InputError("number of successes must not be negative")
    if trials <= 0:
        raise InputError("number of trials must be positive")
    if successes > trials:
        raise InputError("number of successes must not be larger than number of trials")
    if not z >= 0:
        raise InputError("z-score must not be negative")
    share = successes / trials
    middle = share + z * z / trials / 2
    width = z * math.sqrt(share * (1 - share) / trials + z * z / trials / trials / 4)
    return formatted((middle + side * width) / (1 + z * z / trials))


@worker_function("qr_width_bucket(DOUBLE, DOUBLE[]) -> BIGINT")
def _width_bucket(value: float, bins: list[float | None]) -> int:
    """Halving as Trino does: only bins that it meets on its way are looked at, whether they are
    sorted and finite. A NULL among them is zero."""
    if not bins:
        raise InputError("Bins cannot be an empty array")
    if math.isnan(value):
        raise InputError("Operand cannot be NaN")
    low, high = 0, len(bins)
    while low < high:
        middle = (low + high) // 2
        edge = bins[middle] or 0.0
        if (bins[low] or 0.0) > (bins[high - 1] or 0.0):
            raise InputError("Bin values are not sorted in ascending order")
        if not math.isfinite(edge):
            raise InputError(f"Bin value must be finite, got {formatted(edge)}")
        low, high = (low, middle) if value < edge else (middle + 1, high)
    return low


# --- positions ---------------------------------------------------------------------------------

_MAX_COMBINATIONS = 100_000


@worker_function("qr_combinations(BIGINT, BIGINT) -> BIGINT[][]")
def _combinations(count: int, size: int) -> list[list[int]]:
    """The positions of every choice of `size` out of `count`, in Trino's order."""
    if size < 0:
        raise InputError(f"combination size must not be negative: {size}")
    if size > 5:
        raise InputError(f"combination size must not exceed 5: {size}")
    if math.comb(count, size) > _MAX_COMBINATIONS:
        raise InputError("combinations exceed max size")
    if size > count:
        return []
    chosen = itertools.combinations(range(count), size)
    return [
        [position + 1 for position in positions]
        for positions in sorted(chosen, key=lambda p: p[::-1])
    ]


@worker_function("qr_decimal_divide(VARCHAR, VARCHAR, BIGINT) -> VARCHAR")
def _decimal_divide(left: str, right: str, scale: int) -> str:
    """Of numbers with so many digits that a step in between has more than 38."""
    divisor = Decimal(right)
    if divisor == 0:
        raise InputError("Division by zero")
    exact = _WIDE.divide(Decimal(left), divisor)
    found = exact.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _WIDE)
    if abs(found) >= Decimal(10) ** (38 - scale):
        raise InputError("Decimal overflow")
    return format(found, "f")


@worker_function("qr_wide_average(HUGEINT, HUGEINT, BIGINT) -> HUGEINT")
def _wide_average(high: int, low: int, count: int) -> int:
    """Of so many numbers, whose halves of 19 digits are summed; rounded half away from zero."""
    total = high * 10**19 + low
    rounded = (abs(total) + count // 2) // count
    return rounded if total >= 0 else -rounded


@worker_function("qr_most_frequent(VARCHAR[], BIGINT) -> BIGINT[]")
def _top_positions(values: list[str], count: int) -> list[int]:
    """The position and the number of each of the most frequent values, one after the other."""
    first: dict[str, int] = {}
    for position, value in enumerate(values, 1):
        first.setdefault(value, position)
    found = Counter(values).most_common(count)
    return [number for value, times in found for number in (first[value], times)]
