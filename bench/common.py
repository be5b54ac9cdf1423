"""How every benchmark measures and reports: a rate, and its ratio to a limit measured in the same run."""

import time
from typing import Callable, NamedTuple, Optional


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
