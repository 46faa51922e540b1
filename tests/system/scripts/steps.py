"""Ranks that only count: no torch, so that a test of something else is quick."""

# ruff: noqa: T201 (what a rank has to say, it prints)

import argparse
import os
import signal
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=10**9)
parser.add_argument("--ignore-term", action="store_true")
parser.add_argument("--fail", action="store_true", help="rank 0 raises at its last step")
parser.add_argument("--exit", type=int, default=0)
args = parser.parse_args()
if args.ignore_term:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("rank", os.environ["RANK"], "of", os.environ["WORLD_SIZE"], "on", os.environ["DLROVERD_NODE"], flush=True)
for step in range(1, args.steps + 1):
    print("step", step, flush=True)
    time.sleep(0.01)
if args.fail and os.environ["RANK"] == "0":
    raise ValueError("the loss is not a number")
sys.stdout.write("the last line has no end")
sys.stdout.flush()
sys.exit(args.exit)
