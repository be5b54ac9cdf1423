"""Realistic accounting logs of a made-up site, with the totals a correct pipeline must report.

`write_samples` makes one batch log a day in the batch system's own format (`batch/`), one BLAH log a
day for the grid half of the jobs (`blah/`), and returns the truth by month and VO. The same arguments
give the same bytes. Times in the logs are UTC (run the SLURM parser with TZ=UTC).
"""

import datetime
import json
import os
import random
from collections import defaultdict
from typing import Any, Callable, DefaultDict, Dict, Iterator, List, NamedTuple

VOS = ["atlas", "cms", "lhcb", "alice", "dteam", "ops", "biomed", "vo.example.eu", "belle", "ska"]
ROLES = ["Role=production", "Role=pilot", "Role=NULL", "Role=lcgadmin"]
COUNTRIES = ["UK", "DE", "FR", "IT", "ES", "CERN", "NL", "PL"]
CES = ["ce0%d.grid.example.org:9619/ce0%d.grid.example.org-batch" % (i, i) for i in range(1, 5)]
QUEUES = ["grid", "long", "short", "multicore"]
STATES = ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"]
GPU_MODELS = ["a100", "t4", "v100"]
GPU_NUMBERS = [1, 1, 1, 2, 4]
#: The columns of slurm_gpu_line.
SLURM_HEADER = (
    "JobID|JobName|User|Group|Start|End|Elapsed|TotalCPU|Partition|NCPUS|NNodes|NodeList|MaxRSS|MaxVMSize|State"
    "|AllocTRES"
)

Job = Dict[str, Any]


class SampleOptions(NamedTuple):
    """What to make: `grid` is the share of jobs with a BLAH record, `end` the day after the last.

    gpus: the share of jobs with GPUs. Then the logs are of a form that tells of them: SLURM's with a header
    and AllocTRES, HTCondor's in JSON. Not for Grid Engine.
    """

    system: str = "slurm"
    jobs: int = 10000
    users: int = 300
    days: int = 45
    end: str = "2026-11-15"
    seed: int = 1
    grid: float = 1.0
    gpus: float = 0.0


def write_samples(folder: str, options: SampleOptions) -> Dict[str, Dict[str, int]]:
    """Write the logs below `folder`; the truth: `{'2026-11 atlas': {'jobs': …, 'wall': s, 'cpu': s}}`.

    With GPUs also the seconds of all of them together, `'gpu': s`.
    """
    batch: DefaultDict[str, List[str]] = defaultdict(list)
    blah: DefaultDict[str, List[str]] = defaultdict(list)
    sums = dict.fromkeys(["jobs", "wall", "cpu", *(["gpu"] if options.gpus else [])], 0)
    truth: DefaultDict[str, Dict[str, int]] = defaultdict(sums.copy)
    write = (GPU_FORMATS if options.gpus else FORMATS)[options.system]
    for job in sample_jobs(options):
        ended = _utc(job["end"])
        lines = batch[ended.strftime("%Y%m%d")]
        if options.gpus and options.system == "slurm" and not lines:
            lines.append(SLURM_HEADER)
        lines.append(write(job))
        if job["grid"]:
            blah[_utc(job["start"] - 60).strftime("%Y%m%d")].append(blah_line(job))
            total = truth["%s %s" % (ended.strftime("%Y-%m"), job["vo"])]
            total["jobs"] += 1
            total["wall"] += job["wall"]
            total["cpu"] += job["cpu"]
            if options.gpus:
                total["gpu"] += job["gpus"] * job["wall"]
    _write_days(os.path.join(folder, "batch"), LOG_NAMES[options.system], batch)
    _write_days(os.path.join(folder, "blah"), "blahp.log-%s", blah)
    return dict(truth)


