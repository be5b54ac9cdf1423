"""A run of apelparser over files that are known: the whole command, beside a bare look at the folder.

`python3 -m bench unchanged`
"""

import os
import subprocess
import sys
import tempfile
from typing import Optional

from bench.common import measure, report

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINE = "%d|j|u|g|2025-03-07T09:00:00|2025-03-07T11:30:05|02:30:05|9005|grid|4|2|n|||COMPLETED\n"
#: Files, and the seconds that a run over them may take.
FILES, MOST_SECONDS = 1000, 0.5
MANY = 20000
CONFIG = """
[db]
backend = sqlite
name = {folder}/client.db
[site_info]
site_name = TEST-SITE
lrms_server = batch.example.org
[blah]
enabled = false
[batch]
enabled = true
type = SLURM
dir = {folder}/logs
filename_prefix = slurm
[parser]
lockfile = {folder}/lock
[logging]
logfile = {folder}/log
console = false
"""


def main() -> None:
    """Some files, and very many."""
    for count, aim in ((FILES, FILES / MOST_SECONDS), (MANY, None)):
        with tempfile.TemporaryDirectory(prefix="bench-unchanged-") as folder:
            unchanged(folder, count, aim)


def unchanged(folder: str, count: int, aim: Optional[float]) -> None:
    """Read all once, then measure runs that find nothing new."""
    logs = os.path.join(folder, "logs")
    os.mkdir(logs)
    for number in range(count):
        with open(os.path.join(logs, "slurm.%06d" % number), "w") as stream:
            stream.write(LINE % number)
    config = os.path.join(folder, "parser.cfg")
    with open(config, "w") as stream:
        stream.write(CONFIG.format(folder=folder))
    command = [sys.executable, os.path.join(ROOT, "bin", "apelparser"), "-c", config]

    def run() -> None:
        subprocess.run(command, check=True, env=dict(os.environ, PYTHONPATH=ROOT))

    run()
    rate = measure(run, count, repeat=3)
    limit = measure(lambda: [os.stat(entry.path) for entry in os.scandir(logs)], count)
    report("%d unchanged files" % count, rate, "stat of them", limit, aim)
    print("%28s %12.2f s for the whole command" % ("", rate.seconds), flush=True)


if __name__ == "__main__":
    main()
