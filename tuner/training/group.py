"""The workers of one trial, seen from one of them: how a step is shared, what they agree on.

A data-parallel trial is the same program in every worker (SPMD): each draws the same effective
batch, takes its share of it, and the gradients are summed before the optimizer, which is the same
everywhere, takes its step. Everything that workers say to each other goes through a `Group`; of one
worker, it says nothing and costs nothing.
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
"""Elements of gradients that are summed in one go: many small messages cost more than one."""
LONGEST_WAIT = timedelta(hours=2)
"""For another worker: one that is lost shows at once, one that saves may take its time."""


class Disconnected(RuntimeError):
    """Another worker of the trial cannot be reached: it has gone, or the network has."""


@dataclass(frozen=True)
class Group:
    """The workers of a trial, as one of them sees it.

    Attributes:
        rank: which one this is, from 0. The first reads and writes checkpoints.
        size: how many there are.

    Raises:
        Disconnected: from every method, where another worker cannot be reached.
    """

    rank: int = 0
    size: int = 1

    def share(self, order: Int[ndarray, " pairs"]) -> Int[ndarray, " share"]:
        """This worker's of some pairs, dealt like cards: of pairs by length, shares are even.

        Shares differ by one pair at most, the first worker's being the largest.
        """
        return order[self.rank :: self.size]

    def largest_share(self, pairs: int) -> int:
        """Pairs of the first worker's share."""
        return -(-pairs // self.size)

    def any(self, here: bool) -> bool:
        """Whether something is so in any worker."""
        return here if self.size == 1 else self.highest(float(here)) > 0

    def highest(self, value: float) -> float:
        """The highest of the workers' values."""
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

        One that some worker lacks, having no pair, is zero there. One that all lack stays absent:
        AdamW leaves such a parameter alone, while by a gradient of zero it would decay.
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

    def of_first(self, text: str) -> str:
        """The first worker's text."""
        if self.size == 1:
            return text
        content = torch.frombuffer(bytearray(text, "utf-8"), dtype=torch.uint8)
        length = self.copy_of_first(torch.tensor(len(content)))
        if self.rank > 0:
            content = torch.empty(int(length), dtype=torch.uint8)
        return bytes(self.copy_of_first(content).tolist()).decode()

    def copy_of_first(self, tensor: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """Make a tensor the first worker's, in place."""
        if self.size > 1:
            with _talking():
                distributed.broadcast(tensor.detach(), src=0)
        return tensor


ALONE = Group()
"""The group of a trial with one worker."""


def meeting_place(address: str) -> TCPStore:
    """Where workers find each other: kept by the first, on a free port of this address of its node.

    It is there as long as the object is.
    """
    listener = socket.create_server((address, 0))
    port = listener.getsockname()[1]
    return TCPStore(
        address, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()
    )


def join(rank: int, size: int, address: str, port: int, device: torch.device) -> Group:
    """Make this process one of a group of workers; returns when all are there.

    Tensors on a GPU are exchanged by NCCL, on the CPU by gloo: what workers agree on never waits
    for a GPU.

    Args:
        rank: which one it is.
        size: how many there are.
        address: of the meeting place.
        port: likewise.
        device: where this one trains; if that is a GPU, the process sees no other.
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
    """All of them, in order, in lists of at most `BUCKET` elements; a larger one is alone."""
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
    """Torch's backends say by a plain RuntimeError that another worker has gone."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise Disconnected(str(error).strip().splitlines()[0]) from error
