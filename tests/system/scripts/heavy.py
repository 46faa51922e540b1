"""Steps, with much to import."""

# ruff: noqa: T201 (what a rank has to say, it prints)

import time

import torch

for step in range(1, 10**9):
    print("step", step + int(torch.zeros(1)), flush=True)
    time.sleep(0.01)
