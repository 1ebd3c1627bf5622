"""Generated inputs of strangers: heads, bodies and mixes of them that nobody has tuned.

Each case is bytes on a connection of its own, made from a seed. The server may refuse or answer as
it likes, but with no 5xx, no answer to what a well-framed body holds, and without keeping others
waiting; beside each case a request on another connection is answered as ever.
"""

from __future__ import annotations

import contextlib
import gzip
import random
import sys
import time
import zlib
from collections.abc import Callable

from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets, memory_mib
from tests.attack.wire import HEALTH, connect, exchange, flood, read_all, status_of
from tests.e2e.conftest import Server

CASES, QUICK_CASES = 2_000, 24
SLOWEST_S, QUICK_SLOWEST_S = 1.0, 12.0
"""How long another request may take beside a case. Under pytest much else runs beside it."""
READ_S = 0.25
"""How long a case waits for what it may get: most are answered at once, the others time out."""
MARKER = b"GET /marker-%d HTTP/1.1\r\nHost: x\r\n\r\n"
_PATHS = [
    *(b"/healthz", b"/v2/tables", b"/v2/query_runs", b"/oauth/token", b"/query/jobs", b"/"),
    *(b"/%2e%2e/%2fetc", b"/v2%2ftables", b"/v2/tables/%00", b"/v2/tables/%c0%af", b"/\xff\xfe"),
    *(b"//healthz", b"/healthz/../healthz", b"/v2/tables/%ff%fe", b"/files/a%0d%0ab", b"*"),
    *(b"http://x/healthz", b"http://u:p@x:99999/healthz", b"x:443", b"https://[::1/", b"/a?b#c"),
    *(b"/v2/tables?source=%", b"/v2/query_runs?page_size=1e9", b"/;/..;/admin/v1/clients"),
]
_METHODS = [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"TRACE", b"PRI", b"get", b""]
_VERSIONS = [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1 ", b"http/1.1"]
_VALUES = [
    *(b"0", b"5", b"-1", b"5, 5", b"chunked", b"gzip, chunked", b"identity", b"100-continue"),
    *(b"99999999999999999999", b"\x00", b"\xff\xfe", b"a\rb", b"a\nb", b"", b"websocket", b"h2c"),
    *(b"bytes=" + b",".join(b"%d-%d" % (i, i) for i in range(800)), b"bytes=-", b"bytes=9-1"),
    *(
        b"; ".join(b"c%d=v" % i for i in range(500)),
        b'"' * 500,
        b"Basic \xff",
        b"Bearer " + b"a" * 9000,
    ),
    *(
        b"br",
        b"zstd",
        b"deflate",
        b"gzip",
        b"gzip, gzip",
        b"multipart/form-data; boundary=" + b"x" * 99,
    ),
    *(
        b"application/json; charset=utf-7",
        b"text/xml",
        b"Sun, 99 Foo 9999 99:99:99 GMT",
        b"*/*;q=9",
    ),
]
_NAMES = [
    *(
        b"Content-Length",
        b"Transfer-Encoding",
        b"Host",
        b"Connection",
        b"Upgrade",
        b"Expect",
        b"TE",
    ),
    *(b"Content-Encoding", b"Accept-Encoding", b"Content-Type", b"Range", b"If-Range", b"Cookie"),
    *(
        b"Authorization",
        b"Idempotency-Key",
        b"Prefer",
        b"X-Forwarded-For",
        b"Forwarded",
        b"Trailer",
    ),
    *(
        b"Sec-WebSocket-Key",
        b"HTTP2-Settings",
        b"If-None-Match",
        b"Accept",
        b"traceparent",
        b"X-\xe9",
    ),
    *(b"Content-Length ", b" Host", b"", b"X" * 300, b"zuora-org-ids", b"Proxy-Connection"),
]


def case(seed: int) -> bytes:
    """The bytes of one case."""
    chosen = random.Random(seed)  # noqa: S311 - to be repeated by its seed
    make = chosen.choice([_request, _request, _request, _several, _head_alone, _other_protocol])
    return make(chosen)


def _request(chosen: random.Random) -> bytes:
    body, about = chosen.choice(_BODIES)(chosen)
    return _head(chosen, about) + body


def _several(chosen: random.Random) -> bytes:
    """A pipeline; the last one may be cut anywhere."""
    whole = b"".join(_request(chosen) for _ in range(chosen.randint(2, 12)))
    return whole[: len(whole) - chosen.randint(0, min(60, len(whole)))]


def _head_alone(chosen: random.Random) -> bytes:
    """A head that is cut, or that a byte has been changed of."""
    head = bytearray(_head(chosen, []))
    for _ in range(chosen.randint(1, 3)):
        head[chosen.randrange(len(head))] = chosen.choice(b"\x00\r\n :\t\x80\xff,;")
    return bytes(head[: chosen.choice([len(head), chosen.randrange(len(head))])])


def _other_protocol(chosen: random.Random) -> bytes:
    return chosen.choice(
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9) * 20,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chosen.randbytes(500),
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + HEALTH + b"\r\n",
            b"\r\n" * chosen.randint(1, 50) + HEALTH + b"\r\n",
            chosen.randbytes(chosen.randint(1, 4000)),
            b"\x05\x01\x00",
        ]
    )


