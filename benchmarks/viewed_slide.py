"""A test slide in a running service, for the benchmarks of the viewer and its tiles."""

from __future__ import annotations

import argparse
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from people import make_account, open_database, sign_in
from service_process import ServerProcess

from tamsoat.datasets.synthetic.mosaic import make_slide
from tamsoat.inference_service.accounts.access import Role
from tamsoat.models.bundle import default_bundle


@dataclass(frozen=True)
class ViewedSlide:
    """``headers`` sign a reader in; ``view`` is what the service says of the slide."""

    server: ServerProcess
    headers: dict[str, str]
    view: dict[str, Any]

    @property
    def path(self) -> str:
        """Of its pictures."""
        return f"/api/v1/slides/{self.view['slide_id']}"

    def tiles(self, level: int) -> list[str]:
        """The paths of all tiles of a level, row by row."""
        shrunk = self.view["levels"] - level
        side_px = self.view["tile_px"] << shrunk
        columns, rows = (-(-self.view[side] // side_px) for side in ("width_px", "height_px"))
        return [f"{self.path}/tiles/{level}/{column}_{row}.jpg" for row in range(rows) for column in range(columns)]


def arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options that say which slide and model."""
    parser.add_argument("--model", type=Path, help="bundle folder (default: the one that ships)")
    parser.add_argument("--fields", type=Path, help="images of a dataset folder (default: synthetic fields)")
    parser.add_argument("--size", default="10000x9000", help="of the slide, pixels")
    return parser


@contextmanager
def viewed_slide(options: argparse.Namespace, *, accounts: bool) -> Iterator[ViewedSlide]:
    """The slide of ``options`` in a service of its own that screens nothing; ``accounts``: everyone signs in."""
    dataset = (
        options.fields.parent if options.fields is not None and options.fields.name == "fields" else options.fields
    )
    width_px, height_px = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = folder / "slide.tif"
        made = make_slide(image, width_px, height_px, 3, dataset, 20)
        unlimited = dict.fromkeys(("rate_limit_per_minute", "anonymous_rate_limit_per_minute"), 0)
        with ServerProcess(
            options.model or default_bundle(), folder / "a.db", data_dir=folder, run_worker="false", **unlimited
        ) as server:
            headers = _sign_in(server, folder) if accounts else {}
            with httpx.Client(base_url=server.url, headers=headers, timeout=300) as client:
                sent = client.post(
                    "/api/v1/slides",
                    files={"image": image.open("rb")},
                    data={"mpp": str(made.mpp)},
                    headers={"Idempotency-Key": str(uuid.uuid4())},
                )
                sent.raise_for_status()
                view = client.get(f"/api/v1/slides/{sent.json()['slide_id']}/view").raise_for_status().json()
            yield ViewedSlide(server, headers, view)


def _sign_in(server: ServerProcess, folder: Path) -> dict[str, str]:
    from tamsoat.inference_service.accounts.sessions import CSRF_HEADER

    url, keys = f"sqlite:///{folder}/a.db", folder / "keys.json"
    with open_database(url, keys) as database, httpx.Client(base_url=server.url) as client:
        account, password = make_account(database, "local", [Role.PATHOLOGIST])
        sign_in(client, database, account, password)
        cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
        return {"Cookie": cookie, CSRF_HEADER: client.headers[CSRF_HEADER]}
