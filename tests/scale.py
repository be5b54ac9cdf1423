"""Very many job messages, made cheaply: copies of one message for each site that differ in their job ids."""

import os
import subprocess
import sys
import tempfile
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from centre import END, job, message

SITES = 20
PER_MESSAGE = 1000
MONTHS = 3
VOS = ["atlas", "cms", "lhcb", "alice", "biomed"]
TIMES = MONTHS * 30 * 86400


class Delivery(NamedTuple):
    """A message and its signer."""

    body: str
    signer: str


def records(site: int) -> List[Any]:
    """A message's worth of jobs of a site, over three months: users, VOs, queues and benchmarks mixed."""
    found = []
    for number in range(PER_MESSAGE):
        vo = VOS[number % 5]
        end = END + number * TIMES // PER_MESSAGE
        found.append(
            job(
                Site="SCALE-%02d" % site,
                SubmitHost="ce0%d.site%d.example:9619/ce0%d.site%d.example-condor"
                % (number % 4, site, number % 4, site),
                MachineName="batch.site%d.example" % site,
                Queue=("long", "short")[number % 2],
                LocalJobId=str(number),
                LocalUserId="%s%03d" % (vo, number % 300),
                GlobalUserName="/DC=org/DC=example/O=People/CN=User number %03d" % (number * 7 % 300),
                FQAN="/%s/Role=pilot/Capability=NULL" % vo,
                VO=vo,
                VOGroup="/" + vo,
                VORole="Role=pilot",
                WallDuration=60 + number % 86400,
                CpuDuration=50 + number % 80000,
                Processors=1 + number % 8,
                StartTime=end - 60 - number % 86400,
                EndTime=end,
                ServiceLevel=11.0 + number % 4 / 4,
            )
        )
    return found


def deliveries(count: int) -> Iterator[Delivery]:
    """`count` messages, the sites in turn."""
    templates = [message(records(site)) for site in range(SITES)]
    for number in range(count):
        site, copy = number % SITES, number // SITES
        body = templates[site].replace("LocalJobId: ", "LocalJobId: %d." % copy)
        yield Delivery(body, "/DC=org/DC=example/CN=apel.site%d.example" % site)


def truth(count: int) -> Dict[Tuple[str, str], Tuple[int, int, int]]:
    """Jobs, wall and CPU seconds of these messages by site and VO."""
    found: Dict[Tuple[str, str], Tuple[int, int, int]] = {}
    for site in range(SITES):
        copies = len(range(site, count, SITES))
        for one in records(site):
            key = (one.Site, one.VO)
            jobs, wall, cpu = found.get(key, (0, 0, 0))
            found[key] = (jobs + copies, wall + copies * one.WallDuration, cpu + copies * one.CpuDuration)
    return {key: sums for key, sums in found.items() if sums[0]}


class Ran(NamedTuple):
    """How a process ended: exit status, and the most memory it held, in MiB."""

    status: int
    mebibytes: float


#: The kernel's own count (ru_maxrss) begins with what the parent held, so the process says it itself.
TELL_MEMORY = """
import atexit

def tell_memory():
    with open("/proc/self/status") as status, open(%r, "w") as told:
        told.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))

atexit.register(tell_memory)
"""


class Measured:
    """A piece of Python in a process of its own, whose memory is measured."""

    def __init__(self, code: str, arguments: Sequence[str] = ()) -> None:
        here = os.path.dirname(os.path.abspath(__file__))
        path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
        handle, self._told = tempfile.mkstemp()
        os.close(handle)
        self.process = subprocess.Popen(
            [sys.executable, "-c", TELL_MEMORY % self._told + code, *arguments],
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(path)),
            stdout=subprocess.DEVNULL,
        )

    def finish(self) -> Ran:
        """Wait for its end."""
        status = self.process.wait()
        with open(self._told, encoding="utf-8") as stream:
            kibibytes = int(stream.read() or 0)
        os.unlink(self._told)
        return Ran(status, kibibytes / 1024.0)


def run_python(code: str, arguments: Sequence[str] = ()) -> Ran:
    """Run a piece of Python to its end."""
    return Measured(code, arguments).finish()
