"""How every benchmark measures and reports: a rate, and its ratio to a limit measured in the same run."""

import os
import resource
import time
from contextlib import contextmanager
from typing import Callable, Iterator, NamedTuple, Optional


class Rate(NamedTuple):
    """So many things in so many seconds."""

    count: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.count / self.seconds


def measure(work: Callable[[], object], count: int, repeat: int = 5) -> Rate:
    """The best of `repeat` runs of `work`, which does `count` things: what the machine can, undisturbed."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return Rate(count, min(seconds))


def report(name: str, rate: Rate, limit_name: str, limit: Rate, aim: Optional[float] = None) -> None:
    """One line: what was reached, the limit beside it, their ratio and the aim (all per second)."""
    line = (
        f"{name:28} {rate.per_second:12,.0f}/s   "
        f"limit {limit.per_second:12,.0f}/s ({limit_name})   ratio {rate.per_second / limit.per_second:6.3f}"
    )
    if aim is not None:
        line += f"   aim {aim:,.0f}/s {'reached' if rate.per_second >= aim else 'MISSED'}"
    print(line, flush=True)


class ProcessorTime:
    """Seconds of processor time: of this process and its children that have ended, and of a server.

    On a machine that others use as well, these say more than the clock.
    """

    def __init__(self) -> None:
        self.ours = self.servers = 0.0

    @contextmanager
    def measured(self, server_pid: int) -> Iterator[None]:
        """Add what is spent meanwhile."""
        ours, servers = _own_seconds(), _seconds_of(server_pid)
        yield
        self.ours += _own_seconds() - ours
        self.servers += _seconds_of(server_pid) - servers

    def report(self, name: str, count: int) -> None:
        """One line: microseconds for each of `count` things, and the rate at which they fill two cores."""
        ours, servers = (1e6 * seconds / count for seconds in (self.ours, self.servers))
        most = 2e6 / (ours + servers)
        print(
            f"{name:28} {ours:6.1f} us ours, {servers:6.1f} us MariaDB's each; two cores' most {most:,.0f}/s",
            flush=True,
        )


def _own_seconds() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def _seconds_of(pid: int) -> float:
    """User and system time, fields 14 and 15 in /proc, after a name that may hold blanks."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:
        fields = stream.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
