"""Who may talk to the running program. Pure decisions, but for `sockets`; `server` acts on them.

A loopback port can be reached by every program of every user of the machine, and by every page in a browser. So four
things must hold, and each is enough to refuse: the other end is a program of the same user (Linux knows), the request
was meant for this port (a name that was rebound to 127.0.0.1 gives itself away in `Host`), no other page sent it
(`Origin`, `Sec-Fetch-Site`), and it knows the token, which lies in a file that its owner alone can read.
"""

import hmac
import secrets
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

UPLOAD: Final = 256 << 20
"""Bytes that a background may have: a minute of film at 30 Mbit/s."""
BODY: Final = 64 << 10
"""Bytes that any other request may have."""

Address = tuple[str, int]

_SECONDS: Final = 60.0
# Codes that wait for their page at once: more than a person opens panels within a minute.
_OUTSTANDING: Final = 8
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS: Final = "0A"


def refusal(port: int, *, hosts: Sequence[str], origins: Sequence[str], sites: Sequence[str]) -> str | None:
    """What is wrong with a request to `port`; None where nothing is. Each argument holds all values of one header
    (`Host`, `Origin`, `Sec-Fetch-Site`) as they came: one that comes twice is refused, whatever it says."""
    own = (f"127.0.0.1:{port}", f"localhost:{port}")
    if len(hosts) != 1 or hosts[0] not in own:
        return "host"
    if len(origins) > 1 or not {*origins} <= {f"http://{name}" for name in own}:
        return "origin"
    if len(sites) > 1 or not {*sites} <= {"same-origin", "none"}:
        return "site"
    return None


def same(given: str, token: str) -> bool:
    """Compares in a time that does not depend on how far they agree."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass"))


def bearer(headers: Sequence[str], token: str) -> bool:
    """Whether the only `Authorization` header holds the token."""
    return len(headers) == 1 and same(headers[0], f"Bearer {token}")


class Codes:
    """Codes that let a page in once, for 60 s. One thread. `clock`: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}  # the oldest first

    def make(self) -> str:
        """A new one; of more than eight that wait the oldest is given up."""
        code = secrets.token_urlsafe(24)
        self._until[code] = self._clock() + _SECONDS
        if len(self._until) > _OUTSTANDING:
            del self._until[next(iter(self._until))]
        return code

    def take(self, code: str) -> bool:
        """Whether it was made, in time, and not taken before."""
        now = self._clock()
        self._until = {each: until for each, until in self._until.items() if until > now}
        known = [each for each in self._until if same(code, each)]
        for each in known:
            del self._until[each]
        return bool(known)


def knows_owners() -> bool:
    """Whether this system says whose a socket is: Linux does."""
    return _TABLES[0].exists()


def sockets() -> Iterator[str]:
    """The kernel's lines on this machine's TCP sockets, first IPv4's, and of these first those that listen. To be read
    no further than needed: the kernel looks through a table of some 100,000 places for them, up to 10 ms for each
    list."""
    for table in _TABLES:
        try:
            with table.open(encoding="ascii", errors="replace") as stream:
                yield from stream
        except OSError:  # not Linux, or without IPv6
            continue


def owner(lines: Iterable[str], local: Address, remote: Address | None = None) -> int | None:
    """The user whose program has the socket with this IPv4 address as its own, connected to `remote`, or, without it,
    listening; None where there is none, or nobody has it any more. `lines`: of `sockets`."""
    own, other = _in_proc_format(local), _in_proc_format(remote) if remote else ()
    for line in lines:
        parts = line.split()
        if len(parts) < 10 or parts[1] not in own or not (parts[2] in other if remote else parts[3] == _LISTENS):
            continue
        uid, inode = parts[7], parts[9]
        # Inode 0: no program has the socket any more; the kernel then says that it is root's.
        if uid.isdecimal() and inode.strip("0"):
            return int(uid)
    return None


def _in_proc_format(address: Address) -> frozenset[str]:
    """An IPv4 address, and the IPv6 address that stands for it, as /proc/net/tcp has them: words of 32 bits in the
    machine's byte order."""
    host, port = address
    four = socket.inet_aton(host)
    words = [f"{int.from_bytes(word, sys.byteorder):08X}" for word in (b"\0" * 4, b"\0" * 4, b"\0\0\xff\xff", four)]
    return frozenset((f"{words[-1]}:{port:04X}", f"{''.join(words)}:{port:04X}"))
