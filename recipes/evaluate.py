"""Evaluate a checkpoint on a grid of requests: python recipes/evaluate.py suite=quick corpus=runs/corpus.

Goes out: results.jsonl, report.json and report.html in the output folder. It runs what `emotts evaluate` runs.
"""

import argparse

from omegaconf import DictConfig

from emotts.cli.evaluate import evaluate


def main(config: DictConfig) -> None:
    evaluate(
        argparse.Namespace(
            suite=config.suite,
            checkpoint=config.checkpoint,
            out=config.output,
            corpus=config.corpus,
            recordings=config.recordings,
            backend=config.backend,
            seed=config.seed,
            device=config.device,
            json=False,
        )
    )


if __name__ == "__main__":
    from start import run

    run("evaluate")
