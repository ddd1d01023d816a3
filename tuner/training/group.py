"""The workers of one trial, seen from one of them: how they share a step and communicate.

A data-parallel trial is the same program in every worker (SPMD): each draws the same effective
batch and takes its share of it, and the gradients are summed before the optimizer, which is the
same everywhere, takes its step. All communication between workers goes through a `Group`. A group
of one worker sends nothing and costs nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from torch import Tensor, distributed, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

BUCKET = 2**22
"""Most elements of gradients summed in one message: many small messages cost more than one."""
LONGEST_WAIT = timedelta(hours=2)
"""Longest wait for another worker: a lost one is noticed at once, but one may take long to save."""


class Disconnected(RuntimeError):
    """Another worker of the trial cannot be reached: the worker or the network has failed."""


@dataclass(frozen=True)
class Group:
    """The workers of a trial, as one of them sees it.

    Attributes:
        rank: this worker's number, from 0. The first worker reads and writes checkpoints.
        size: number of workers.

    Raises:
        Disconnected: from every method, if another worker cannot be reached.
    """

    rank: int = 0
    size: int = 1

    def share(self, order: Int[ndarray, " pairs"]) -> Int[ndarray, " share"]:
        """Return this worker's share of some pairs, which are dealt like cards.

        Pairs sorted by length are shared evenly. Shares differ by at most one pair, and the first
        worker's is the largest.
        """
        return order[self.rank :: self.size]

    def largest_share(self, pairs: int) -> int:
        """Return the number of pairs in the first worker's share."""
        return -(-pairs // self.size)

    def any(self, here: bool) -> bool:
        """Return whether the condition `here` is true in any worker."""
        return here if self.size == 1 else self.highest(float(here)) > 0

    def highest(self, value: float) -> float:
        """Return the highest of the workers' values."""
        if self.size == 1:
            return value
        values = torch.tensor(value, dtype=torch.float64)
        with _talking():
            distributed.all_reduce(values, distributed.ReduceOp.MAX)
        return values.item()

    def sum(self, tensor: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """Add up the workers' tensors, in place and bit-equal in all of them."""
        if self.size > 1:
            with _talking():
                distributed.all_reduce(tensor)
        return tensor

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Make every gradient the sum of the workers' own, bit-equal in all of them.

        A gradient that a worker lacks, since it has no pair, counts as zero there. One that all
        workers lack stays absent: AdamW leaves such a parameter alone, while a gradient of zero
        would make it decay.
        """
        if self.size == 1:
            return
        present = torch.tensor([parameter.grad is not None for parameter in parameters])
        present = self.sum(present.to(torch.int32))
        gradients = []
        for parameter, workers in zip(parameters, present.tolist(), strict=True):
            if workers:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        for bucket in _buckets(gradients):
            if len(bucket) == 1:
                self.sum(bucket[0])
                continue
            summed = self.sum(torch.cat([gradient.flatten() for gradient in bucket]))
            sizes = [gradient.numel() for gradient in bucket]
            for gradient, part in zip(bucket, torch.split(summed, sizes), strict=True):
                gradient.copy_(part.view_as(gradient))

    def broadcast_text(self, text: str) -> str:
        """Return the first worker's text."""
        if self.size == 1:
            return text
        content = torch.frombuffer(bytearray(text, "utf-8"), dtype=torch.uint8)
        length = self.broadcast(torch.tensor(len(content)))
        if self.rank > 0:
            content = torch.empty(int(length), dtype=torch.uint8)
        return bytes(self.broadcast(content).tolist()).decode()

    def broadcast(self, tensor: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """Overwrite a tensor, in place, with the first worker's."""
        if self.size > 1:
            with _talking():
                distributed.broadcast(tensor.detach(), src=0)
        return tensor


ALONE = Group()
"""The group of a trial with one worker."""


def meeting_place(address: str) -> TCPStore:
    """Open the store where workers find each other, on a free port of this address.

    The first worker opens it on its node. It stays open as long as the object exists.
    """
    listener = socket.create_server((address, 0))
    port = listener.getsockname()[1]
    return TCPStore(
        address, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()
    )


def join(rank: int, size: int, address: str, port: int, device: torch.device) -> Group:
    """Make this process one of a group of workers; return when all have joined.

    NCCL exchanges tensors on a GPU, and gloo those on the CPU, so agreements between workers never
    wait for a GPU.

    Args:
        rank: this worker's number.
        size: number of workers.
        address: address of the meeting place.
        port: port of the meeting place.
        device: the device of this worker; if it is a GPU, the process sees no other.
    """
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        rank=rank,
        world_size=size,
        store=TCPStore(address, port),
        timeout=LONGEST_WAIT,
    )
    return Group(rank, size)


def _buckets(
    gradients: Sequence[Float[Tensor, "*shape"]],
) -> Iterator[list[Float[Tensor, "*shape"]]]:
    """Group gradients, in order, into lists of at most `BUCKET` elements; a larger one is alone."""
    bucket: list[Tensor] = []
    held = 0
    for gradient in gradients:
        if bucket and held + gradient.numel() > BUCKET:
            yield bucket
            bucket, held = [], 0
        bucket.append(gradient)
        held += gradient.numel()
    if bucket:
        yield bucket


@contextmanager
def _talking() -> Iterator[None]:
    """Turn the plain RuntimeError of torch's backends for a lost worker into `Disconnected`."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise Disconnected(str(error).strip().splitlines()[0]) from error
