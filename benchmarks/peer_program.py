"""Runs TIAToolbox or WSInfer over given tiles of a slide, in the peers' own environment (benchmarks/slide_peers.py).

    PEERS/bin/python peer_program.py TASK.json

Writes ``{"tiles": n, "seconds_s": s}``. Imports nothing of this project.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["WSINFER_FORCE_CPU"] = "1"

import numpy as np
import torch

N_OUTPUTS = 6


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(task["threads"])
    origins = np.load(task["origins"])
    run = {"TIAToolbox": run_tiatoolbox, "WSInfer": run_wsinfer}[task["name"]]
    tiles, seconds_s = run(task, origins)
    Path(task["answer"]).write_text(json.dumps({"tiles": tiles, "seconds_s": seconds_s}))


def declare_torchvision_operators() -> Any:
    """Let torchvision from PyPI (linked to CUDA) be imported next to a PyTorch without CUDA; keep what is returned."""
    if torch.version.cuda is not None:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def run_wsinfer(task: dict[str, Any], origins: np.ndarray) -> tuple[int, float]:
    """The patches are handed over as its first step would have written them (that step drops tiles without tissue)."""
    sys.path.insert(0, str(Path(sys.prefix) / "zarr2"))
    import h5py
    import pandas
    from wsinfer.modellib.models import LocalModelTorchScript
    from wsinfer.modellib.run_inference import run_inference
    from wsinfer_zoo.client import ModelConfiguration

    slide, side_px = Path(task["slide"]), task["tile_px"]
    slides, results = Path(task["folder"]) / "slides", Path(task["folder"]) / "results"
    slides.mkdir()
    (results / "patches").mkdir(parents=True)
    (slides / slide.name).symlink_to(slide)
    with h5py.File(results / "patches" / slide.with_suffix(".h5").name, "w") as file:
        coords = file.create_dataset("coords", data=origins)
        coords.attrs.update(patch_size=side_px, patch_level=0, patch_spacing_um_px=task["mpp"])
    described = {
        "spec_version": "1.0",
        "architecture": "nucleus-detector",
        "num_classes": N_OUTPUTS,
        "class_names": [f"category_{number}" for number in range(N_OUTPUTS)],
        "name": "nucleus-detector",
        "patch_size_pixels": side_px,
        "spacing_um_px": task["mpp"],
        "transform": [{"name": "ToTensor"}],
    }
    model = LocalModelTorchScript(config=ModelConfiguration.from_dict(described), model_path=task["plain"])
    began_s = time.perf_counter()
    run_inference(slides, results, model, task["batch"], task["workers"], speedup=task["tuned"])
    seconds_s = time.perf_counter() - began_s
    (written,) = (results / "model-outputs-csv").glob("*.csv")
    return len(pandas.read_csv(written)), seconds_s


def run_tiatoolbox(task: dict[str, Any], origins: np.ndarray) -> tuple[int, float]:
    """Its grid also has tiles that reach beyond the slide; only those of ``origins`` are kept."""
    from tiatoolbox.models.engine.io_config import IOPatchPredictorConfig
    from tiatoolbox.models.engine.patch_predictor import PatchPredictor
    from tiatoolbox.models.models_abc import ModelABC

    done = 0

    class Network(ModelABC):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.jit.load(task["folded" if task["tuned"] else "plain"]).eval()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.inner(images)

        @staticmethod
        def infer_batch(model: torch.nn.Module, batch_data: torch.Tensor, *, device: str) -> np.ndarray:
            nonlocal done
            done += len(batch_data)
            with torch.inference_mode():
                images = batch_data.to(device).permute(0, 3, 1, 2).contiguous().float() / 255.0
                return torch.softmax(model(images), 1).cpu().numpy()

    class SameTiles(PatchPredictor):
        def get_dataloader(self, *arguments: Any, **named: Any) -> torch.utils.data.DataLoader:
            loader = super().get_dataloader(*arguments, **named)
            wanted = {tuple(corner) for corner in origins.tolist()}
            keep = [tuple(box[:2]) in wanted for box in np.asarray(loader.dataset.inputs).tolist()]
            loader.dataset.inputs = loader.dataset.inputs[np.asarray(keep)]
            return loader

    side_px, step_px = task["tile_px"], task["tile_px"] - task["overlap_px"]
    config = IOPatchPredictorConfig(
        input_resolutions=[{"units": "mpp", "resolution": task["mpp"]}],
        patch_input_shape=[side_px, side_px],
        stride_shape=[step_px, step_px],
    )
    predictor = SameTiles(model=Network(), batch_size=task["batch"], num_workers=task["workers"])
    began_s = time.perf_counter()
    predictor.run(
        [Path(task["slide"])],
        patch_mode=False,
        ioconfig=config,
        auto_get_mask=False,
        save_dir=Path(task["folder"]) / "predictions",
        output_type="zarr",
        device="cpu",
    )
    return done, time.perf_counter() - began_s


if __name__ == "__main__":
    declared = declare_torchvision_operators()
    main()
