#!/bin/sh
# Installs Debian's slurm-wlm and munge and starts a cluster of one node on the loopback address. Run as root; for tests only.
set -eu

export DEBIAN_FRONTEND=noninteractive
if ! command -v slurmctld >/dev/null || ! command -v munged >/dev/null; then
    apt-get update -q
    apt-get install -y -q --no-install-recommends slurm-wlm munge
fi

host=$(hostname -s)
cpus=$(nproc)
memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.8) }' /proc/meminfo)
grep -qw "$host" /etc/hosts || echo "127.0.0.1 $host" >>/etc/hosts

[ -s /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
mkdir -p /run/munge /var/lib/slurm/slurmctld /var/lib/slurm/slurmd /var/log/slurm
chown munge:munge /etc/munge/munge.key /run/munge
chmod 400 /etc/munge/munge.key

cat >/etc/slurm/slurm.conf <<END
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MpiDefault=none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
END

pgrep -x munged >/dev/null || su munge -s /bin/sh -c /usr/sbin/munged
munge -n | unmunge >/dev/null
pgrep -x slurmctld >/dev/null || slurmctld
pgrep -x slurmd >/dev/null || slurmd

tries=0
until [ "$(sinfo -h -o %T 2>/dev/null | head -n 1)" = idle ]; do
    tries=$((tries + 1))
    [ $tries -le 60 ] || { echo "the node does not come up:" >&2; sinfo >&2 || tail /var/log/slurm/slurmctld.log >&2; exit 1; }
    scontrol update nodename="$host" state=resume 2>/dev/null || true
    sleep 1
done
sinfo
