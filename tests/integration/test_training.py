"""A run on generated fields: killed and resumed, it ends with the same weights; leaks and mix-ups stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from waiting import wait_until

from tamsoat.datasets.errors import DatasetError, SplitLeakError
from tamsoat.datasets.manifest import load_dataset, write_manifest
from tamsoat.evaluation.predictions import PredictionSet
from tamsoat.training.checkpoint import CheckpointError, load_weights
from tamsoat.training.config import ConfigError
from tamsoat.training.runs import run_folds, run_one, split

SETTINGS = ["steps=8", "crop_px=64", "batch_crops=2", "checkpoint_every_steps=3", "log_every_steps=4"]


def test_stopped_and_resumed_equals_undisturbed(synthetic_dataset: Path, tmp_path: Path) -> None:
    whole = run_one("smoke", synthetic_dataset, tmp_path / "whole", fold=0, settings=SETTINGS, tracking_uri="none")
    cut = tmp_path / "cut"
    stopped = run_one(
        "smoke", synthetic_dataset, cut, fold=0, settings=SETTINGS, tracking_uri="none", stop_after_step=5
    )
    assert stopped is None
    resumed = run_one("smoke", synthetic_dataset, cut, fold=0, settings=SETTINGS, tracking_uri="none")
    assert whole is not None
    assert resumed is not None
    assert all(torch.equal(whole.state[name], resumed.state[name]) for name in whole.state)
    first = PredictionSet.load(tmp_path / "whole" / "predictions.npz")
    second = PredictionSet.load(cut / "predictions.npz")
    assert (first.cells.logits == second.cells.logits).all()
    assert (tmp_path / "whole" / "summary.json").read_text() == (cut / "summary.json").read_text()


@pytest.mark.slow
def test_killed_process_resumes(synthetic_dataset: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tamsoat.inference_service", "train", "run", "--config", "smoke"]
    command += ["--data", str(synthetic_dataset), "--fold", "0", "--tracking-uri", "none"]
    for setting in ["steps=120", "crop_px=64", "batch_crops=2", "checkpoint_every_steps=5", "log_every_steps=10"]:
        command += ["--set", setting]
    killed = tmp_path / "killed"
    process = subprocess.Popen([*command, "--out", str(killed)], stderr=subprocess.DEVNULL)
    wait_until((killed / "checkpoint.pt").is_file, 300)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "weights.pt").exists()
    subprocess.run([*command, "--out", str(killed)], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, stderr=subprocess.DEVNULL)
    assert (killed / "summary.json").read_text() == (tmp_path / "whole" / "summary.json").read_text()
    ours, theirs = load_weights(killed).state, load_weights(tmp_path / "whole").state
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_folds_are_joined_and_finished_ones_kept(
    synthetic_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joined = run_folds("smoke", synthetic_dataset, tmp_path, settings=SETTINGS, tracking_uri="none")
    data = load_dataset(synthetic_dataset)
    predictions = PredictionSet.load(joined)
    assert sorted(predictions.images.name) == sorted(image.name for image in data.images)
    assert len(predictions.cells) == sum(len(nuclei.ids) for nuclei in data.nuclei.values())
    run_folds("smoke", synthetic_dataset, tmp_path, settings=SETTINGS, tracking_uri="none")
    assert capsys.readouterr().err.count("already finished") == len(data.folds())


def test_other_settings_do_not_silently_continue_a_run(synthetic_dataset: Path, tmp_path: Path) -> None:
    run_one("smoke", synthetic_dataset, tmp_path, settings=SETTINGS, tracking_uri="none", stop_after_step=3)
    with pytest.raises(CheckpointError, match="learning_rate"):
        run_one("smoke", synthetic_dataset, tmp_path, settings=[*SETTINGS, "learning_rate=0.1"], tracking_uri="none")


def test_a_group_on_both_sides_stops_training(synthetic_dataset: Path, tmp_path: Path) -> None:
    data = load_dataset(synthetic_dataset)
    one_of_each = {image.fold: image.name for image in data.images}.values()
    images = tuple(replace(image, group="same") if image.name in one_of_each else image for image in data.images)
    leaky = replace(data, images=images)
    with pytest.raises(SplitLeakError, match="group same"):
        split(leaky, 0)
    write_manifest(leaky, tmp_path / "leaky")
    with pytest.raises(DatasetError, match="group 'same' is cut by the split"):
        run_one("smoke", tmp_path / "leaky", tmp_path / "run", fold=0, settings=SETTINGS, tracking_uri="none")
    assert not (tmp_path / "run").exists()


def test_missing_data_and_missing_fold_are_named(synthetic_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data"):
        run_one("default", None, tmp_path / "run", tracking_uri="none")
    with pytest.raises(ConfigError, match="no fold 9"):
        run_one("smoke", synthetic_dataset, tmp_path / "run", fold=9, settings=SETTINGS, tracking_uri="none")


def test_mlflow_records_settings_digest_and_metrics(synthetic_dataset: Path, tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run_one("smoke", synthetic_dataset, tmp_path / "run", fold=0, settings=SETTINGS, tracking_uri=uri)
    mlflow.set_tracking_uri(uri)
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status == "FINISHED"
    assert run.data.params["steps"] == "8"
    assert len(run.data.tags["data_digest"]) == 64
    assert run.data.tags["synthetic"] == "True"
    assert "loss_category" in run.data.metrics
    assert any(name.startswith("held_out_") for name in run.data.metrics)
    names = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert {"weights.pt", "summary.json", "resolved_config.json"} <= names
