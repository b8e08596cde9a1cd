"""A slide screened as a whole by tamsoat, by TIAToolbox 2.1.3 and by WSInfer 0.6.1, on the same tiles.

    python benchmarks/slide_peers.py --peers-python PEERS/bin/python --side-px 9000 --fields DATASET

Targets, by tiles a second: 5 x either peer in the precision that ships, 2.2 x in fp32. Prints a Markdown table with the
most memory of each process and its children (Pss), then the ratios to the fastest way of running each peer, as it comes
and tuned.

All get the same tiles: the bundle's size and overlap over the whole slide (its side is rounded down so that the grid is
regular), empty glass too, nobody looks for tissue. All use the same cores and as many threads of the network; the
peers are tried without and with that many reading processes. The slide is in the file cache. Timed is from the first
tile to the whole answer; programs are imported before, and networks loaded but for WSInfer, which loads its own. Our
look for glass is not timed, as their look for tissue is left out. Rounds take turns; medians.

The network is the same, with random weights for the peers (the time does not depend on them), as TorchScript, so
PyTorch has to be installed here. ``tuned`` is what their users can do for speed: WSInfer's ``--speedup``, and for
TIAToolbox, which has no such option on a CPU, batch normalisation folded into the network. They only average its grid
per tile and store six numbers; tamsoat also takes the peaks, judges each tile and merges the nuclei of the slide.

PEERS is an environment of its own. TIAToolbox needs zarr 3 and WSInfer zarr 2, which it finds in a folder beside:

    python -m venv PEERS
    PEERS/bin/pip install --no-deps tiatoolbox==2.1.3 wsinfer==0.6.1
    PEERS/bin/pip install -r benchmarks/peers.txt
    PEERS/bin/pip install --no-deps --target PEERS/zarr2 zarr==2.18.7 asciitree fasteners

With a PyTorch without CUDA, torchvision 0.28 from PyPI fits: what it misses is declared before it is imported.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from slide_material import engine_of, parser, slide_of, source_of
from slide_memory import watch_mib

from tamsoat.inference_service.engine.session import available_cores
from tamsoat.inference_service.screening import parts, slide_work
from tamsoat.inference_service.screening.slide_result import compose
from tamsoat.inference_service.screening.slide_run import screen_tiles
from tamsoat.models.bundle import Bundle, default_bundle, read_bundle

PROGRAM = Path(__file__).with_name("peer_program.py")
NEEDED = {"TIAToolbox": ("tiatoolbox", "2.1.3"), "WSInfer": ("wsinfer", "0.6.1")}
TARGETS = {"fp32": 2.2, "shipped": 5.0}
OURS = "tamsoat"


class Contender(NamedTuple):
    """``name`` as in :data:`NEEDED`, or :data:`OURS`; ``workers``: processes that read tiles."""

    name: str
    workers: int = 0
    tuned: bool = False

    def __str__(self) -> str:
        if self.name == OURS:
            return OURS
        return f"{self.name}, {self.workers} workers" + (", tuned" if self.tuned else "")


class Measured(NamedTuple):
    tiles: int
    seconds_s: float
    most_mib: float

    @property
    def tiles_per_s(self) -> float:
        return self.tiles / self.seconds_s


def main() -> None:
    options = _options()
    if options.one is not None:
        options.one.write_text(json.dumps(_screen(options)))
        return
    _check(options.peers_python)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    bundle = read_bundle(options.model if options.model is not None else default_bundle())
    step_px = bundle.tile_size_px - bundle.tile_overlap_px
    steps = max(1, (options.side_px - bundle.tile_size_px) // step_px)
    slide = slide_of(options, bundle.tile_size_px + steps * step_px).resolve()
    slide.read_bytes()  # into the file cache
    ways = ((0, False), (options.threads, False), (options.threads, True))
    contenders = [Contender(OURS), *(Contender(name, *way) for name in NEEDED for way in ways)]
    with tempfile.TemporaryDirectory() as folder:
        origins = Path(folder) / "origins.npy"
        job = {"slide": slide, "origins": origins, "batch": options.batch, "mpp": bundle.mpp}
        job |= export_network(options.network, bundle, Path(folder))
        job |= {"tile_px": bundle.tile_size_px, "overlap_px": bundle.tile_overlap_px, "threads": options.threads}
        save_origins(options, slide, bundle, origins)
        rounds = [{each: _measure(each, options, job) for each in contenders} for _ in range(options.rounds)]
    _report(rounds, bundle, slide, options.threads)


def _options() -> argparse.Namespace:
    options = parser(__doc__, 9000)
    options.set_defaults(threads=available_cores())
    options.add_argument("--peers-python", type=Path, help="python of the environment with TIAToolbox and WSInfer")
    options.add_argument("--network", default="small", help="architecture of the bundle (%(default)s)")
    options.add_argument("--batch", type=int, default=32, help="tiles that the peers run at once (%(default)s)")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--one", type=Path, help="screen --slide, write the figures there (used by itself)")
    return options.parse_args()


def _check(python: Path | None) -> None:
    if python is None or not python.is_file():
        raise SystemExit(
            f"no environment with the peers: --peers-python {python or ''} is no file; see --help for how to make it"
        )
    for name, (package, version) in NEEDED.items():
        asked = f"from importlib.metadata import version; print(version({package!r}))"
        answer = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False).stdout.strip()
        if answer != version:
            raise SystemExit(f"{python} has {name} {answer or 'not at all'}; {version} is needed (see --help)")


def export_network(name: str, bundle: Bundle, folder: Path) -> dict[str, Path]:
    """Write the architecture as TorchScript: float ``[n, 3, side, side]`` in 0-1 to six numbers per tile; as it is
    and with batch normalisation folded in."""
    try:
        import torch
    except ModuleNotFoundError:
        raise SystemExit("PyTorch is needed here to export the network for the peers") from None
    from tamsoat.models.detector import build_detector

    class PerTile(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.detector = build_detector(name)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.detector(images)[:, 3:].mean((2, 3))  # type: ignore[no-any-return]

    side_px = bundle.tile_size_px
    paths = {"folded": folder / "folded.pt", "plain": folder / "plain.pt"}
    torch.manual_seed(0)
    with torch.no_grad():
        traced = torch.jit.trace(PerTile().eval(), torch.rand(2, 3, side_px, side_px))
        torch.jit.save(traced, str(paths["plain"]))
        torch.jit.save(torch.jit.freeze(traced), str(paths["folded"]))
    return paths


def save_origins(options: argparse.Namespace, slide: Path, bundle: Bundle, path: Path) -> None:
    """Write the corners of our tiles, int64 ``[n, 2]`` level-0 pixels, and make sure that they are a regular grid."""
    with engine_of(options) as engine:
        plan = slide_work.begin(engine, source_of(slide), whole=True).plan
    step_px = bundle.tile_size_px - bundle.tile_overlap_px
    origins = plan.tiles.origins_px()
    regular = plan.tiles.tile_width_px == plan.tiles.tile_height_px == bundle.tile_size_px
    if not regular or (origins % step_px).any() or plan.scaling.slide_width_px != plan.scaling.width_px:
        raise SystemExit(f"{slide}: its scale or its sides do not give a regular grid; leave out --slide")
    np.save(path, origins)


def _measure(contender: Contender, options: argparse.Namespace, job: dict[str, object]) -> Measured:
    """One run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log.txt"
        if contender.name == OURS:
            command = [sys.executable, __file__, "--one", str(answer), "--slide", str(job["slide"])]
            command += ["--threads", str(options.threads)]
            command += [] if options.model is None else ["--model", str(options.model)]
        else:
            task = Path(folder) / "task.json"
            asked = job | contender._asdict() | {"folder": folder, "answer": answer}
            task.write_text(json.dumps(asked, default=str))
            command = [str(options.peers_python.absolute()), str(PROGRAM), str(task)]
        with log.open("wb") as written:
            child = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, cwd=folder)
            most_mib = watch_mib(child)
        if child.wait() != 0:
            raise SystemExit(f"{contender} failed:\n{log.read_text(errors='replace')[-3000:]}")
        figures = json.loads(answer.read_text())
    measured = Measured(figures["tiles"], figures["seconds_s"], most_mib)
    print(f"{contender}: {measured.tiles} tiles in {measured.seconds_s:.1f} s", file=sys.stderr, flush=True)
    return measured


