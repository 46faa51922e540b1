"""A script as torchrun's users write them: @record, gloo, DDP, a DataLoader with workers, torch.compile."""

# ruff: noqa: T201 (what a rank has to say, it prints)

import os
import time

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset


@record
def main() -> None:
    began = time.process_time()
    dist.init_process_group("gloo")
    model = DistributedDataParallel(torch.nn.Linear(4, 1))
    step = torch.compile(model, backend="eager")
    loader = DataLoader(TensorDataset(torch.ones(8, 4)), batch_size=4, num_workers=1)
    for (batch,) in loader:
        loss = step(batch).sum()
        loss.backward()
    print("loss", loss.shape, dist.get_world_size(), torch.get_num_threads(), os.environ["MASTER_PORT"])
    dist.destroy_process_group()
    print(f"cpu {time.process_time() - began:.2f}")
    raise RuntimeError("recorded")


if __name__ == "__main__":
    main()
