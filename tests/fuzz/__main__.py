"""``python -m fuzz``: spoilt files of every kind, and a table of what became of them.

Each is read with 20 s of CPU time and 2 GB more than the process has. It must be taken, or refused
in one line of at most 300 characters. A traceback, a longer message, a hang or the end of the
process is a fault; ``--kind csv --first SEED --count 1`` repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from fuzz.kinds import KINDS, ROOT, Kind

LIMIT_S = 20  # of CPU time
WALL_S = 200  # on a machine that is busy otherwise; a booster has 120 s in a process of its own
MORE_BYTES = 2 * 2**30
OUTCOMES = ("refused in one line", "taken", "traceback", "hang", "ended")


class _HangError(BaseException):
    pass


def _alarm(*_: Any) -> None:
    raise _HangError


def limit_memory() -> None:
    """Let this process grow by 2 GB and no further."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def one(kind: Kind, seed: int, folder: Path) -> tuple[str, str]:
    """Outcome and what was said of one spoilt file."""
    from corefuse.core.errors import LONGEST, InputError

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = kind.make(folder)
    kind.spoil(path, random.Random(f"{kind.name} {seed}"))
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _alarm)
    signal.alarm(WALL_S)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        kind.read(path)
    except InputError as fault:
        said = str(fault)
        good = len(said) <= LONGEST and said.isprintable()
        return "refused in one line" if good else "traceback", said
    except _HangError:
        return "hang", f"more than {LIMIT_S} s of CPU time or {WALL_S} s in all"
    except BaseException:
        return "traceback", traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "taken", ""


def child(name: str, first: int, count: int) -> None:
    """One line of JSON per file on stdout; the parent goes on where this process ends."""
    warnings.simplefilter("ignore")
    kind = KINDS[name]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as top:
        os.environ["XDG_CACHE_HOME"] = f"{top}/cache"
        kind.read(kind.make(Path(top)))  # a whole file is taken; also, all is imported
        limit_memory()
        for seed in range(first, first + count):
            print(json.dumps([seed, *one(kind, seed, Path(top) / "one")]), flush=True)


def run(name: str, first: int, count: int) -> list[tuple[int, str, str]]:
    """Every outcome of one kind, processes that ended included."""
    out: list[tuple[int, str, str]] = []
    path = f"{ROOT / 'workflow'}:{ROOT / 'tests'}"
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    while len(out) < count:
        at = first + len(out)
        words = ["--child", "--kind", name, "--first", str(at), "--count", str(count - len(out))]
        done = subprocess.run(
            [sys.executable, "-m", "fuzz", *words],
            capture_output=True,
            text=True,
            env=environment,
            cwd=ROOT,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
        out += [tuple(json.loads(line)) for line in lines]
        if done.returncode and not lines and not out and "limit_memory" not in done.stderr:
            raise RuntimeError(f"{name}: a whole file is not read:\n{done.stderr[-2000:]}")
        if len(out) < count:
            out.append((first + len(out), "ended", f"exit code {done.returncode}"))
    return out


def table(found: dict[str, list[tuple[int, str, str]]]) -> str:
    """Counts of every kind as Markdown."""
    rows = [f"| kind | tried | {' | '.join(OUTCOMES)} |", "|---" * (len(OUTCOMES) + 2) + "|"]
    total: Counter[str] = Counter()
    for name, outcomes in found.items():
        counts = Counter(outcome for _, outcome, _ in outcomes)
        total += counts
        cells = [str(counts[o]) for o in OUTCOMES]
        rows.append(f"| {name} | {len(outcomes)} | {' | '.join(cells)} |")
    cells = [str(total[o]) for o in OUTCOMES]
    rows.append(f"| all | {sum(total.values())} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> int:
    """Fuzz all kinds or one; 1 where anything failed."""
    parser = argparse.ArgumentParser("fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--kind", choices=KINDS, action="append", help="this kind alone")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=100, help="files of each kind")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.kind[0], asked.first, asked.count)
        return 0
    found = {}
    for name in asked.kind or KINDS:
        found[name] = run(name, asked.first, asked.count)
        bad = [o for o in found[name] if o[1] not in OUTCOMES[:2]]
        for seed, outcome, said in bad:
            print(f"{name}, seed {seed}: {outcome}\n{said}", file=sys.stderr)
        print(f"{name}: {len(found[name])} tried, {len(bad)} failed", file=sys.stderr, flush=True)
    print(table(found))
    return int(any(o not in OUTCOMES[:2] for rows in found.values() for _, o, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
