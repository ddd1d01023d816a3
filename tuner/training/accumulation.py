"""The exact gradient of one effective batch, a micro-batch at a time.

The loss of a step is the mean over its B pairs. Each micro-batch of each worker adds the sum over
its own pairs divided by B, so the gradient is that of one batch of B, even if the sizes do not
divide each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tuner.data.tokens import Pairs
from tuner.model.classifier import derive_seed
from tuner.training.forward import Forward
from tuner.training.group import ALONE, Group
from tuner.training.losses import Loss, cross_entropy
from tuner.training.partition import held, passes


class OutOfMemory(RuntimeError):
    """The device's memory does not hold the minimum that a trial needs."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return (
            f"the device's memory is too small for {self.what}; use a smaller encoder or a shorter "
            "encoder.max_length, or give the trial a GPU of its own"
        )


@contextmanager
def reporting_out_of_memory(what: str) -> Iterator[None]:
    """Turn torch's out-of-memory error in the block into `OutOfMemory`: no smaller size is tried.

    Args:
        what: names what does not fit, for the error message.

    Raises:
        OutOfMemory: memory ran out in the block.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(what) from error


class MicroBatches:
    """Splits effective batches into micro-batches that fit in memory.

    Attributes:
        seed: the trial's seed.
        max_length: most tokens of a pair.
        size: pairs of `max_length` tokens that a forward pass holds, in every worker; it holds
            correspondingly more shorter pairs. On out-of-memory it is halved for good, and the same
            step is run again.
        plan: (first step, size) for every size so far. With the seed and number of workers it
            determines dropout, so a rerun that follows the plan repeats the trial.
        ahead: (first step, size) of smaller sizes to use from later steps on, as in a plan; a size
            that is not below the current one by then is skipped.
        loss: computes the sum of the losses of some pairs.
    """

    def __init__(
        self,
        seed: int,
        plan: list[tuple[int, int]],
        max_length: int,
        ahead: Sequence[tuple[int, int]] = (),
        loss: Loss = cross_entropy,
    ) -> None:
        assert plan
        self.seed = seed
        self.plan = plan
        self.max_length = max_length
        self._ahead = list(ahead)
        self._loss = loss
        self._rows = RowGradients()

    @property
    def size(self) -> int:
        return self.plan[-1][1]

    @property
    def tokens(self) -> int:
        """The most tokens of a forward pass, padding included."""
        return self.size * self.max_length

    def gradient(
        self, forward: Forward, pairs: Pairs, step: int, group: Group = ALONE
    ) -> Float[Tensor, ""]:
        """Set the gradient of the mean loss over `pairs` in every parameter; return that loss.

        This seeds torch's generators from seed, step and worker. So dropout is a function of these
        and of the micro-batch size, a step can be run again, and resuming needs no generator state.

        Args:
            forward: the model, without earlier gradients.
            pairs: the effective batch, the same in every worker.
            step: the number of this optimizer step.
            group: the workers that share the step; gradient and loss are equal in all of them.

        Raises:
            OutOfMemory: not even one pair fits in some worker's memory.
        """
        while self._ahead and self._ahead[0][0] <= step:
            planned = self._ahead.pop(0)
            if planned[1] < self.size:
                self.plan.append(planned)
        worker = () if group.rank == 0 else (group.rank,)
        lengths = pairs.attention_mask.sum(axis=1)
        while True:
            torch.manual_seed(derive_seed(self.seed, "dropout", step, *worker))
            chosen = passes(lengths, self.tokens, forward.block_cost, group.size)
            try:
                shares = [[group.share(block) for block in blocks] for blocks in chosen]
                loss = self._accumulate(forward, pairs, shares)
            except torch.OutOfMemoryError:
                loss = None  # outside the handler, which holds on to the tensors of the failed pass
            if not group.any(loss is None):
                assert loss is not None
                group.sum_gradients(list(forward.model.parameters()))
                return group.sum(loss)
            largest = max(held(blocks, lengths, group.size) for blocks in chosen)
            size = min(self.size, math.ceil(largest / self.max_length))
            if size == 1:
                raise OutOfMemory("a training step of one pair")
            forward.model.zero_grad(set_to_none=True)
            if forward.device.type == "cuda":
                torch.cuda.empty_cache()
            self.plan.append((step, size // 2))

    def _accumulate(
        self, forward: Forward, pairs: Pairs, shares: Iterable[list[Int[np.ndarray, " _"]]]
    ) -> Float[Tensor, ""]:
        """Add up this worker's part of the gradient; return its part of the loss."""
        total = torch.zeros_like(forward.model.head.bias[0])
        # One autocast context around all passes casts the weights only once.
        with forward.autocast(), self._rows.of(forward.model.encoder.get_input_embeddings()):
            for blocks in shares:
                parts = [pairs.chosen(share) for share in blocks if len(share) > 0]
                if not parts:  # other workers have the last pairs
                    continue
                loss = self._loss(forward, parts) / len(pairs.labels)
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        return total


class RowGradients:
    """Sparse gradients of an embedding, added up over passes and made dense once per step.

    A pass reads some hundreds of a matrix's rows, of which there may be a hundred thousand. The
    memory of the dense gradient is kept from step to step, since allocating it takes longer than
    filling it. This applies only on a CPU: a GPU fills a matrix in no time, and would have to wait
    for the number of rows. An embedding that is not torch's own (I-BERT's) has dense gradients.
    """

    def __init__(self) -> None:
        self._whole: Tensor | None = None

    @contextmanager
    def of(self, embedding: nn.Module) -> Iterator[None]:
        """Collect sparse gradients of an embedding while passes run in the context.

        The embedding has no gradient before, and a dense one after.
        """
        weight = embedding.weight
        assert isinstance(weight, Tensor)
        assert weight.grad is None
        if weight.device.type != "cpu" or not isinstance(embedding, nn.Embedding):
            yield
            return
        embedding.sparse = True
        try:
            yield
        finally:
            embedding.sparse = False
        if weight.grad is not None:
            rows = weight.grad.coalesce()
            if self._whole is None:
                self._whole = torch.zeros_like(weight)
            else:
                self._whole.zero_()
            weight.grad = self._whole.index_copy_(0, rows.indices()[0], rows.values())
