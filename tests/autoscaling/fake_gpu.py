"""The start of a worker process of the fake cloud: its GPUs are made up, so it trains on a CPU.

The tool itself has no such switch: a trial that was given a GPU which torch cannot use fails.
"""

from __future__ import annotations


def train_on_the_cpu() -> None:
    """Named to Ray as the `worker_process_setup_hook` of the test's drivers, and nowhere else."""
    import torch

    from tuner.run import worker

    worker.device_of = lambda gpus: torch.device("cpu")
