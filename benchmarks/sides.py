"""One training run of one side, in a process of its own: prints pairs a second, and memory.

All sides train the same model on the same batches in the same order, in bfloat16 autocast:

- `ours`: `tuner.training.loop.train`.
- `trainer`: Hugging Face's Trainer at its best ordinary settings: bf16, dynamic padding, fused
  AdamW, no evaluation, nothing saved. `trainer-grouped`: with its batches of like length, which are
  others.
- `plain`: the loop that one writes by hand, with the same settings.

    python benchmarks/sides.py SIDE TOKENS SHAPE B PAIRS THREADS
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import BertForSequenceClassification
from workload import SOURCES, encoder_config, load, random_encoder

from tuner.data.batches import HybridBatches
from tuner.data.tokens import TokenisedCorpus
from tuner.model.vocabulary import cut
from tuner.study.protocol import EvaluationProtocol
from tuner.study.roles import LanguagesConfig, ProtocolConfig
from tuner.study.trial import TrialConfig
from tuner.training.inputs import TrialInputs
from tuner.training.loop import Step, train

WARM_UP = 0.25
"""Share of the pairs that is not timed."""
MICRO_SIZE = 32
"""Pairs of a forward pass: on a GPU all sides are given as many as B, to 128."""


def ours(
    corpus: TokenisedCorpus, shape: str, config: TrialConfig, pairs: int, device: torch.device
) -> Iterator[None]:
    """Stops after each step."""
    encoder, corpus = cut(random_encoder(shape), corpus)
    languages = LanguagesConfig(source=SOURCES, target=())
    protocol = EvaluationProtocol.of(languages, ProtocolConfig(), True)
    inputs = TrialInputs(protocol, corpus, encoder)
    for event in train(config, (pairs,), inputs, device):
        if isinstance(event, Step):
            yield
            if event.pairs_seen >= pairs:
                return  # before the evaluation


def plain(
    corpus: TokenisedCorpus, shape: str, config: TrialConfig, pairs: int, device: torch.device
) -> Iterator[None]:
    """The same, by hand."""
    torch.manual_seed(0)
    model = BertForSequenceClassification(encoder_config(shape)).train()
    nn.Module.to(model, device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.optim.lr, fused=True)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, pairs)
    size, micro = config.batch.effective_size, config.batch.micro_size
    examples = Examples(corpus, config, pairs)
    seen = 0
    for batch in DataLoader(examples, batch_size=min(size, micro), collate_fn=padded):
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        with torch.autocast(device.type, torch.bfloat16):
            loss = model(**batch).loss
        (loss * len(batch["labels"]) / size).backward()
        seen += len(batch["labels"])
        if seen % size == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
            yield


def trainer(
    corpus: TokenisedCorpus,
    shape: str,
    config: TrialConfig,
    pairs: int,
    device: torch.device,
    clock: Clock,
    grouped: bool = False,
) -> None:
    """Hugging Face's Trainer."""
    from torch.utils.data import SequentialSampler
    from transformers import Trainer, TrainerCallback, TrainingArguments

    size = config.batch.effective_size
    micro = min(size, config.batch.micro_size)

    class Ticking(TrainerCallback):
        def on_step_end(self, *arguments: Any, **options: Any) -> None:
            clock.tick()

    class InOrder(Trainer):
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return super()._get_train_sampler(dataset) if grouped else SequentialSampler(examples)

    torch.manual_seed(0)
    examples = Examples(corpus, config, pairs)
    with tempfile.TemporaryDirectory() as folder:
        InOrder(
            model=BertForSequenceClassification(encoder_config(shape)),
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=micro,
                gradient_accumulation_steps=size // micro,
                num_train_epochs=1,
                learning_rate=config.optim.lr,
                max_grad_norm=config.optim.max_grad_norm,
                lr_scheduler_type="linear",
                optim="adamw_torch_fused",
                bf16=True,
                use_cpu=device.type == "cpu",
                train_sampling_strategy="group_by_length" if grouped else "random",
                logging_strategy="no",
                save_strategy="no",
                remove_unused_columns=False,
                report_to=[],
                disable_tqdm=True,
                dataloader_pin_memory=device.type == "cuda",
            ),
            train_dataset=examples,
            data_collator=padded,
            callbacks=[Ticking()],
        ).train()


