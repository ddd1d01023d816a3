"""The encoder's own pooler, in the forms that it has in different architectures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

from torch import nn
from transformers import PreTrainedModel


def without_pooler(model: PreTrainedModel) -> nn.Module | None:
    """Take a model's pooler out of it and return it; None if there was none.

    An identity takes its place, since some models call their pooler unasked.
    """
    pooler = dict(model.named_children()).get("pooler")
    if pooler is not None:
        model.register_module("pooler", nn.Identity())
    return pooler


def activation_of(encoder: PreTrainedModel) -> nn.Module:
    """Return the activation after a bare linear pooler, under ALBERT's or BigBird's name for it."""
    modules = dict(encoder.named_children())
    names = ("pooler_activation", "activation")
    return next((modules[name] for name in names if name in modules), nn.Identity())


def leaves_its_pooler(model: PreTrainedModel, unexpected: Iterable[str]) -> bool:
    """Return whether the checkpoint has a pooler that the model builds only on request.

    NomicBERT and GTE are examples.
    """
    asked = "add_pooling_layer" in inspect.signature(type(model)).parameters
    base = model.base_model_prefix
    own = re.compile(rf"(?:{re.escape(base)}\.)?pooler\.")
    return asked and any(map(own.match, unexpected))