def _write_days(folder: str, name: str, days: Dict[str, List[str]]) -> None:
    os.makedirs(folder, exist_ok=True)
    for day, lines in days.items():
        with open(os.path.join(folder, name % day), "w", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")


def sample_jobs(options: SampleOptions) -> Iterator[Job]:
    """The jobs behind the logs, oldest first."""
    rng = random.Random(options.seed)
    gpus = random.Random(options.seed + 1)
    first = datetime.datetime.strptime(options.end, "%Y-%m-%d").replace(tzinfo=datetime.timezone.utc)
    end, span = int(first.timestamp()), options.days * 86400
    users = []
    for i in range(options.users):
        vo = rng.choice(VOS)
        country = rng.choice(COUNTRIES)
        users.append(("/C=%s/O=eScience/OU=Site%02d/CN=user number %04d" % (country, i % 40, i), vo))
    for n in range(options.jobs):
        job = _job(rng, n, users, end - span, options)
        # Numbers of their own: with and without GPUs, all else is the same.
        job["gpus"] = gpus.choice(GPU_NUMBERS) if gpus.random() < options.gpus else 0
        job["model"] = GPU_MODELS[job["id"] % len(GPU_MODELS)]
        yield job


def _job(rng: random.Random, n: int, users: List[Any], begin: int, options: SampleOptions) -> Job:
    who = rng.randrange(options.users)
    dn, vo = users[who]
    cores = rng.choices([1, 4, 8, 16], [70, 5, 20, 5])[0]
    wall = min(int(rng.lognormvariate(8.6, 1.3)) + 1, 345600)
    cpu = int(wall * cores * min(0.99, max(0.05, rng.gauss(0.85, 0.15))))
    end = begin + int(options.days * 86400 * (n + rng.random()) / options.jobs)
    number = 1000000 + n
    return {
        "id": number,
        "lrms": lrms_id(options.system, number),
        "name": "job_%09d" % rng.randrange(10**9),
        "user": "%s%03d" % (vo.split(".")[0][:5], who % 500),
        "group": vo.split(".")[0][:8],
        "start": end - wall,
        "end": end,
        "wall": wall,
        "cpu": cpu,
        "cores": cores,
        "nodes": (cores + 7) // 8,
        "queue": rng.choice(QUEUES),
        "rss": rng.randrange(20000, 8000000),
        "vms": rng.randrange(8000000, 16000000),
        "state": rng.choices(STATES, [90, 5, 3, 2])[0],
        "dn": dn,
        "vo": vo,
        "role": ROLES[who % len(ROLES)],
        "ce": CES[who % len(CES)],
        "grid": rng.random() < options.grid,
    }


def lrms_id(system: str, number: int) -> str:
    """The id of a job in the form its batch system gives it."""
    if system == "pbs":
        return "%d.pbs.grid.example.org" % number
    if system == "htcondor":
        return "ce01.grid.example.org#%d.0#%d" % (number, number * 7 % 999983)
    return str(number)


def blah_line(job: Job) -> str:
    """The line a CE writes into its BLAH log a minute before the job starts."""
    return (
        '"timestamp=%s" "userDN=%s" '
        '"userFQAN=/%s/%s/Capability=NULL" "userFQAN=/%s/Role=NULL/Capability=NULL" '
        '"ceID=%s" "jobID=CREAM%09d" "lrmsID=%s" "localUser=%d" "clientID=cream_%d"'
    ) % (
        _utc(job["start"] - 60).strftime("%Y-%m-%d %H:%M:%S"),
        job["dn"], job["vo"], job["role"], job["vo"], job["ce"], job["id"], job["lrms"],
        11000 + job["id"] % 500, job["id"],
    )  # fmt: skip


def slurm_line(job: Job) -> str:
    """A line of `sacct -P -n` with the fifteen columns that sites dump."""
    return "|".join([
        str(job["id"]), job["name"], job["user"], job["group"],
        _utc(job["start"]).strftime("%Y-%m-%dT%H:%M:%S"), _utc(job["end"]).strftime("%Y-%m-%dT%H:%M:%S"),
        _days_hms(job["wall"]), str(job["cpu"]), job["queue"], str(job["cores"]), str(job["nodes"]),
        "wn%03d" % (job["id"] % 400), "%dK" % job["rss"], "%dK" % job["vms"], job["state"],
    ])  # fmt: skip


def slurm_gpu_line(job: Job) -> str:
    """The same with AllocTRES, which has the GPUs, as SLURM_HEADER names it."""
    tres = ["billing=%d" % job["cores"], "cpu=%d" % job["cores"], "mem=16G", "node=%d" % job["nodes"]]
    if job["gpus"]:
        tres[2:2] = ["gres/gpu:%s=%d" % (job["model"], job["gpus"]), "gres/gpu=%d" % job["gpus"]]
    return slurm_line(job) + "|" + ",".join(tres)


def htcondor_line(job: Job) -> str:
    """A line of `condor_history` with the ten columns that sites dump, and the multiplier 1."""
    return "%s|%s|%d|%d|%d|%d|%d|%d|%d|%d|1|" % (
        job["lrms"], job["user"], job["wall"], job["cpu"] - job["cpu"] // 20, job["cpu"] // 20,
        job["start"], job["end"], job["rss"], job["vms"], job["cores"],
    )  # fmt: skip


def htcondor_gpu_line(job: Job) -> str:
    """A line of `condor_history -jsonl`."""
    found = {
        "GlobalJobId": job["lrms"], "Owner": job["user"], "JobStatus": 4, "RemoteWallClockTime": job["wall"],
        "RemoteUserCpu": job["cpu"] - job["cpu"] // 20, "RemoteSysCpu": job["cpu"] // 20,
        "JobStartDate": job["start"], "EnteredCurrentStatus": job["end"], "ResidentSetSize_RAW": job["rss"],
        "ImageSize_RAW": job["vms"], "RequestCpus": job["cores"], "NumJobStarts": 1,
        "LastRemoteHost": "slot1_1@wn%03d.grid.example.org" % (job["id"] % 400),
    }  # fmt: skip
    if job["gpus"]:
        found.update(GPUsProvisioned=job["gpus"], MachineAttrGPUs_DeviceName0=job["model"])
    return json.dumps(found)


def sge_line(job: Job) -> str:
    """A line of Grid Engine's accounting file, with the 45 fields that all its flavours have."""
    return ":".join([
        job["queue"], "wn%03d.grid.example.org" % (job["id"] % 400), job["group"], job["user"], job["name"],
        str(job["id"]), "sge", "0", str(job["start"] - 60), str(job["start"]), str(job["end"]), "0", "0",
        str(job["wall"]), *["0"] * 17, "NONE", "defaultdepartment", "mpi" if job["cores"] > 1 else "NONE",
        str(job["cores"]), "0", "%.6f" % job["cpu"], "%.6f" % (job["rss"] / 1048576.0), "0.0", "-U all",
        "0.0", "NONE", "%.1f" % (job["vms"] * 1024.0), "0", "0",
    ])  # fmt: skip


def pbs_line(job: Job) -> str:
    """The line of PBS's accounting log for the end of a job, as Torque writes it."""
    hosts = [
        "wn%03d.grid.example.org/%d" % ((job["id"] + core // 8) % 400, core % 8)
        for core in range(job["cores"])
    ]
    waited = job["start"] - 60
    return (
        "%s;E;%s;user=%s group=%s jobname=%s queue=%s ctime=%d qtime=%d etime=%d start=%d "
        "owner=%s@ce01.grid.example.org exec_host=%s Resource_List.walltime=96:00:00 session=%d end=%d "
        "Exit_status=0 resources_used.cput=%s resources_used.mem=%dkb resources_used.vmem=%dkb "
        "resources_used.walltime=%s"
    ) % (
        _utc(job["end"]).strftime("%m/%d/%Y %H:%M:%S"), job["lrms"], job["user"], job["group"], job["name"],
        job["queue"], waited, waited, waited, job["start"], job["user"], "+".join(hosts), job["id"] % 30000,
        job["end"], _hms(job["cpu"]), job["rss"], job["vms"], _hms(job["wall"]),
    )  # fmt: skip


def pbs_gpu_line(job: Job) -> str:
    """The same with the GPUs that it was given."""
    given = ["wn%03d.grid.example.org-gpu/%d" % (job["id"] % 400, gpu) for gpu in range(job["gpus"])]
    line = pbs_line(job)
    return (
        line.replace(" Resource_List", " exec_gpus=%s Resource_List" % "+".join(given), 1) if given else line
    )


def lsf_line(job: Job) -> str:
    """The JOB_FINISH record of LSF 9.1, its last fields left out."""
    hosts = ['"wn%03d"' % ((job["id"] + core // 8) % 400) for core in range(job["cores"])]
    head = '"JOB_FINISH" "9.1" %d %d 283 33554482 %d %d 0 0 %d "%s" "%s" "" "" "" "ce01" "job" ""' % (
        job["end"], job["id"], job["cores"], job["start"] - 60, job["start"], job["user"], job["queue"],
    )  # fmt: skip
    middle = '"/home/%s/out.txt" "/home/%s/err.txt" "%d.%d" 0 %d %s 64 3.3 "" "run.sh ""quoted"" arg"' % (
        job["user"], job["user"], job["start"], job["id"], job["cores"], " ".join(hosts),
    )  # fmt: skip
    by_user = job["cpu"] * 0.9
    usage = "%.6f %.6f 0 0 -1 0 0 927804 87722 0 0 0 -1 0 0 0 0 0 -1" % (by_user, job["cpu"] - by_user)
    tail = '"" "default" 0 %d "" "" 0 %d %d "" "" ""' % (job["cores"], job["rss"], job["vms"])
    return " ".join([head, middle, usage, tail])


def lsf_gpu_line(job: Job) -> str:
    """The same with a resource requirement that reserves GPUs; jobs that have some have one host."""
    line = lsf_line(dict(job, cores=min(job["cores"], 8) if job["gpus"] else job["cores"]))
    start = '"%s" "%s" ""' % (job["user"], job["queue"])
    reserved = "select[ngpus>0] rusage[ngpus_physical=%d:gmodel=%s]" % (job["gpus"], job["model"])
    return line.replace(start, '%s"%s"' % (start[:-2], reserved), 1) if job["gpus"] else line


def _utc(epoch: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)


def _days_hms(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    return "%d-%s" % (days, _hms(rest)) if days else _hms(rest)


def _hms(seconds: int) -> str:
    return "%02d:%02d:%02d" % (seconds // 3600, seconds % 3600 // 60, seconds % 60)


FORMATS: Dict[str, Callable[[Job], str]] = {
    "slurm": slurm_line,
    "htcondor": htcondor_line,
    "sge": sge_line,
    "pbs": pbs_line,
    "lsf": lsf_line,
}
#: The same, of a form that tells of GPUs.
GPU_FORMATS: Dict[str, Callable[[Job], str]] = {
    "slurm": slurm_gpu_line,
    "htcondor": htcondor_gpu_line,
    "pbs": pbs_gpu_line,
    "lsf": lsf_gpu_line,
}
LOG_NAMES = {
    "slurm": "slurm_acc.%s",
    "htcondor": "accounting.%s",
    "sge": "accounting.%s",
    "pbs": "%s",
    "lsf": "lsb.acct.%s",
}
