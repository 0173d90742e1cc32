"""Who may talk to the running program."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.control import auth
from vbgcam.control.auth import Codes

PORT = 40123
OWN = ("127.0.0.1:40123", "localhost:40123")
MAPPED = "0000000000000000FFFF00000100007F"
"""127.0.0.1 as an IPv6 address."""
TITLE = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def asked(hosts: list[str], origins: list[str] | None = None, sites: list[str] | None = None) -> str | None:
    return auth.refusal(PORT, hosts=hosts, origins=origins or [], sites=sites or [])


def row(local: str, remote: str, state: str, uid: int, inode: int = 4711) -> str:
    return (
        f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 {uid:5} 0 {inode} 1 0 20 4 30 10 -1\n"
    )


@pytest.mark.parametrize("host", OWN)
def test_who_means_this_port_is_let_in(host: str) -> None:
    assert asked([host]) is None
    for origin in OWN:
        for site in ("same-origin", "none"):
            assert asked([host], [f"http://{origin}"], [site]) is None


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["127.0.0.1"],
        ["localhost"],
        ["127.0.0.1:40124"],
        ["127.0.0.1:040123"],
        ["127.0.0.1.:40123"],
        ["127.1:40123"],
        ["[::1]:40123"],
        ["0.0.0.0:40123"],
        ["LOCALHOST:40123"],
        ["localhost:40123 "],
        ["localhost:40123@evil.example"],
        ["evil.example:40123"],
        ["localhost.evil.example:40123"],
        ["localhost:40123", "localhost:40123"],
    ],
)
def test_a_host_that_was_rebound_or_comes_twice_is_refused(hosts: list[str]) -> None:
    assert asked(hosts) == "host"


@pytest.mark.parametrize(
    "origins",
    [
        [""],
        ["null"],
        ["https://localhost:40123"],
        ["http://localhost"],
        ["http://localhost:40124"],
        ["http://localhost:40123/"],
        ["localhost:40123"],
        ["http://http://localhost:40123"],
        ["http://evil.example"],
        ["http://localhost:40123.evil.example"],
        ["http://localhost:40123", "http://localhost:40123"],
        ["http://localhost:40123", "http://evil.example"],
    ],
)
def test_another_origin_is_refused(origins: list[str]) -> None:
    assert asked([OWN[0]], origins) == "origin"


@pytest.mark.parametrize("sites", [[""], ["cross-site"], ["same-site"], ["None"], ["none", "none"]])
def test_another_site_is_refused(sites: list[str]) -> None:
    assert asked([OWN[0]], ["http://localhost:40123"], sites) == "site"


@given(st.text())
def test_no_other_text_is_a_host_or_an_origin(text: str) -> None:
    assert asked([text]) == (None if text in OWN else "host")
    assert asked([OWN[0]], [text]) == (None if text.removeprefix("http://") in OWN and text not in OWN else "origin")


@given(st.text(), st.text())
def test_texts_are_the_same_or_not(one: str, other: str) -> None:
    assert auth.same(one, other) == (one == other)
    assert auth.same(one, one)


def test_a_text_that_is_no_text_is_not_the_token() -> None:
    assert not auth.same("\udc80", "token")


def test_one_header_lets_in_and_no_other() -> None:
    assert auth.bearer(["Bearer secret"], "secret")
    for headers in ([], [""], ["secret"], ["bearer secret"], ["Bearer  secret"], ["Bearer secre"], ["Basic secret"]):
        assert not auth.bearer(headers, "secret")
    assert not auth.bearer(["Bearer secret", "Bearer secret"], "secret")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_code_lets_in_once() -> None:
    codes = Codes(Clock())
    code = codes.make()
    assert len(code) >= 32
    assert not codes.take(code[:-1])
    assert not codes.take("")
    assert codes.take(code)
    assert not codes.take(code)


def test_a_code_lets_in_for_a_minute() -> None:
    clock = Clock()
    codes = Codes(clock)
    early, late = codes.make(), codes.make()
    clock.now += 59.9
    assert codes.take(early)
    clock.now += 0.1
    assert not codes.take(late)


def test_of_many_codes_the_newest_eight_are_kept() -> None:
    codes = Codes(Clock())
    made = [codes.make() for _ in range(20)]
    assert len(set(made)) == 20
    assert [codes.take(code) for code in made] == [False] * 12 + [True] * 8


TABLE = [
    TITLE,
    row("0100007F:9CBB", "0100007F:A000", "01", 1000),  # our own end
    row("0100007F:A001", "0100007F:9CBB", "01", 1002),
    row("0100007F:A000", "0100007F:9CBB", "01", 1001),
    # The kernel says 0, which is root, of one that still has to send its last bytes or only waits for its end.
    row("0100007F:A003", "0100007F:9CBB", "05", 0, inode=0),
    row("0100007F:9CBC", "00000000:0000", "0A", 1003),
    row("0100007F:9CBB", "00000000:0000", "0A", 1000),
    TITLE,
    row(f"{MAPPED}:A004", f"{MAPPED}:9CBB", "01", 1004),
]


@pytest.mark.skipif(sys.byteorder != "little", reason="the rows were written on a machine of the other byte order")
@pytest.mark.parametrize(
    ("local", "uid"),
    [
        (("127.0.0.1", 0xA000), 1001),
        (("127.0.0.1", 0xA001), 1002),
        (("127.0.0.1", 0xA002), None),
        (("127.0.0.2", 0xA000), None),
        (("127.0.0.1", 0xA003), None),
        (("127.0.0.1", 0xA004), 1004),
    ],
)
def test_the_owner_stands_in_the_row_of_the_sockets_own_end(local: auth.Address, uid: int | None) -> None:
    assert auth.owner(TABLE, local, ("127.0.0.1", PORT)) == uid


@pytest.mark.skipif(sys.byteorder != "little", reason="the rows were written on a machine of the other byte order")
def test_who_listens_is_found() -> None:
    assert auth.owner(TABLE, ("127.0.0.1", PORT)) == 1000
    assert auth.owner(TABLE, ("127.0.0.1", PORT + 1)) == 1003
    assert auth.owner(TABLE, ("127.0.0.1", PORT + 2)) is None


@given(st.lists(st.one_of(st.text(alphabet="0123456789ABCDEF: -"), st.text())))
def test_no_line_trips_the_reader_up(lines: list[str]) -> None:
    assert auth.owner(lines, ("127.0.0.1", 1), ("127.0.0.1", 2)) is None
    assert auth.owner(lines, ("127.0.0.1", 1)) is None


@contextmanager
def connected(family: socket.AddressFamily) -> Iterator[tuple[socket.socket, socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(family) as client:
        port = listener.getsockname()[1]
        client.connect(("127.0.0.1" if family == socket.AF_INET else "::ffff:127.0.0.1", port))
        accepted = listener.accept()[0]
        with accepted:
            yield client, accepted, port


@pytest.mark.skipif(not auth.knows_owners(), reason="this system does not tell whose a socket is")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_kernel_says_whose_a_connection_is(family: socket.AddressFamily) -> None:
    try:
        with connected(family) as (client, accepted, port):
            peer = accepted.getpeername()
            assert auth.owner(auth.sockets(), peer, ("127.0.0.1", port)) == os.geteuid()
            assert auth.owner(auth.sockets(), ("127.0.0.1", port)) == os.geteuid()
            client.close()
            assert auth.owner(auth.sockets(), peer, ("127.0.0.1", port)) is None
    except OSError as exc:
        pytest.skip(f"no {family.name} here: {exc}")
    assert auth.owner(auth.sockets(), ("127.0.0.1", port)) is None
