#!/usr/bin/env bash
# Tests ebm_train.sbatch in a real Slurm of one node, this machine, set up for the length of the
# test: a training job is preempted by another, then warned of its time limit, and goes on by itself
# each time; what it ends in is the same bits as the run that never stopped. A cancelled job stays
# cancelled. The script finds the program of a build folder and of an installation.
# usage: test.sh [EBM_TRAIN]      as root; needs Debian's slurm-wlm [build/cpu/ebm_train]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
ebm_train=$(realpath "${1:-build/cpu/ebm_train}")
unset EBM_TRAIN
source tests/support/interrupted_runs.sh
if [[ $EUID -ne 0 ]] || ! command -v slurmctld slurmd munged >/dev/null; then
  echo "skipped: needs root, and slurm-wlm: apt-get install slurm-wlm" >&2
  exit 77
fi

folder=$(mktemp -d)
chmod 755 "$folder"
export SLURM_CONF=$folder/slurm.conf
stop_all() {
  for daemon in slurmd slurmctld munged; do
    kill "$(cat "$folder/$daemon.pid" 2>/dev/null)" 2>/dev/null || true
  done
  sleep 1
  rm -rf "$folder"
}
trap stop_all EXIT

mkdir "$folder/munge" "$folder/state" "$folder/spool" "$folder/runs"
chmod 700 "$folder/munge"
dd if=/dev/urandom of="$folder/munge/key" bs=1k count=1 status=none
chmod 600 "$folder/munge/key"
munged --force --socket="$folder/munge.socket" --key-file="$folder/munge/key" \
  --pid-file="$folder/munged.pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
host=$(hostname -s)
cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2
BatchStartTimeout=10
KillWait=30
MinJobAge=600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$host NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
PartitionName=low Nodes=$host Default=YES PriorityTier=1 GraceTime=20 State=UP
PartitionName=high Nodes=$host PriorityTier=10 PreemptMode=OFF State=UP
END
slurmctld
slurmd

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local left=$(($1 * 5)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((left-- > 0)) || {
      tail -n 20 "$folder"/*.log "$folder"/*.out >&2 || true
      fail "$what did not happen"
    }
    sleep 0.2
  done
}
is_in_state() { [[ $(scontrol show job "$1" -o) == *" JobState=$2 "* ]]; }
mentions() { grep -q "$2" "$1"; }
mentions_twice() { [[ $(grep -c "$2" "$1") -ge 2 ]]; }

wait_for 30 "the node's readiness" bash -c 'sinfo -h -o %T | grep -q idle'
write_configurations "$folder"
sed -i 's/iterations: 8/iterations: 20000/; s/every: 2}/every: 500}/; s/every: 3/every: 50/; s/every: 5,/every: 0,/' \
  "$folder/toy.yaml"
export OMP_NUM_THREADS=1
"$ebm_train" "$folder/toy.yaml" --quiet --out "$folder/whole"

# submit RUN [SCRIPT [OPTION...]]
submit() {
  local run=$1 script=${2:-tools/user/slurm/ebm_train.sbatch}
  shift $(($# < 2 ? $# : 2))
  sbatch --parsable --output="$folder/$run.out" "$script" "$folder/toy.yaml" "$folder/$run" --quiet \
    "$@"
}
# place PROGRAM SCRIPT: the program and the script there, both below $folder.
place() {
  mkdir -p "$(dirname "$folder/$1")" "$(dirname "$folder/$2")"
  ln -s "$ebm_train" "$folder/$1"
  cp tools/user/slurm/ebm_train.sbatch "$folder/$2"
}
place "a built/build/cuda/ebm_train" "a built/tools/user/slurm/ebm_train.sbatch"
place "installed/bin/ebm_train" "installed/share/ebm/ebm_train.sbatch"
for kind in "a built/tools/user/slurm" installed/share/ebm; do
  job=$(submit "runs/${kind%%/*}" "$folder/$kind/ebm_train.sbatch" --set train.iterations=100)
  wait_for 60 "a run by the program of $kind" is_in_state "$job" COMPLETED
done
if ! command -v ebm_train >/dev/null; then
  rm "$folder/installed/bin/ebm_train"
  job=$(submit none "$folder/installed/share/ebm/ebm_train.sbatch")
  wait_for 60 "the end of the job without a program" is_in_state "$job" FAILED
  mentions "$folder/none.out" "set EBM_TRAIN" || fail "it does not say that there is no program"
fi
echo "built or installed: the program is found"

export EBM_TRAIN=$ebm_train
log=$folder/run/log.txt
job=$(submit run)
wait_for 60 "the first checkpoint" test -e "$folder/run/checkpoints/latest"
echo "preempting it"
sbatch --parsable --partition=high --output=/dev/null --wrap "sleep 3" >/dev/null
wait_for 60 "the stop on preemption" mentions "$log" "stopped by SIGTERM"
wait_for 180 "going on after the preemption" mentions "$log" "going on after iteration"
echo "warning it of its time limit"
scancel --batch --signal=USR1 "$job"
wait_for 60 "the stop at the time limit" mentions "$log" "stopped by SIGUSR1"
wait_for 180 "going on after the time limit" mentions_twice "$log" "going on after iteration"
wait_for 300 "the end of the run" is_in_state "$job" COMPLETED
found=$(differences "$folder/run" "$folder/whole") || fail "$found"
echo "preempted, requeued and finished: the same bits as the run that never stopped"

job=$(submit cancelled)
wait_for 60 "the first checkpoint" test -e "$folder/cancelled/checkpoints/latest"
scancel "$job"
wait_for 60 "the end of the cancelled job" is_in_state "$job" CANCELLED
sleep 5
is_in_state "$job" CANCELLED || fail "the cancelled job was started again"
mentions "$folder/cancelled/log.txt" "stopped by SIGTERM" || fail "it was not stopped in good order"
echo "cancelled: stays so, and its state is saved"
