"""One whole search, as one would run it with one tool: the same space, trials, budget and model.

- `tuner`: ours.
- `trainer`: Trainer.hyperparameter_search, with Ray as its backend and MLflow as it reports there.
- `ray-tune`: Ray Tune, a function with a loop by hand, and its MLflowLoggerCallback.
- `optuna`: Optuna, its own pruner, two threads, the same function, and its MLflowCallback.

Each trains nano's encoder and evaluates it on all languages' dev split at two rungs, on two cores.
Others write down when a trial began its first step and when it ended; ours keeps a journal.

    python benchmarks/searches.py SIDE WORK-FOLDER
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sides import Examples, padded
from torch.utils.data import DataLoader
from transformers import BertForSequenceClassification
from workload import load

from tuner.study.trial import TrialConfig

TRIALS, WORKERS = 16, 2
RUNGS = (1600, 4800)
"""Pairs; the last is a trial's budget."""
REDUCTION = 3
LOWEST_LR, HIGHEST_LR = 1e-4, 1e-3
SIZES = (16, 32, 64)
SOURCES = ("en", "de", "fr")
EVALUATION_SIZE = 64
EXPERIMENT = "search"


class Work:
    """What the others train, and where they write, in one folder."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.store = f"sqlite:///{self.folder}/mlflow.db"
        self.encoder = str(self.folder / "encoder")

    def examples(self, size: int) -> Examples:
        """The pairs that a trial trains on."""
        config = TrialConfig.from_flat({"batch.effective_size": size, "mix.cross_lingual": 0.5})
        return Examples(load(self.folder / "tokens.npz"), config, RUNGS[-1], SOURCES)

    def dev(self) -> list[dict[str, Any]]:
        """All languages' pairs, each within its language."""
        corpus = load(self.folder / "tokens.npz")
        found = []
        for language in range(len(corpus.languages)):
            rows = np.flatnonzero(corpus.splits["dev"].clean[language])
            languages = np.full(len(rows), language)
            made = corpus.assemble("dev", rows, languages, languages)
            assert made.token_type_ids is not None
            for row, length in enumerate(made.attention_mask.sum(axis=1)):
                ids, types = made.input_ids[row, :length], made.token_type_ids[row, :length]
                found.append({"input_ids": ids, "types": types, "label": made.labels[row]})
        return found

    def note(self, trial: str, what: str, at: float | None = None) -> None:
        """That a trial began, was evaluated or ended: now, or at a Unix time."""
        line = json.dumps({"trial": trial, "what": what, "time": at or time.time()})
        with (self.folder / "times.jsonl").open("a") as file:
            file.write(f"{line}\n")


