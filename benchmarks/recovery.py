"""What a killed rank costs: kill -9 of rank 1 -> first step of the new round, ours, torchrun's and the floor.

Ours is with warm spares, which need some seconds of training to be ready (`--lives`), and without. The floor is a
bare start of the same script, no launcher: nobody who starts processes anew can be below it. All are taken in turn
within one run on one machine, so that its moods hit all alike. torchrun is run with
TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 (as shipped it hangs in a third of such restarts); `--as-shipped` leaves it out.
"""

import argparse
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from figures import compare, show

RANK = str(Path(__file__).with_name("recovery_rank.py"))
PARTS = ("kill to python", "python to imported", "imported to group", "group to step")
GIVE_UP_S = 60.0


class HungError(Exception):
    """A launcher did not come to its first step again in time."""


def notes_of(
    command: list[str], folder: str, environment: dict[str, str], limit_s: float
) -> dict[tuple[int, str], float]:
    """Run a launcher over the rank; give, by life and what, the time at which the last rank noted it."""
    path = os.path.join(folder, "notes")
    log = os.path.join(folder, "output")
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [part.replace("NOTES", path) for part in command],
            stdout=output,
            stderr=output,
            env=os.environ | environment,
            start_new_session=True,
        )
        try:
            process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            raise HungError(Path(log).read_text(errors="replace")[-2000:]) from None
    latest: dict[tuple[int, str], float] = {}
    for line in Path(path).read_text().splitlines():
        entry = json.loads(line)
        key = (entry["life"], entry["what"])
        latest[key] = max(latest.get(key, 0.0), entry["at"])
    return latest


def restarted(command: list[str], environment: dict[str, str], lives_s: float = 0.0) -> list[float]:
    """Seconds of each part of a recovery, in the order of PARTS."""
    with tempfile.TemporaryDirectory() as folder:
        seen = notes_of(command, folder, environment | {"XDG_STATE_HOME": folder}, lives_s + GIVE_UP_S)
        life = max(life for life, _ in seen)
        times = [seen[0, "kill"], *(seen[life, what] for what in ("python", "imported", "group", "step"))]
        if life != 1:
            raise HungError(f"it took {life} restarts")
        return [later - earlier for earlier, later in itertools.pairwise(times)]


def ours(lives_s: float) -> list[float]:
    """`dlroverctl run --standalone`; the ranks live long enough for their spares to be ready, or have none."""
    ctl = str(Path(sys.executable).with_name("dlroverctl"))
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump({"python": sys.executable, "nproc_per_node": 2, "warm_spares": lives_s > 0}, file)
        file.flush()
        words = ["-f", file.name, RANK, "NOTES", str(lives_s)]
        return restarted([ctl, "run", "--standalone", *words], {"OMP_NUM_THREADS": "1"}, lives_s)


def torchrun(*, as_shipped: bool) -> list[float]:
    """`torchrun --standalone`."""
    quirk = {} if as_shipped else {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return restarted([*command, "--max-restarts", "3", RANK, "NOTES", "0"], quirk | {"OMP_NUM_THREADS": "1"})


def floor() -> list[float]:
    """The same two processes, started bare."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    starter = (
        "import os,subprocess,sys,time;"
        'open(sys.argv[2],\'a\').write(\'{"life": 0, "rank": 0, "what": "kill", "at": %r}\\n\' % time.time());'
        "ps=[subprocess.Popen([sys.executable,'-u',sys.argv[1],sys.argv[2],'-1'],env={**os.environ,'RANK':str(r),"
        "'LOCAL_RANK':str(r)}) for r in range(2)];"
        "sys.exit(sum(p.wait() for p in ps))"
    )
    with tempfile.TemporaryDirectory() as folder:
        seen = notes_of([sys.executable, "-c", starter, RANK, "NOTES"], folder, shared, GIVE_UP_S)
        times = [seen[0, what] for what in ("kill", "python", "imported", "group", "step")]
        return [later - earlier for earlier, later in itertools.pairwise(times)]


def main() -> None:
    """Take them in turn and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--as-shipped", action="store_true", help="torchrun with its store shared, as it ships")
    parser.add_argument("--ours-only", action="store_true", help="count hangs of ours over many runs")
    parser.add_argument("--lives", type=float, default=15.0, help="seconds until the kill, for spares to be ready")
    options = parser.parse_args()
    kinds: dict[str, Callable[[], list[float]]] = {"ours": lambda: ours(options.lives)}
    if not options.ours_only:
        kinds |= {"without spares": lambda: ours(0.0)}
        kinds |= {"torchrun": lambda: torchrun(as_shipped=options.as_shipped), "floor": floor}
    samples: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
    hung = dict.fromkeys(kinds, 0)
    for run in range(options.runs):
        for kind, take in kinds.items():
            try:
                samples[kind].append(take())
            except HungError as error:
                hung[kind] += 1
                print(f"run {run}: {kind} did not recover: {str(error)[-300:]}", file=sys.stderr)
            else:
                print(f"run {run}: {kind} {sum(samples[kind][-1]):.2f} s", file=sys.stderr)
    report(samples, hung, as_json=options.json)


def report(samples: dict[str, list[list[float]]], hung: dict[str, int], *, as_json: bool) -> None:
    """Print totals, parts, and what each launcher adds to the floor."""
    for kind, count in hung.items():
        print(f"{kind}: {count} of {count + len(samples[kind])} did not recover", file=sys.stderr)
    totals = {kind: [sum(parts) for parts in taken] for kind, taken in samples.items()}
    for other, target in (("torchrun", 0.1), ("floor", None), ("without spares", None)):
        if samples.get(other):
            show(compare("kill to first step [s]", totals["ours"], other, totals[other], target), as_json=as_json)
            for number, part in enumerate(PARTS):
                mine = [parts[number] for parts in samples["ours"]]
                theirs = [parts[number] for parts in samples[other]]
                show(compare(f"{part} [s]", mine, other, theirs), as_json=as_json)
    if samples.get("torchrun") and samples.get("floor"):
        bare = median(totals["floor"])
        added = {kind: [total - bare for total in totals[kind]] for kind in ("without spares", "torchrun")}
        show(
            compare("added to the floor [s]", added["without spares"], "torchrun", added["torchrun"], 0.5),
            as_json=as_json,
        )


if __name__ == "__main__":
    main()
