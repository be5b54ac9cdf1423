#!/usr/bin/env python3
"""Write a deterministic, realistic accounting corpus for one site.

    gen_corpus.py OUT --system slurm --jobs 100000 --seed 1 --days 45 --end 2026-11-15

OUT/batch/   one batch accounting log a day, in the system's own format
OUT/blah/    one BLAH log a day: the grid half of the jobs (--grid share of them)
OUT/truth.json   what a correct pipeline must report for the month/VO totals

Systems: slurm, pbs, sge, lsf, htcondor. All times in the logs are UTC epochs or,
for slurm, UTC wall-clock (run the parser with TZ=UTC).
"""

import argparse
import datetime as dt
import json
import os
import random
from collections import defaultdict

VOS = ["atlas", "cms", "lhcb", "alice", "dteam", "ops", "biomed", "vo.example.eu", "belle", "ska"]
ROLES = ["Role=production", "Role=pilot", "Role=NULL", "Role=lcgadmin"]
COUNTRIES = ["UK", "DE", "FR", "IT", "ES", "CERN", "NL", "PL"]
CES = ["ce0%d.grid.example.org:9619/ce0%d.grid.example.org-batch" % (i, i) for i in range(1, 5)]
QUEUES = ["grid", "long", "short", "multicore"]


def hms(seconds):
    return "%02d:%02d:%02d" % (seconds // 3600, seconds % 3600 // 60, seconds % 60)


def dhms(seconds):
    days, rest = divmod(seconds, 86400)
    return ("%d-" % days if days else "") + hms(rest)


def iso(epoch):
    return dt.datetime.fromtimestamp(epoch, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def slurm(j):
    return "|".join(
        [
            str(j["id"]),
            j["name"],
            j["user"],
            j["group"],
            iso(j["start"]),
            iso(j["end"]),
            dhms(j["wall"]),
            str(j["cpu"]),
            j["queue"],
            str(j["cores"]),
            str(j["nodes"]),
            "wn%03d" % (j["id"] % 400),
            "%dK" % j["rss"],
            "%dK" % j["vms"],
            j["state"],
        ]
    )


def pbs(j):
    hosts = "+".join(
        "wn%03d.grid.example.org/%d" % ((j["id"] + c // 8) % 400, c % 8) for c in range(j["cores"])
    )
    stamp = dt.datetime.fromtimestamp(j["end"], dt.timezone.utc).strftime("%m/%d/%Y %H:%M:%S")
    return (
        "%s;E;%s;user=%s group=%s jobname=%s queue=%s ctime=%d qtime=%d etime=%d start=%d "
        "owner=%s@ce01.grid.example.org exec_host=%s Resource_List.walltime=96:00:00 session=%d "
        "end=%d Exit_status=0 resources_used.cput=%s resources_used.mem=%dkb "
        "resources_used.vmem=%dkb resources_used.walltime=%s"
    ) % (
        stamp,
        j["lrms"],
        j["user"],
        j["group"],
        j["name"],
        j["queue"],
        j["start"] - 60,
        j["start"] - 60,
        j["start"] - 60,
        j["start"],
        j["user"],
        hosts,
        j["id"] % 30000,
        j["end"],
        hms(j["cpu"]),
        j["rss"],
        j["vms"],
        hms(j["wall"]),
    )


def sge(j):
    fields = (
        [
            j["queue"],
            "wn%03d.grid.example.org" % (j["id"] % 400),
            j["group"],
            j["user"],
            j["name"],
            str(j["id"]),
            "sge",
            "0",
            str(j["start"] - 60),
            str(j["start"]),
            str(j["end"]),
            "0",
            "0",
            str(j["wall"]),
        ]
        + ["0"] * 17
        + [
            "NONE",
            "defaultdepartment",
            "mpi" if j["cores"] > 1 else "NONE",
            str(j["cores"]),
            "0",
            "%.6f" % j["cpu"],
            "%.6f" % (j["rss"] / 1048576.0),
            "0.0",
            "-U all",
            "0.0",
            "NONE",
            "%.1f" % (j["vms"] * 1024.0),
            "0",
            "0",
        ]
    )
    return ":".join(fields)


def lsf(j):
    hosts = " ".join('"wn%03d"' % ((j["id"] + c // 8) % 400) for c in range(j["cores"]))
    head = '"JOB_FINISH" "9.1" %d %d 283 33554482 %d %d 0 0 %d "%s" "%s" "" "" "" "ce01" "job" ""' % (
        j["end"],
        j["id"],
        j["cores"],
        j["start"] - 60,
        j["start"],
        j["user"],
        j["queue"],
    )
    head += ' "/home/%s/out.txt" "/home/%s/err.txt" "%d.%d" 0 %d %s 64 3.3 "" "run.sh ""quoted"" arg"' % (
        j["user"],
        j["user"],
        j["start"],
        j["id"],
        j["cores"],
        hosts,
    )
    tail = (
        ' %.6f %.6f 0 0 -1 0 0 927804 87722 0 0 0 -1 0 0 0 0 0 -1 "" "default" 0 %d "" "" 0 %d %d "" "" ""'
        % (j["cpu"] * 0.9, j["cpu"] - j["cpu"] * 0.9, j["cores"], j["rss"], j["vms"])
    )
    return head + tail


def htcondor(j):
    return "%s|%s|%d|%d|%d|%d|%d|%d|%d|%d|1|" % (
        j["lrms"],
        j["user"],
        j["wall"],
        j["cpu"] - j["cpu"] // 20,
        j["cpu"] // 20,
        j["start"],
        j["end"],
        j["rss"],
        j["vms"],
        j["cores"],
    )


FORMATS = {"slurm": slurm, "pbs": pbs, "sge": sge, "lsf": lsf, "htcondor": htcondor}
BATCH_NAME = {
    "slurm": "slurm_acc.%s",
    "pbs": "%s",
    "sge": "accounting.%s",
    "lsf": "lsb.acct.%s",
    "htcondor": "accounting.%s",
}


def lrms_id(system, number):
    if system == "pbs":
        return "%d.pbs.grid.example.org" % number
    if system == "htcondor":
        return "ce01.grid.example.org#%d.0#%d" % (number, number * 7 % 999983)
    return str(number)


def jobs(args):
    rng = random.Random(args.seed)
    end = int(dt.datetime.strptime(args.end, "%Y-%m-%d").replace(tzinfo=dt.timezone.utc).timestamp())
    span = args.days * 86400
    dns = []
    for i in range(args.users):
        vo = rng.choice(VOS)
        dns.append(
            ("/C=%s/O=eScience/OU=Site%02d/CN=user number %04d" % (rng.choice(COUNTRIES), i % 40, i), vo)
        )
    for n in range(args.jobs):
        who = rng.randrange(args.users)
        dn, vo = dns[who]
        cores = rng.choices([1, 4, 8, 16], [70, 5, 20, 5])[0]
        wall = min(int(rng.lognormvariate(8.6, 1.3)) + 1, 345600)
        cpu = int(wall * cores * min(0.99, max(0.05, rng.gauss(0.85, 0.15))))
        finish = end - span + int(span * (n + rng.random()) / args.jobs)
        number = 1000000 + n
        yield {
            "id": number,
            "lrms": lrms_id(args.system, number),
            "name": "job_%09d" % rng.randrange(10**9),
            "user": "%s%03d" % (vo.split(".")[0][:5], who % 500),
            "group": vo.split(".")[0][:8],
            "start": finish - wall,
            "end": finish,
            "wall": wall,
            "cpu": cpu,
            "cores": cores,
            "nodes": (cores + 7) // 8,
            "queue": rng.choice(QUEUES),
            "rss": rng.randrange(20000, 8000000),
            "vms": rng.randrange(8000000, 16000000),
            "state": rng.choices(["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"], [90, 5, 3, 2])[0],
            "dn": dn,
            "vo": vo,
            "role": ROLES[who % len(ROLES)],
            "ce": CES[who % len(CES)],
            "grid": rng.random() < args.grid,
        }


def blah(j):
    stamp = dt.datetime.fromtimestamp(j["start"] - 60, dt.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return (
        '"timestamp=%s" "userDN=%s" "userFQAN=/%s/%s/Capability=NULL" '
        '"userFQAN=/%s/Role=NULL/Capability=NULL" '
        '"ceID=%s" "jobID=CREAM%09d" "lrmsID=%s" "localUser=%d" "clientID=cream_%d"'
    ) % (
        stamp,
        j["dn"],
        j["vo"],
        j["role"],
        j["vo"],
        j["ce"],
        j["id"],
        j["lrms"],
        11000 + j["id"] % 500,
        j["id"],
    )


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--system", choices=sorted(FORMATS), default="slurm")
    ap.add_argument("--jobs", type=int, default=10000)
    ap.add_argument("--users", type=int, default=300)
    ap.add_argument("--days", type=int, default=45)
    ap.add_argument("--end", default="2026-11-15")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--grid", type=float, default=1.0, help="share of jobs with a BLAH record")
    args = ap.parse_args()
    batch, blahs = defaultdict(list), defaultdict(list)
    truth = defaultdict(lambda: {"jobs": 0, "wall": 0, "cpu": 0})
    for j in jobs(args):
        day = dt.datetime.fromtimestamp(j["end"], dt.timezone.utc)
        batch[day.strftime("%Y%m%d")].append(FORMATS[args.system](j))
        if j["grid"]:
            t0 = dt.datetime.fromtimestamp(j["start"] - 60, dt.timezone.utc)
            blahs[t0.strftime("%Y%m%d")].append(blah(j))
            row = truth["%s %s" % (day.strftime("%Y-%m"), j["vo"])]
            row["jobs"] += 1
            row["wall"] += j["wall"]
            row["cpu"] += j["cpu"]
    for sub, days, name in (("batch", batch, BATCH_NAME[args.system]), ("blah", blahs, "blahp.log-%s")):
        folder = os.path.join(args.out, sub)
        os.makedirs(folder, exist_ok=True)
        for day, lines in days.items():
            with open(os.path.join(folder, name % day), "w") as f:
                f.write("\n".join(lines) + "\n")
    with open(os.path.join(args.out, "truth.json"), "w") as f:
        json.dump(
            {"system": args.system, "jobs": args.jobs, "by_month_vo": truth}, f, indent=1, sort_keys=True
        )


if __name__ == "__main__":
    main()
