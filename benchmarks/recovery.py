"""What a killed rank costs: kill -9 of rank 1 -> first step of the new round, ours, torchrun's and the floor.

Three trainings: a small loop that saves nothing, examples/digits.py as it is, and a model of 512 MB of which each step
is saved, here in memory and under torchrun with torch.save. Ours is with warm spares, which need some seconds of
training to be ready (`--lives`), and for the small loop also without. The floor is a bare start of the same script, no
launcher: nobody who starts processes anew can be below it. All are taken in turn within one run on one machine, so that
its moods hit all alike. torchrun is run with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 (as shipped it hangs in a third of
such restarts); `--as-shipped` leaves it out.
"""

import argparse
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from figures import compare, show

RANK = str(Path(__file__).with_name("recovery_rank.py"))
WHATS = ("python", "imported", "group", "loaded", "step")
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


def parts_of(seen: Mapping[tuple[int, str], float], life: int) -> dict[str, float]:
    """Seconds of each part of a recovery, from the kill on, by what was noted at its end."""
    times = [seen[0, "kill"], *(seen[life, what] for what in WHATS if (life, what) in seen)]
    whats = [what for what in WHATS if (life, what) in seen]
    return {what: later - earlier for what, (earlier, later) in zip(whats, itertools.pairwise(times), strict=True)}


def restarted(command: list[str], environment: dict[str, str], lives_s: float = 0.0) -> dict[str, float]:
    """Run a launcher whose rank is killed once; see `parts_of`. FOLDER in the command becomes a folder for steps."""
    with tempfile.TemporaryDirectory() as folder:
        saves = os.path.join(folder, "saves")
        os.mkdir(saves)
        words = [saves if word == "FOLDER" else word for word in command]
        seen = notes_of(words, folder, environment | {"XDG_STATE_HOME": folder}, lives_s + GIVE_UP_S)
        life = max(life for life, _ in seen)
        if life != 1:
            output = Path(folder, "output").read_text(errors="replace")
            raise HungError(f"it took {life} restarts: {output[-2000:]}")
        return parts_of(seen, life)


def ours(lives_s: float, *training: str) -> dict[str, float]:
    """`dlroverctl run --standalone`; the ranks live long enough for their spares to be ready, or have none."""
    ctl = str(Path(sys.executable).with_name("dlroverctl"))
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        job = {"python": sys.executable, "nproc_per_node": 2, "warm_spares": lives_s > 0}
        json.dump(job | ({"checkpoint_memory": "4GiB"} if "memory" in training else {}), file)
        file.flush()
        words = ["-f", file.name, RANK, "NOTES", str(lives_s), *training]
        return restarted([ctl, "run", "--standalone", *words], {"OMP_NUM_THREADS": "1"}, lives_s)


def torchrun(*training: str, as_shipped: bool) -> dict[str, float]:
    """`torchrun --standalone`."""
    quirk = {} if as_shipped else {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*command, "--max-restarts", "3", RANK, "NOTES", "0", *training]
    return restarted(words, quirk | {"OMP_NUM_THREADS": "1"})


def floor() -> dict[str, float]:
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
        return parts_of(notes_of([sys.executable, "-c", starter, RANK, "NOTES"], folder, shared, GIVE_UP_S), 0)


def main() -> None:
    """Take them in turn and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--as-shipped", action="store_true", help="torchrun with its store shared, as it ships")
    parser.add_argument("--ours-only", action="store_true", help="count hangs of ours over many runs")
    parser.add_argument("--lives", type=float, default=15.0, help="seconds until the kill, for spares to be ready")
    parser.add_argument("--only", action="append", choices=("small", "digits", "model"), help="may be repeated")
    options = parser.parse_args()
    trainings: dict[str, dict[str, Callable[[], dict[str, float]]]] = {
        "small": {
            "ours": lambda: ours(options.lives),
            "torchrun": lambda: torchrun(as_shipped=options.as_shipped),
            "without spares": lambda: ours(0.0),
            "floor": floor,
        },
        "digits": {
            "ours": lambda: ours(options.lives, "digits", "", "FOLDER"),
            "torchrun": lambda: torchrun("digits", "", "FOLDER", as_shipped=options.as_shipped),
        },
        "model": {
            "ours": lambda: ours(options.lives, "512", "memory", "FOLDER"),
            "torchrun": lambda: torchrun("512", "file", "FOLDER", as_shipped=options.as_shipped),
        },
    }
    for name, kinds in trainings.items():
        if name in (options.only or trainings):
            ways = {kind: take for kind, take in kinds.items() if kind == "ours" or not options.ours_only}
            report(name, taken(name, ways, options.runs), as_json=options.json)


def taken(
    name: str, ways: Mapping[str, Callable[[], dict[str, float]]], runs: int
) -> dict[str, list[dict[str, float]]]:
    """Take each of them in turn, as often as there are runs; say what did not recover."""
    samples: dict[str, list[dict[str, float]]] = {kind: [] for kind in ways}
    for run, (kind, take) in itertools.product(range(runs), ways.items()):
        try:
            samples[kind].append(take())
        except HungError as error:
            print(f"{name}, run {run}: {kind} did not recover: {str(error)[-2000:]}", file=sys.stderr)
        else:
            print(f"{name}, run {run}: {kind} {sum(samples[kind][-1].values()):.2f} s", file=sys.stderr)
    for kind, those in samples.items():
        print(f"{name}: {kind}: {runs - len(those)} of {runs} did not recover", file=sys.stderr)
    return samples


def report(name: str, samples: dict[str, list[dict[str, float]]], *, as_json: bool) -> None:
    """Print totals, parts, and what each launcher adds to the floor."""
    totals = {kind: [sum(parts.values()) for parts in those] for kind, those in samples.items()}
    for other, target in (("torchrun", 0.1), ("without spares", None), ("floor", None)):
        if not samples.get(other) or not samples["ours"]:
            continue
        show(compare(f"{name}: kill to first step [s]", totals["ours"], other, totals[other], target), as_json=as_json)
        for what in samples["ours"][0]:
            mine, theirs = ([parts[what] for parts in samples[kind]] for kind in ("ours", other))
            show(compare(f"{name}: until {what} [s]", mine, other, theirs), as_json=as_json)
    if samples.get("floor") and samples["torchrun"] and samples["without spares"]:
        bare = median(totals["floor"])
        added = {kind: [total - bare for total in totals[kind]] for kind in ("without spares", "torchrun")}
        show(
            compare(f"{name}: added to the floor [s]", added["without spares"], "torchrun", added["torchrun"], 0.5),
            as_json=as_json,
        )


if __name__ == "__main__":
    main()
