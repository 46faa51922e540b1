"""A training that says nothing, and that fails if it sees that anything was put into its environment."""

import os
import sys
import time

import torch

if os.environ.get("PYTHONPATH") != os.environ["OWN_PYTHONPATH"] or any("rank_path" in each for each in sys.path):
    sys.exit("it sees what counts its steps")
model = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(int(sys.argv[1])):
    model(torch.ones(1, 2)).sum().backward()
    if step % 2:  # each gradient is of two batches
        optimizer.step()
        optimizer.zero_grad()
    time.sleep(0.01)