def _screen(options: argparse.Namespace) -> dict[str, float]:
    """Our side: every tile, to the composed result."""
    with engine_of(options) as engine:
        source = source_of(options.slide)
        work = slide_work.begin(engine, source, whole=True)
        began_s = time.perf_counter()
        packed = [parts.pack(item) for item in screen_tiles(engine, source, work.plan, work.glass)]
        found = parts.join([parts.unpack(b"", b""), *(parts.unpack(*item) for item in packed)])
        compose(engine, work, found, "a", 1.0)
        return {"tiles": len(work.plan.order), "seconds_s": time.perf_counter() - began_s}


def _report(rounds: list[dict[Contender, Measured]], bundle: Bundle, slide: Path, threads: int) -> None:
    rates = {each: statistics.median(one[each].tiles_per_s for one in rounds) for each in rounds[0]}
    counts = {measured.tiles for one in rounds for measured in one.values()}
    if len(counts) != 1:
        raise SystemExit(f"not the same number of tiles: {sorted(counts)}")
    print(f"{slide.name}: {counts.pop()} tiles of {bundle.tile_size_px} px, {threads} threads, "
          f"medians of {len(rounds)} rounds, tamsoat in {bundle.precision}\n")  # fmt: skip
    print("| | tiles/s | most MiB |\n|---|---|---|")
    for each, rate in rates.items():
        print(f"| {each} | {rate:.2f} | {max(one[each].most_mib for one in rounds):.0f} |")
    print()
    for name, tuned in itertools.product(NEEDED, (False, True)):
        fastest = max((each for each in rates if each[::2] == (name, tuned)), key=rates.__getitem__)
        ratio = rates[Contender(OURS)] / rates[fastest]
        for what, target in TARGETS.items():
            if what in ("shipped", bundle.precision):
                met = "met" if ratio >= target else "MISSED"
                print(f"tamsoat over {fastest}: {ratio:.2f} x ({what}: target {target} x, {met})")


if __name__ == "__main__":
    main()
