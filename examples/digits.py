"""Train a small classifier on the real handwritten digits that ship inside scikit-learn.

An ordinary torchrun script: it knows nothing of dlroverd and runs under plain torchrun just as well:

    torchrun --standalone --nproc-per-node 2 examples/digits.py --epochs 5

Every `--save-every` steps it saves with torch.distributed.checkpoint. Started again with the same checkpoint
folder it goes on from the newest complete step, and ends with the same result, because the rows of a step
depend on nothing but its number.
"""

import argparse
import importlib.util
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.nn.parallel import DistributedDataParallel

TRAIN_ROWS = 1437  # of 1797; the last fifth is the test split
KEPT_CHECKPOINTS = 2
SEED = 0


def parse_args() -> argparse.Namespace:
    # The run id stays the same over the restarts of one run and differs in the next: only a restart resumes.
    run_id = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    folder = Path(tempfile.gettempdir()) / f"digits-{os.getuid()}-{run_id}"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64, help="rows a step, of all ranks together")
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--checkpoint-dir", type=Path, default=folder)
    parser.add_argument("--save-every", type=int, default=10, metavar="STEPS")
    parser.add_argument("--step-delay", type=float, default=0.0, metavar="SECONDS", help="to watch, or to kill")
    return parser.parse_args()


def load_digits(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return all images (n, 1, 8, 8) with pixels in 0..1, and their labels, in one fixed random order.

    Reads the file behind sklearn.datasets.load_digits() where it is installed: importing that function loads
    all of SciPy, which would cost every start more than the training itself.
    """
    sklearn = importlib.util.find_spec("sklearn")
    if sklearn is None or sklearn.origin is None:
        raise SystemExit("the digits are a part of scikit-learn: pip install scikit-learn")
    file = Path(sklearn.origin).parent / "datasets" / "data" / "digits.csv.gz"
    table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.float32))
    rows = table[torch.randperm(len(table), generator=torch.Generator().manual_seed(SEED))].to(device)
    return rows[:, :64].view(-1, 1, 8, 8) / 16, rows[:, 64].long()


def build_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


def complete_steps(folder: Path) -> list[int]:
    """Return the saved steps, oldest first."""
    return sorted(int(path.name[5:]) for path in folder.glob("step-*") if path.name[5:].isdigit())


def save(folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Save a step, complete or not at all: it is written under another name and then renamed."""
    model_state, optimizer_state = get_state_dict(model, optimizer)
    partial = folder / f"step-{step}.partial"
    # Every rank calls it, and rank 0 returns from it once all of them have written.
    dcp.save({"model": model_state, "optimizer": optimizer_state}, checkpoint_id=partial)
    if dist.get_rank() == 0:
        partial.rename(folder / f"step-{step}")
        print(f"saved checkpoint at step {step}", flush=True)
        for old in complete_steps(folder)[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(folder / f"step-{old}")


def resume(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> int:
    """Load the newest complete step on every rank, and return its number: 0 when there is none."""
    newest = torch.zeros(1, dtype=torch.long, device=device)
    if dist.get_rank() == 0:  # one rank looks and cleans up while the others wait in the broadcast
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("step-*.partial"):
            shutil.rmtree(leftover)
        newest[0] = max(complete_steps(folder), default=0)
    dist.broadcast(newest, src=0)
    step = int(newest)
    if step > 0:
        model_state, optimizer_state = get_state_dict(model, optimizer)
        state: dict[str, Any] = {"model": model_state, "optimizer": optimizer_state}
        dcp.load(state, checkpoint_id=folder / f"step-{step}")
        set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        if dist.get_rank() == 0:
            print(f"resumed from step {step}", flush=True)
    return step


def train(args: argparse.Namespace, device: torch.device) -> None:
    rank, world_size = dist.get_rank(), dist.get_world_size()
    images, labels = load_digits(device)
    torch.manual_seed(SEED)
    network = build_network().to(device)
    model = DistributedDataParallel(network)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    steps_per_epoch = TRAIN_ROWS // args.batch_size
    last_step = args.epochs * steps_per_epoch

    start = resume(args.checkpoint_dir, model, optimizer, device)
    for step in range(start + 1, last_step + 1):
        epoch, batch = divmod(step - 1, steps_per_epoch)
        shuffled = torch.randperm(TRAIN_ROWS, generator=torch.Generator().manual_seed(epoch))
        rows = shuffled[batch * args.batch_size :][: args.batch_size][rank::world_size].to(device)
        loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if rank == 0:
            print(f"epoch {epoch + 1} step {step} loss {loss.item():.4f}", flush=True)
        if step % args.save_every == 0 or step == last_step:
            save(args.checkpoint_dir, step, model, optimizer)
        time.sleep(args.step_delay)

    if rank == 0:
        with torch.no_grad():
            right = network(images[TRAIN_ROWS:]).argmax(dim=1) == labels[TRAIN_ROWS:]
        print(f"accuracy {right.float().mean().item():.4f}", flush=True)


def main() -> None:
    args = parse_args()
    on_gpu = torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    train(args, device)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
