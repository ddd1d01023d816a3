"""The device of a worker: what Ray gave it, and nothing else."""

from __future__ import annotations

import pytest
import torch

from tuner.errors import UserError
from tuner.run.worker import device_of


def test_without_gpus_a_cpu() -> None:
    assert device_of(0) == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use a GPU here")
def test_a_gpu_that_torch_cannot_use_is_no_cpu() -> None:
    """A node's driver may be broken, or its torch built for CPUs."""
    with pytest.raises(UserError, match="torch cannot use any there"):
        device_of(0.5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch can use no GPU here")
def test_a_gpu_where_there_is_one() -> None:
    assert device_of(1) == torch.device("cuda")