class Clock:
    """When steps ended, and the memory of all but the first, in which everything is made."""

    def __init__(self, device: torch.device) -> None:
        self.times: list[float] = []
        self._device = device

    def tick(self) -> None:
        """A step has ended."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())
        if len(self.times) == 1:
            if self._device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            else:
                Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew

    def peak_memory_mb(self) -> float:
        """On a GPU what torch has allocated; else the process's."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def flops_a_pair(shape: str, examples: Examples) -> float:
    """Arithmetic of forward and backward, of tokens alone: padding is no work.

    Three times the forward pass's, of 2 FLOP a weight and token in linear layers, and in attention
    4 a channel and pair of tokens.
    """
    config = encoder_config(shape)
    hidden, layers = config.hidden_size, config.num_hidden_layers
    weights = layers * (4 * hidden**2 + 2 * hidden * config.intermediate_size)
    lengths = np.array([len(examples[index]["input_ids"]) for index in range(len(examples))])
    return float(3 * (2 * weights * lengths + 4 * layers * hidden * lengths**2).mean())


def flops_of_a_product(device: torch.device) -> float:
    """A second, of a large bfloat16 matrix product: what there is to be had."""
    size, times = (8192, 20) if device.type == "cuda" else (1024, 8)
    matrix = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    clock = Clock(device)
    for _ in range(times + 1):
        matrix @ matrix
        clock.tick()
    return times * 2 * size**3 / (clock.times[-1] - clock.times[0])


class Examples(torch.utils.data.Dataset[dict[str, Any]]):
    """The pairs of our batches, in their order, unpadded, in memory."""

    def __init__(
        self,
        corpus: TokenisedCorpus,
        config: TrialConfig,
        pairs: int,
        sources: tuple[str, ...] = SOURCES,
    ) -> None:
        size = config.batch.effective_size
        languages = [corpus.languages.index(language) for language in sources]
        batches = HybridBatches(
            config.mix, size, languages, corpus.rows("train", sources), config.seed
        )
        self._all: list[dict[str, Any]] = []
        for step in range(pairs // size):
            batch = batches[step]
            made = corpus.assemble("train", batch.rows, batch.language1, batch.language2)
            assert made.token_type_ids is not None  # mBERT and nano number the sentences
            for row, length in enumerate(made.attention_mask.sum(axis=1)):
                ids, types = made.input_ids[row, :length], made.token_type_ids[row, :length]
                self._all.append({"input_ids": ids, "types": types, "label": made.labels[row]})

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._all[index]


def padded(examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch as wide as its longest pair."""
    width = max(len(example["input_ids"]) for example in examples)
    ids = np.zeros((len(examples), width), dtype=np.int64)
    mask, types = np.zeros_like(ids), np.zeros_like(ids)
    for row, example in enumerate(examples):
        length = len(example["input_ids"])
        ids[row, :length], types[row, :length] = example["input_ids"], example["types"]
        mask[row, :length] = 1
    named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    named["labels"] = np.array([example["label"] for example in examples])
    return {name: torch.from_numpy(array) for name, array in named.items()}


def main(side: str, tokens: str, shape: str, size: str, pairs: str, threads: str) -> None:
    """Train, and print what it took."""
    torch.set_num_threads(int(threads))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    micro = MICRO_SIZE if device.type == "cpu" else min(int(size), 4 * MICRO_SIZE)
    config = TrialConfig.from_flat(
        {"batch.effective_size": int(size), "batch.micro_size": micro, "precision": "bf16"}
    )
    corpus = load(Path(tokens))
    arithmetic = flops_a_pair(shape, Examples(corpus, config, min(int(pairs), 4096)))
    clock = Clock(device)
    work = (corpus, shape, config, int(pairs), device)
    if side.startswith("trainer"):
        trainer(*work, clock, grouped=side == "trainer-grouped")
    else:
        for _ in {"ours": ours, "plain": plain}[side](*work):
            clock.tick()
    first = max(1, round(WARM_UP * len(clock.times)))
    seen = (len(clock.times) - first) * int(size)
    rate = seen / (clock.times[-1] - clock.times[first - 1])
    found = {
        "pairs_per_second": rate,
        "peak_memory_mb": clock.peak_memory_mb(),
        "tflops": rate * arithmetic / 1e12,
        "share_of_peak": rate * arithmetic / flops_of_a_product(device),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
