"""One file over a bad line. The server is a loopback one; no test reaches further."""

import hashlib
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.server import Act, Server, closed_port, serving
from vbgcam.core.errors import ModelError
from vbgcam.segment.download import Job, Pin, download

CONTENT = bytes(range(256)) * 5000  # 1.28 MB: five pieces
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Stop(Exception):  # noqa: N818  # what a stopped program raises
    pass


@pytest.fixture(scope="module")
def _direct() -> Iterator[None]:
    """No proxy of this machine's between the tests and their server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        yield


@pytest.fixture
def server(_direct: None) -> Iterator[Server]:
    with serving() as server:
        server.content = CONTENT
        yield server


def job(server: Server | str, folder: Path, sha256: str = SHA256) -> Job:
    url = server if isinstance(server, str) else server.url
    return Job(f"{url}/weights.pth", folder / "cache" / "weights.pth", Pin(sha256), 1_000_000, "do this and that")


def part(folder: Path) -> Path:
    path = folder / "cache" / "weights.pth.part"
    path.parent.mkdir(exist_ok=True)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cache").iterdir())


def test_the_file_arrives_with_growing_progress_and_nothing_beside_it(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    download(job(server, tmp_path), lambda done, total, _host: seen.append((done, total)))
    assert job(server, tmp_path).target.read_bytes() == CONTENT
    assert names(tmp_path) == ["weights.pth"]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 3
    assert server.asked == [("/weights.pth", None)]


@pytest.mark.parametrize("reset", [False, True])
def test_a_broken_connection_is_taken_up_where_it_broke_off(server: Server, tmp_path: Path, reset: bool) -> None:
    server.script = [Act(stop_after=300_000, reset=reset), Act(stop_after=400_000)]
    download(job(server, tmp_path))
    assert job(server, tmp_path).target.read_bytes() == CONTENT
    ranges = [asked for _, asked in server.asked]
    assert ranges[0] is None
    if not reset:  # a reset may take bytes with it that were on their way
        assert ranges[1:] == ["bytes=300000-", "bytes=700000-"]


@pytest.mark.parametrize(("kept", "ranges"), [(1_000_000, True), (len(CONTENT), True), (500_000, False)])
def test_what_an_earlier_run_kept_is_fetched_again_only_from_a_server_without_ranges(
    server: Server, tmp_path: Path, kept: int, ranges: bool
) -> None:
    part(tmp_path).write_bytes(CONTENT[:kept])
    server.script = [Act(ranges=ranges)]
    download(job(server, tmp_path))
    assert server.asked == [("/weights.pth", f"bytes={kept}-")]
    assert job(server, tmp_path).target.read_bytes() == CONTENT
    assert names(tmp_path) == ["weights.pth"]


@pytest.mark.parametrize("old", [b"x" * 400_000, b"x" * len(CONTENT), b"x" * 2_000_000], ids=["short", "same", "long"])
def test_a_part_of_another_file_is_thrown_away_and_the_whole_fetched(
    server: Server, tmp_path: Path, old: bytes
) -> None:
    part(tmp_path).write_bytes(old)
    download(job(server, tmp_path))
    assert job(server, tmp_path).target.read_bytes() == CONTENT
    assert names(tmp_path) == ["weights.pth"]


def test_a_line_that_brings_nothing_more_ends_in_one_line_and_keeps_what_came(server: Server, tmp_path: Path) -> None:
    server.script = [Act(stop_after=1_100_000), Act(stop_after=0)]
    with pytest.raises(ModelError) as caught:
        download(job(server, tmp_path))
    assert caught.value.retry
    assert "weights.pth could not be fetched from 127.0.0.1" in str(caught.value)
    assert "the first 1 MB are kept" in str(caught.value)
    assert str(caught.value).endswith("do this and that")
    assert "\n" not in str(caught.value)
    assert part(tmp_path).read_bytes() == CONTENT[:1_100_000]


def test_wrong_bytes_are_refused_with_both_hashes_and_nothing_is_kept(server: Server, tmp_path: Path) -> None:
    server.script = [Act(wrong=True)]
    with pytest.raises(ModelError) as caught:
        download(job(server, tmp_path))
    wrong = hashlib.sha256(bytes(255 - byte for byte in CONTENT)).hexdigest()
    assert wrong[:16] in str(caught.value)
    assert SHA256[:16] in str(caught.value)
    assert not caught.value.retry
    assert names(tmp_path) == []


def test_the_file_that_was_there_stays_until_the_new_one_is_right(server: Server, tmp_path: Path) -> None:
    target = job(server, tmp_path).target
    target.parent.mkdir()
    target.write_bytes(b"old")
    server.script = [Act(wrong=True)]
    with pytest.raises(ModelError):
        download(job(server, tmp_path))
    assert target.read_bytes() == b"old"
    download(job(server, tmp_path))
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "retry", "words"),
    [(404, False, "404 Not Found"), (403, False, "403"), (500, True, "500"), (429, True, "429"), (599, True, "599")],
)
def test_a_refusal_names_the_servers_words(
    server: Server, tmp_path: Path, status: int, retry: bool, words: str
) -> None:
    server.script = [Act(status=status)]
    with pytest.raises(ModelError, match=words) as caught:
        download(job(server, tmp_path))
    assert caught.value.retry is retry
    assert server.url in str(caught.value)
    assert names(tmp_path) == []


def test_a_login_page_is_not_taken_for_the_file(server: Server, tmp_path: Path) -> None:
    server.script = [Act(html=True)]
    with pytest.raises(ModelError, match="web page") as caught:
        download(job(server, tmp_path))
    assert caught.value.retry
    assert names(tmp_path) == []


@pytest.mark.usefixtures("_direct")
def test_a_port_where_nobody_listens_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    port = closed_port()
    with pytest.raises(ModelError) as caught:
        download(job(f"http://127.0.0.1:{port}", tmp_path))
    assert str(caught.value) == (
        f"weights.pth could not be fetched from 127.0.0.1:{port}: Connection refused; do this and that"
    )
    assert caught.value.retry
    assert names(tmp_path) == []


def test_a_name_that_cannot_be_resolved_reads_as_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ModelError, match="no network") as caught:
        download(job("http://weights.invalid", tmp_path))
    assert caught.value.retry


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "/mnt/weights", "http://127.0.0.1:port", "http://127.0.0.1/a b"])
def test_an_address_that_is_none_is_one_line(tmp_path: Path, url: str) -> None:
    with pytest.raises(ModelError, match="no address to fetch") as caught:
        download(job(url, tmp_path))
    assert not caught.value.retry


def test_a_stop_is_heard_while_the_server_says_nothing(server: Server, tmp_path: Path) -> None:
    server.script = [Act(silent=True, stop_after=-1)]
    calls: list[int] = []

    def progress(done: int, _total: int, _host: str) -> None:
        calls.append(done)
        if len(calls) == 2:
            raise Stop

    with pytest.raises(Stop):
        download(job(server, tmp_path), progress)
    assert calls == [0, 0]
    assert names(tmp_path) == []


def test_a_stop_is_heard_while_the_bytes_stall_and_what_came_is_kept(server: Server, tmp_path: Path) -> None:
    server.script = [Act(silent=True, stop_after=300_000)]
    seen: list[int] = []

    def progress(done: int, _total: int, _host: str) -> None:
        seen.append(done)
        if seen.count(300_000) == 3:  # once with the bytes, then only because time passes
            raise Stop

    with pytest.raises(Stop):
        download(job(server, tmp_path), progress)
    assert part(tmp_path).read_bytes() == CONTENT[:300_000]
    download(job(server, tmp_path))
    assert server.asked[-1] == ("/weights.pth", "bytes=300000-")


def test_a_stop_is_heard_while_the_name_is_being_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def hangs(*_: object, **__: object) -> NoReturn:
        done.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def progress(_done: int, _total: int, _host: str) -> None:
        raise Stop

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    try:
        with pytest.raises(Stop):
            download(job("http://weights.invalid", tmp_path), progress)
    finally:
        done.set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full, the disk that is always full, is Linux's")
def test_a_disk_that_fills_up_is_one_line(server: Server, tmp_path: Path) -> None:
    part(tmp_path).symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"part cannot be written: No space left on device; make room"):
        download(job(server, tmp_path))


def test_a_folder_that_cannot_be_made_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(ModelError, match=r"weights\.pth\.part cannot be written: File exists"):
        download(job(server, tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="flock is POSIX")
def test_two_programs_do_not_write_the_same_part(server: Server, tmp_path: Path) -> None:
    server.script = [Act(silent=True, stop_after=300_000)]
    seen: list[int] = []

    def progress(done: int, _total: int, _host: str) -> None:
        seen.append(done)
        if done == 300_000:
            with pytest.raises(ModelError, match="is being fetched by another program") as caught:
                download(job(server, tmp_path))
            assert caught.value.retry
            raise Stop

    with pytest.raises(Stop):
        download(job(server, tmp_path), progress)
    assert part(tmp_path).stat().st_size == 300_000


SMALL = bytes(range(200)) * 10
ACTS = st.builds(
    Act,
    status=st.sampled_from([200] * 8 + [404, 503]),
    ranges=st.booleans(),
    length=st.booleans(),
    stop_after=st.none() | st.integers(0, len(SMALL)),
    reset=st.booleans(),
    shift=st.sampled_from([0, 0, 0, 1, 500]),
    wrong=st.booleans(),
    html=st.sampled_from([False] * 5 + [True]),
)


@pytest.fixture(scope="module")
def small_server(_direct: None) -> Iterator[Server]:
    with serving() as server:
        server.content = SMALL
        yield server


@settings(max_examples=60, deadline=None)
@given(script=st.lists(ACTS, max_size=6))
def test_whatever_the_server_does_only_the_right_file_comes_to_light(small_server: Server, script: list[Act]) -> None:
    small_server.script = list(script)
    sha256 = hashlib.sha256(SMALL).hexdigest()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = job(small_server, folder, sha256).target
        while small_server.script:
            problem = ""
            try:
                download(job(small_server, folder, sha256))
            except ModelError as exc:
                problem = str(exc)
            assert "\n" not in problem
            if problem:
                assert not target.exists()
            else:
                assert target.read_bytes() == SMALL
                assert [path.name for path in target.parent.iterdir()] == ["weights.pth"]
                target.unlink()
        download(job(small_server, folder, sha256))
        assert target.read_bytes() == SMALL


def test_a_stream_without_end_does_not_fill_the_disk(server: Server, tmp_path: Path) -> None:
    server.content = bytes(12_000_000)
    server.script = [Act(length=False)]
    with pytest.raises(ModelError, match="far larger than it should be"):
        download(job(server, tmp_path))
    assert names(tmp_path) == []