def _head(chosen: random.Random, about: list[tuple[bytes, bytes]]) -> bytes:
    path = chosen.choice(_PATHS)
    if chosen.random() < 0.1:
        path += b"?" + b"&".join(b"p%d=%d" % (i, i) for i in range(chosen.choice([9, 900, 3000])))
    first = b"%b %b %b" % (chosen.choice(_METHODS), path, chosen.choice(_VERSIONS))
    lines = [(b"Host", b"x"), *about]
    more = range(chosen.choice([0, 0, 1, 1, 2, 3, 8, 120]))
    lines += [(chosen.choice(_NAMES), chosen.choice(_VALUES)) for _ in more]
    chosen.shuffle(lines)
    end = chosen.choice([b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n"])
    return end.join([first, *(b"%b: %b" % line for line in lines), b"", b""])


def _plain(chosen: random.Random) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    body = chosen.choice([b"", b"{}", b"[" * 3000, b'{"sql":"' + b"(" * 3000, chosen.randbytes(99)])
    length = len(body) + chosen.choice([0, 0, 0, 1, -1, 1000])
    return body, [(b"Content-Length", b"%d" % max(0, length))]


def _chunked(chosen: random.Random) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Sizes, extensions and trailers, some of them wrong."""
    parts = []
    for _ in range(chosen.randint(1, 30)):
        data = chosen.randbytes(chosen.choice([1, 2, 70]))
        size = chosen.choice([b"%x", b"%x", b"%x", b"0%x", b"+%x", b"0x%x", b"%x ", b" %x"]) % len(
            data
        )
        extension = chosen.choice([b"", b"", b";a=b", b';a="\r\n"', b";" + b"e" * 5000, b";\x00"])
        end = chosen.choice([b"\r\n"] * 8 + [b"\n", b""])
        parts.append(size + extension + b"\r\n" + data + end)
    trailers = chosen.choice([b"", b"", b"A: b\r\n", b"Content-Length: 5\r\n", b"T: u\r\n" * 3000])
    return b"".join([*parts, b"0\r\n", trailers, b"\r\n"]), [(b"Transfer-Encoding", b"chunked")]


def _packed(chosen: random.Random) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Compressed bodies that are large once unpacked, cut, or no such thing."""
    plain = chosen.choice([b"{}", b" " * 30_000_000, b'{"a":1,' * 100_000, chosen.randbytes(99)])
    name, packed = chosen.choice(
        [
            (b"gzip", gzip.compress(plain, 1)),
            (b"deflate", zlib.compress(plain, 1)),
            (b"br", plain[:999]),
            (b"zstd", b"\x28\xb5\x2f\xfd" + plain[:99]),
            (b"gzip, gzip", gzip.compress(gzip.compress(plain, 1))),
        ]
    )
    packed = packed[: chosen.choice([len(packed), len(packed) // 2])]
    about = [(b"Content-Length", b"%d" % len(packed)), (b"Content-Type", b"application/json")]
    return packed, [*about, (b"Content-Encoding", name)]


def _multipart(chosen: random.Random) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    body = part * chosen.choice([1, 5000]) + chosen.choice([b"--b--\r\n", b""])
    kind = b"multipart/form-data; boundary=b"
    return body, [(b"Content-Length", b"%d" % len(body)), (b"Content-Type", kind)]


def _waiting(chosen: random.Random) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    body = chosen.choice([b"", b"{}"])
    return body, [(b"Expect", b"100-continue"), (b"Content-Length", b"2")]


_BODIES: list[Callable[[random.Random], tuple[bytes, list[tuple[bytes, bytes]]]]] = [
    *(_plain, _plain, _chunked, _chunked, _packed, _multipart, _waiting)
]


def faults(server: Server, seed: int, slowest_s: float = SLOWEST_S) -> list[str]:
    """What is wrong with how the server takes this case."""
    found = []
    with contextlib.suppress(ConnectionError), connect(server) as stream:
        flood(stream, case(seed) + MARKER % seed)
        began_s = time.monotonic()
        health = exchange(server, HEALTH + b"Connection: close\r\n\r\n")
        if time.monotonic() - began_s > slowest_s:
            found.append(f"{seed}: another request took {time.monotonic() - began_s:.1f} s")
        if status_of(health) != 200:
            found.append(f"{seed}: another request got {health[:60]!r}")
        found += [f"{seed}: {line!r}" for line in _server_errors(read_all(stream, READ_S))]
    return found


def _server_errors(received: bytes) -> list[bytes]:
    """First lines of answers that say that the server, and not the caller, is to blame."""
    return [
        line for line in _statuses(received) if line[9:10] == b"5" and line[9:12] not in _LACKING
    ]


_LACKING = {b"501", b"505"}
"""What the server has not: a transfer coding, a version."""


def _statuses(received: bytes) -> list[bytes]:
    """The first lines of answers, without those that only say to go on."""
    lines = received.split(b"\r\n")
    found = [line for line in lines if line.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))]
    return [line for line in found if line[9:10] != b"1"]


def hidden(seed: int) -> bytes:
    """One request that is framed as it should be, whose body is requests that are none."""
    chosen = random.Random(seed)  # noqa: S311 - to be repeated by its seed
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n" * chosen.randint(1, 9)
    values = [value for value in _VALUES if value.isascii() and value.decode().isprintable()]
    lines = [b"%b: %b" % (name, chosen.choice(values)) for name in chosen.sample(_NEUTRAL, 2)]
    lines.append(
        chosen.choice([b"Expect: 100-continue", b"Upgrade: h2c", b"X: y", b"TE: trailers"])
    )
    if chosen.random() < 0.5:
        lines.append(b"Content-Length: %d" % len(smuggled))
        body = smuggled
    else:
        lines.append(b"Transfer-Encoding: chunked")
        cut = chosen.randint(1, len(smuggled) - 1)
        parts = [b"%x\r\n%b\r\n" % (len(one), one) for one in (smuggled[:cut], smuggled[cut:])]
        body = b"".join([*parts, b"0\r\n", chosen.choice([b"", b"A: b\r\n"]), b"\r\n"])
    chosen.shuffle(lines)
    path = chosen.choice([one for one in _PATHS if one.startswith(b"/") and one.isascii()])
    first = b"%b %b HTTP/1.1" % (chosen.choice([b"GET", b"POST"]), path)
    return b"\r\n".join([first, b"Host: x", *lines, b"", body])


_NEUTRAL = [b"Range", b"If-Range", b"Cookie", b"Accept", b"Prefer", b"traceparent", b"Forwarded"]


def is_smuggled(server: Server, seed: int) -> bool:
    """Whether more is answered than the one request and the marker behind it."""
    with contextlib.suppress(ConnectionError), connect(server) as stream:
        flood(stream, hidden(seed) + MARKER % seed)
        return len(_statuses(read_all(stream, READ_S))) > 2
    return False


@attack("front", "generated heads, bodies and pipelines", before="-", bar=0, unit="faults",
        timeout_s=900)  # fmt: skip
def generated(targets: Targets) -> Outcome:
    """Cases that are made of a seed: no 5xx, nobody else waits, the memory stays bounded."""
    server = targets.fresh()
    count = QUICK_CASES if targets.quick else CASES
    before = memory_mib(server)
    slowest_s = QUICK_SLOWEST_S if targets.quick else SLOWEST_S
    found = [fault for seed in range(count) for fault in faults(server, seed, slowest_s)]
    found += [f"{seed}: smuggled" for seed in range(count // 4) if is_smuggled(server, seed)]
    grown = memory_mib(server) - before
    if grown > 200:
        found.append(f"the server has grown by {grown:.0f} MiB")
    return Outcome(len(found), tried=count + count // 4, remark="; ".join(found[:20]))


if __name__ == "__main__":
    print(case(int(sys.argv[1])))
