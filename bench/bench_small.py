"""Many small messages into the central database: stored together, and one by one, in the same run.

APEL_BENCH_MESSAGES says how many (20 000), of one to ten jobs each, from 20 signers in turn. A tenth as many
are loaded one by one.
"""

import os
import pathlib
import shutil
import sys
from typing import Any, List, Tuple

from apel.db import open_database
from apel.messages import encode
from apel.server import deliveries
from apel.server.loader import Loader, Queues
from bench.bench_server import SITES, job, load_data, timed
from bench.common import ProcessorTime, Rate, report
from ssm.queues import INCOMING, REJECT, MessageQueue

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests"))

from servers.databases import initialise, mariadb_settings
from servers.mariadb import MariaDB
from servers.process import private_folder

MESSAGES = int(os.environ.get("APEL_BENCH_MESSAGES", "20000"))
MOST_JOBS = 10
QUEUES = (("incoming", INCOMING), ("reject", REJECT))

Small = Tuple[str, str]


def messages(count: int) -> List[Small]:
    """Bodies and signers."""
    found, jobs = [], 0
    for number in range(count):
        size = 1 + number * 7 % MOST_JOBS
        site = SITES[number % len(SITES)]
        body = encode([job(site, jobs + place) for place in range(size)], "job v0.3")
        found.append((body, "/DC=org/DC=example/CN=" + site.lower()))
        jobs += size
    return found


def load(name: str, folder: str, server: MariaDB, db: Any, bodies: List[Small]) -> Tuple[Rate, int]:
    """Load messages from a queue: how many a second, and how many jobs they had. Tells the processor time."""
    queues = Queues(*(MessageQueue(os.path.join(folder, name), schema) for name, schema in QUEUES))
    for body, signer in bodies:
        queues.incoming.add({"body": body, "signer": signer, "empaid": "0/0"})
    loader = Loader(db, queues)
    spent = ProcessorTime()
    with spent.measured(server.pid or 0):
        seconds = timed(loader.step)
    spent.report(name, len(bodies))
    if loader.tally.messages != len(bodies) or loader.tally.rejected:
        raise SystemExit("only %d messages were loaded" % loader.tally.messages)
    return Rate(len(bodies), seconds), loader.tally.stored


def main() -> None:
    server = MariaDB(options=["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=256M"])
    folder = private_folder("bench")
    try:
        server.start()
        database = server.new_database("bench")
        db = open_database(mariadb_settings(server, database), "server")
        initialise(db.backend, "server")
        bodies = messages(MESSAGES)
        load("to know all names", folder, server, db, bodies[: 10 * len(SITES)])
        usual, deliveries.MOST_MESSAGES = deliveries.MOST_MESSAGES, 1
        alone, _ = load("one by one", folder, server, db, bodies[: MESSAGES // 10])
        deliveries.MOST_MESSAGES = usual
        together, jobs = load("together", folder, server, db, bodies)
        report("small messages", together, "one by one", alone)
        limit = Rate(jobs, load_data(server, database, folder))
        report("  jobs in them", Rate(jobs, together.seconds), "LOAD DATA of the rows", limit)
        db.close()
    finally:
        shutil.rmtree(folder)
        server.close()


if __name__ == "__main__":
    main()