def by_hand(work: Work, trial: str, lr: float, size: int, report: Callable[[float], None]) -> None:
    """Train and evaluate as one writes it; `report` may raise to stop it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    examples, dev = work.examples(size), work.dev()
    model = BertForSequenceClassification.from_pretrained(work.encoder, num_labels=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    steps = RUNGS[-1] // size
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    work.note(trial, "begun")
    try:
        model.train()
        for step, batch in enumerate(DataLoader(examples, size, collate_fn=padded), 1):
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
            if step * size in RUNGS:
                model.train(False)
                right = 0
                with torch.inference_mode():
                    for batch in DataLoader(dev, EVALUATION_SIZE, collate_fn=padded):  # type: ignore[arg-type]
                        right += int((model(**batch).logits.argmax(-1) == batch["labels"]).sum())
                model.train()
                work.note(trial, "evaluated")
                report(right / len(dev))
    finally:
        work.note(trial, "ended")


def tuner(work: Work) -> None:
    """Ours, from its YAML."""
    from rich.console import Console

    from tuner.run.study import begin
    from tuner.study.file import load_study

    space = {"optim.lr": {"type": "float", "low": LOWEST_LR, "high": HIGHEST_LR, "log": True},
             "batch.effective_size": list(SIZES)}  # fmt: skip
    settings = {
        "name": EXPERIMENT, "storage": work.folder, "tracking.uri": work.store,
        "tracking.experiment": EXPERIMENT, "budget.trials": TRIALS,
        "budget.pairs_per_trial": RUNGS[-1], "scheduler.min_pairs": RUNGS[0],
        "scheduler.reduction_factor": REDUCTION, "space": json.dumps(space),
        "baseline": json.dumps({"batch.effective_size": 32, "optim.lr": 5e-4}),
    }  # fmt: skip
    nano = Path(__file__).parent.parent / "search_spaces" / "nano.yaml"
    study = load_study(nano, [f"{name}={value}" for name, value in settings.items()])
    record = begin(study, Console(quiet=True))
    for trial in record.trials:
        work.note(str(trial.number), "begun", trial.placed[0].placed)
        for evaluation in trial.evaluations:
            work.note(str(trial.number), "evaluated", evaluation.time)
        work.note(str(trial.number), "ended", trial.ended)


def trainer(work: Work) -> None:
    """Trainer.hyperparameter_search with Ray."""
    import ray
    from ray import tune
    from transformers import Trainer, TrainerCallback, TrainingArguments

    os.environ |= {"MLFLOW_TRACKING_URI": work.store, "MLFLOW_EXPERIMENT_NAME": EXPERIMENT}
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)

    class Rungs(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            work.note(tune.get_context().get_trial_id(), "begun")

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if state.global_step * args.train_batch_size in RUNGS:
                control.should_evaluate = True

        def on_evaluate(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            work.note(tune.get_context().get_trial_id(), "evaluated")

        def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            work.note(tune.get_context().get_trial_id(), "ended")

    def accuracy(found: Any) -> dict[str, float]:
        return {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}

    search = Trainer(
        model_init=lambda: BertForSequenceClassification.from_pretrained(
            work.encoder, num_labels=2
        ),
        args=TrainingArguments(
            output_dir=str(work.folder / "trainer"), num_train_epochs=1, use_cpu=True,
            eval_strategy="steps", eval_steps=10**6, save_strategy="no", logging_strategy="no",
            per_device_eval_batch_size=EVALUATION_SIZE, optim="adamw_torch_fused",
            remove_unused_columns=False, report_to=["mlflow"], disable_tqdm=True,
            skip_memory_metrics=True, dataloader_pin_memory=False,
        ),
        data_collator=padded, train_dataset=work.examples(32), eval_dataset=work.dev(),
        compute_metrics=accuracy, callbacks=[Rungs()],
    )  # fmt: skip
    search.hyperparameter_search(
        hp_space=lambda _: {
            "learning_rate": tune.loguniform(LOWEST_LR, HIGHEST_LR),
            "per_device_train_batch_size": tune.choice(SIZES),
        },
        compute_objective=lambda metrics: metrics["eval_accuracy"],
        n_trials=TRIALS,
        direction="maximize",
        backend="ray",
        scheduler=asha("objective"),
        resources_per_trial={"cpu": 1},
        storage_path=str(work.folder / "ray"),
        verbose=0,
    )


def asha(metric: str) -> Any:
    """Ray's, with the same rungs, counted in reports.

    `max_t` is one report more than there are: at it, Ray kills also those that are just done.
    """
    from ray.tune.schedulers import ASHAScheduler

    most = len(RUNGS) + 1
    return ASHAScheduler(
        metric=metric, mode="max", max_t=most, grace_period=1, reduction_factor=REDUCTION
    )


def ray_tune(work: Work) -> None:
    """Ray Tune with a function."""
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    def objective(config: dict[str, Any]) -> None:
        by_hand(
            work, tune.get_context().get_trial_id(), config["lr"], config["size"],
            lambda score: tune.report({"score": score}),
        )  # fmt: skip

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    logger = MLflowLoggerCallback(tracking_uri=work.store, experiment_name=EXPERIMENT)
    tune.Tuner(
        tune.with_resources(objective, {"cpu": 1}),
        param_space={"lr": tune.loguniform(LOWEST_LR, HIGHEST_LR), "size": tune.choice(SIZES)},
        tune_config=tune.TuneConfig(num_samples=TRIALS, scheduler=asha("score")),
        run_config=tune.RunConfig(
            storage_path=str(work.folder / "ray"), callbacks=[logger], verbose=0
        ),
    ).fit()


def optuna(work: Work) -> None:
    """Optuna alone, its trials on threads."""
    import optuna as library
    from optuna_integration.mlflow import MLflowCallback  # type: ignore[import-untyped]

    def objective(trial: Any) -> float:
        scores: list[float] = []

        def report(score: float) -> None:
            scores.append(score)
            trial.report(score, len(scores))
            if trial.should_prune():
                raise library.TrialPruned

        lr = trial.suggest_float("lr", LOWEST_LR, HIGHEST_LR, log=True)
        size = trial.suggest_categorical("size", SIZES)
        by_hand(work, str(trial.number), lr, size, report)
        return scores[-1]

    pruner = library.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
    logger = MLflowCallback(work.store, "score", create_experiment=True)
    library.create_study(study_name=EXPERIMENT, direction="maximize", pruner=pruner).optimize(
        objective, n_trials=TRIALS, n_jobs=WORKERS, callbacks=[logger]
    )


SIDES = {"tuner": tuner, "trainer": trainer, "ray-tune": ray_tune, "optuna": optuna}

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    SIDES[sys.argv[1]](Work(sys.argv[2]))
