#!/bin/sh
# Where job-completion hooks and crontabs of before version 5 call it. With $JOBID, as in a hook, it writes the
# lines of that job; without, apelcollect asks for all jobs that ended, which misses none and is the better way.
[ -n "${JOBID:-}" ] || exec /usr/bin/apelcollect slurm "$@"
columns=JobID,JobName,User,Group,Start,End,Elapsed,CPUTimeRAW,Partition,NCPUS,NNodes,NodeList,MaxRSS,MaxVMSize,State
sleep 2 # SLURM needs a moment to know that the job has ended
sacct -P -n --format="$columns" -j "$JOBID" >>"/var/log/apel/slurm_acc.$(date +%Y%m%d)"
