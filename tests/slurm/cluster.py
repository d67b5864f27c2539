"""A real Slurm on this machine: munge, slurmctld and slurmd on loopback, without systemd.

    python tests/slurm/cluster.py FOLDER     starts it and waits for Enter

Everything it writes is in one folder, except /etc/slurm/slurm.conf: a link, because the job steps
that Snakemake nests drop ``SLURM_CONF`` from their environment. It stops what it has started and
nothing else. Jobs are followed through /proc, so no cgroups are needed; a job that takes more
memory than it asked for is killed within seconds.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
CONFIG = Path("/etc/slurm/slurm.conf")
HOSTS = Path("/etc/hosts")
CPUS = 4  # declared, whatever the machine has: what the tests start mostly waits
MEMORY_MB = 16000
FIRST_PORT = 27817
READY_S = 30.0


class NoSlurmError(Exception):
    """Slurm can't run here, and why."""


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """A Slurm in ``folder`` (open to all, short path), stopped at the end; yields its node's name.

    Raises
    ------
    NoSlurmError
        Not root, packages missing, or this machine has a Slurm of its own.
    """
    _check()
    node = socket.gethostname().split(".")[0]
    daemons: list[subprocess.Popen[bytes]] = []
    hosts = _resolvable(node)
    try:
        for name in ("run", "log", "state", "spool", "munge"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "munge").chmod(0o700)
        _start_munge(folder, daemons)
        config = folder / "slurm.conf"
        config.write_text(_config(folder, node))
        # slurmd loads a cgroup plugin even if none is used; this one touches nothing
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        CONFIG.parent.mkdir(exist_ok=True)
        CONFIG.symlink_to(config)
        for name in ("slurmctld", "slurmd"):
            _start(daemons, folder, name, "-D", "-f", str(config))
        _wait("a node", lambda: "idle" in _output("sinfo", "-h", "-o", "%T"), folder)
        yield node
    finally:
        for daemon in reversed(daemons):
            _stop(daemon)
        if CONFIG.is_symlink() and CONFIG.readlink() == folder / "slurm.conf":
            CONFIG.unlink()
        if hosts is not None:
            HOSTS.write_text(hosts)


def _check() -> None:
    if os.geteuid() != 0:
        raise NoSlurmError("munged and slurmd need root")
    missing = [p for p in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(p)]
    if missing:
        raise NoSlurmError(f"{', '.join(missing)} missing: apt-get install {' '.join(PACKAGES)}")
    if CONFIG.is_symlink() and not CONFIG.exists():
        CONFIG.unlink()  # of a test run that was killed
    if CONFIG.exists() or CONFIG.is_symlink():
        raise NoSlurmError(f"{CONFIG} is there: this machine has a Slurm of its own")


def _resolvable(node: str) -> str | None:
    """Make the host name known; the former /etc/hosts where it had to be changed."""
    try:
        socket.gethostbyname(node)
    except OSError:
        before = HOSTS.read_text()
        HOSTS.write_text(f"{before.rstrip()}\n127.0.0.1 {node}\n")
        return before
    return None


def _start_munge(folder: Path, daemons: list[subprocess.Popen[bytes]]) -> None:
    key, sock = folder / "munge" / "key", folder / "run" / "munge"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
    _start(
        daemons,
        folder,
        "munged",
        "--foreground",
        f"--key-file={key}",
        f"--socket={sock}",
        f"--pid-file={folder / 'run' / 'munged.pid'}",
        f"--log-file={folder / 'log' / 'munged.log'}",
        f"--seed-file={folder / 'munge' / 'seed'}",
    )
    _wait("munge", lambda: bool(_output("munge", "-n", "-S", str(sock))), folder)


def _config(folder: Path, node: str) -> str:
    """The cluster: one node, one partition; slurm.conf(5) explains the keys."""
    lines = {
        "ClusterName": "test",
        "SlurmctldHost": f"{node}(127.0.0.1)",
        "SlurmUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder / 'run' / 'munge'}",
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "SlurmctldPort": FIRST_PORT,
        "SlurmdPort": FIRST_PORT + 1,
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "run" / "slurmctld.pid",
        "SlurmdPidFile": folder / "run" / "slurmd.pid",
        "SlurmctldLogFile": folder / "log" / "slurmctld.log",
        "SlurmdLogFile": folder / "log" / "slurmd.log",
        "MailProg": "/bin/true",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "task=1",
        "JobAcctGatherParams": "OverMemoryKill,UsePss",
        "AccountingStorageType": "accounting_storage/none",
        "SwitchType": "switch/none",
        "MpiDefault": "none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "SlurmdParameters": "config_overrides",
        "ReturnToService": 2,
        "EnforcePartLimits": "ALL",  # an impossible request is refused, not kept waiting
        "KillWait": 5,
        "MinJobAge": 3600,  # squeue tells Snakemake how jobs have ended
        "SchedulerParameters": "batch_sched_delay=1,sched_min_interval=100000",
    }
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    return (
        f"{text}NodeName={node} NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory={MEMORY_MB}\n"
        f"PartitionName=main Nodes={node} Default=YES DefMemPerCPU=1000 DefaultTime=60\n"
    )


def _start(daemons: list[subprocess.Popen[bytes]], folder: Path, name: str, *args: str) -> None:
    # they end with this process, however it ends
    command = ["setpriv", "--pdeathsig", "TERM", "--", shutil.which(name) or name, *args]
    with (folder / "log" / f"{name}.out").open("ab") as out:
        daemons.append(
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                umask=0o022,
            )
        )


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _wait(what: str, ready: Callable[[], bool], folder: Path) -> None:
    end = time.monotonic() + READY_S
    while not ready():
        if time.monotonic() > end:
            logs = "\n".join(
                f"{path.name}: {path.read_text(errors='replace')[-800:]}"
                for path in sorted((folder / "log").iterdir())
            )
            raise RuntimeError(f"no {what} after {READY_S:.0f} s\n{logs}")
        time.sleep(0.2)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


if __name__ == "__main__":
    with running(Path(sys.argv[1]).resolve()):
        input("Slurm is up. Enter stops it. ")
