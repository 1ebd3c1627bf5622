"""Downloads against a script: continued, verified, renamed at the end; never a token to a link."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from queryrun_client import ChecksumMismatch, DownloadFailed, RunFailed, RunInfo, State, Unreachable
from queryrun_client.download import DownloadOptions, PartFile, download
from queryrun_client.effects import Response
from queryrun_client.model import FileInfo
from tests.unit.client.scripted import TOKEN, Script, response, run_body, script, silence

DATA = b"0123456789" * 100
SHA = hashlib.sha256(DATA).hexdigest()
FILE = FileInfo("r1_17.csv", "http://files/r1?sig=1", "csv", len(DATA), SHA)
RUN = RunInfo("r1", State.COMPLETE, file=FILE)
BREAK = b""


def rest_from(start: int, *chunks: bytes) -> tuple[Response, list[bytes]]:
    """The response of a server to a range that begins at `start`."""
    span = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
    return response(206, content_range=span), list(chunks)


def fetched(world: Script, target: Path, run: RunInfo = RUN, *, resume: bool = True) -> Path:
    return world.run(download(world.core, run, DownloadOptions(target, resume)))


def test_a_link_gets_no_token_and_no_transcoding(tmp_path: Path) -> None:
    world = script((response(200), [DATA]))
    assert fetched(world, tmp_path / "f").read_bytes() == DATA
    assert dict(world.requests[0].headers) == {"accept-encoding": "identity"}
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_an_interrupted_download_is_resumed(tmp_path: Path) -> None:
    world = script((response(200), [DATA[:300], BREAK]), rest_from(300, DATA[300:]))
    assert fetched(world, tmp_path / "f").read_bytes() == DATA
    assert world.requests[1].headers["range"] == "bytes=300-"


def test_interruptions_are_not_limited_while_bytes_arrive(tmp_path: Path) -> None:
    breaks = [rest_from(n, DATA[n : n + 50], BREAK) for n in range(50, 950, 50)]
    world = script((response(200), [DATA[:50], BREAK]), *breaks, rest_from(950, DATA[950:]))
    assert fetched(world, tmp_path / "f").read_bytes() == DATA


def test_attempts_without_progress_are_limited(tmp_path: Path) -> None:
    world = script(*(silence() for _ in range(6)))
    with pytest.raises(Unreachable):
        fetched(world, tmp_path / "f")


def test_a_server_that_ignores_ranges_starts_over(tmp_path: Path) -> None:
    PartFile(tmp_path / "f", FILE.id).path.write_bytes(DATA[:100])
    world = script((response(200), [DATA]))
    assert fetched(world, tmp_path / "f").read_bytes() == DATA


def test_another_range_than_requested_is_not_appended(tmp_path: Path) -> None:
    PartFile(tmp_path / "f", FILE.id).path.write_bytes(DATA[:100])
    world = script(rest_from(90, DATA[90:]), (response(200), [DATA]))
    assert fetched(world, tmp_path / "f").read_bytes() == DATA


def test_a_complete_part_is_not_fetched_again(tmp_path: Path) -> None:
    PartFile(tmp_path / "f", FILE.id).path.write_bytes(DATA)
    world = script()
    assert fetched(world, tmp_path / "f").read_bytes() == DATA


def test_a_part_longer_than_the_file_is_discarded(tmp_path: Path) -> None:
    PartFile(tmp_path / "f", FILE.id).path.write_bytes(DATA + b"more")
    world = script(response(416, content_range=f"bytes */{len(DATA)}"), (response(200), [DATA]))
    assert fetched(world, tmp_path / "f").read_bytes() == DATA


def test_a_part_of_another_file_is_not_continued(tmp_path: Path) -> None:
    PartFile(tmp_path / "f", "another run's").path.write_bytes(b"?" * 100)
    world = script((response(200), [DATA]))
    fetched(world, tmp_path / "f")
    assert "range" not in world.requests[0].headers


def test_without_resume_a_part_is_discarded(tmp_path: Path) -> None:
    PartFile(tmp_path / "f", FILE.id).path.write_bytes(DATA[:100])
    world = script((response(200), [DATA]))
    fetched(world, tmp_path / "f", resume=False)
    assert "range" not in world.requests[0].headers


@pytest.mark.parametrize("bad", [DATA[:-1], DATA[:-1] + b"x"])
def test_other_bytes_than_written_leave_nothing_behind(tmp_path: Path, bad: bytes) -> None:
    world = script((response(200), [bad]))
    with pytest.raises(ChecksumMismatch):
        fetched(world, tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_an_expired_link_is_replaced_once(tmp_path: Path) -> None:
    fresh = {"id": FILE.id, "url": "http://files/r1?sig=2", "content_type": "csv", "sha256": SHA}
    read = response(200, run_body("complete", file=fresh))
    world = script(response(403), TOKEN, read, (response(200), [DATA]))
    assert fetched(world, tmp_path / "f").read_bytes() == DATA
    again = script(response(403), TOKEN, read, response(403))
    with pytest.raises(DownloadFailed, match="403"):
        fetched(again, tmp_path / "g")


def test_a_redirect_is_refused(tmp_path: Path) -> None:
    world = script(response(302, location="http://elsewhere/"))
    with pytest.raises(DownloadFailed, match="redirect"):
        fetched(world, tmp_path / "f")
    assert len(world.requests) == 1


def test_a_busy_link_is_retried(tmp_path: Path) -> None:
    world = script(response(503, retry_after="2"), (response(200), [DATA]))
    fetched(world, tmp_path / "f")
    assert world.sleeps == [2.0]


def test_an_unknown_checksum_is_requested(tmp_path: Path) -> None:
    """The response to a create or cancel does not have it; nor does another server."""
    bare = RunInfo("r1", State.COMPLETE, file=FileInfo(FILE.id, FILE.url, "csv"))
    plain = {"id": FILE.id, "url": FILE.url, "content_type": "csv"}
    world = script(TOKEN, response(200, run_body("complete", file=plain)), (response(200), [DATA]))
    assert fetched(world, tmp_path / "f", bare).read_bytes() == DATA


def test_an_empty_file_arrives(tmp_path: Path) -> None:
    empty = FileInfo("e.json", "http://files/e", "json", 0, hashlib.sha256().hexdigest())
    world = script((response(200), []))
    run = RunInfo("r1", State.COMPLETE, file=empty)
    assert fetched(world, tmp_path / "f", run).read_bytes() == b""


def test_a_name_from_the_server_cannot_leave_the_directory(tmp_path: Path) -> None:
    evil = FileInfo("../../evil.csv", FILE.url, "csv", len(DATA), SHA)
    world = script((response(200), [DATA]))
    path = fetched(world, tmp_path, RunInfo("r1", State.COMPLETE, file=evil))
    assert path.parent == tmp_path


def test_a_failed_run_has_no_file(tmp_path: Path) -> None:
    with pytest.raises(RunFailed):
        fetched(script(), tmp_path / "f", RunInfo("r1", State.FAILED))


def test_an_error_of_the_disk_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    """Not the one that is made on the way to it."""
    target = tmp_path / "none" / "f"
    with pytest.raises(FileNotFoundError) as refused:
        fetched(script((response(200), [DATA])), target)
    assert refused.value.filename == str(target)
