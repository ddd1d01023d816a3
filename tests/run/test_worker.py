"""A share of a GPU; the rest of what a worker does is in test_trainable.py."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.integration

SHARED = """
import torch
from tests.examples import SETTINGS
from tuner.run.worker import Worker
from tuner.study.file import validate_study

study = validate_study({**SETTINGS, "resources": {"gpus_per_trial": 0.1}}, "here")
Worker(study, None)
_, whole = torch.cuda.mem_get_info()
held = torch.empty(whole // 20, dtype=torch.uint8, device="cuda")
try:
    torch.empty(whole // 10, dtype=torch.uint8, device="cuda")
except torch.OutOfMemoryError:
    print("out of its share")
"""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_fraction_of_a_gpu_is_that_fraction_of_its_memory() -> None:
    """In a process of its own, as the limit is the process's; the trial then takes less at once."""
    command = [sys.executable, "-c", SHARED]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == "out of its share"
