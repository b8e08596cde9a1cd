"""A real OpenID provider (npm's certified ``oidc-provider``) in a process of its own, and a browser for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "var" / "oidc-provider"
VERSION = "9.13.3"
SECRET = "a-secret-of-a-test-0123456789abcdef"
INSTALL_S, START_S = 400, 60


def install() -> Path:
    """The folder that the provider runs in, installed once; skips where there is no Node, except in CI."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        if os.environ.get("CI"):
            raise RuntimeError("Node is not installed: the OpenID tests need it")
        pytest.skip("Node and npm are not installed")
    installed = FOLDER / "node_modules" / "oidc-provider" / "package.json"
    if not installed.is_file() or f'"version": "{VERSION}"' not in installed.read_text(encoding="utf-8"):
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "package.json").write_text('{"private": true}', encoding="utf-8")
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"oidc-provider@{VERSION}"]
        subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=INSTALL_S)
    shutil.copy(Path(__file__).with_name("oidc_provider.mjs"), FOLDER / "provider.mjs")
    return FOLDER


@contextmanager
def running_provider(redirect: str, after_sign_out: str) -> Iterator[str]:
    """The issuer of a started provider."""
    folder = install()
    process = subprocess.Popen(
        ["node", "provider.mjs", redirect, after_sign_out, SECRET],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("port "), line
        yield f"http://127.0.0.1:{int(line.split()[1])}"
    finally:
        process.kill()
        process.wait(START_S)


def sign_in_there(url: str, name: str, back_to: str) -> str:
    """What a person does with a browser at the provider; the address that it sends the browser back to."""
    with httpx.Client(timeout=120, trust_env=False) as browser:
        answer = browser.get(url)
        for _ in range(12):
            if answer.is_redirect:
                url = urljoin(str(answer.url), answer.headers["location"])
                if url.startswith(back_to):
                    return url
                answer = browser.get(url)
                continue
            form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
            assert form, answer.text[:500]
            prompt = re.search(r'name="prompt" value="([^"]+)"', answer.text)
            fields = {"prompt": prompt[1] if prompt else "", "login": name, "password": "x"}
            answer = browser.post(urljoin(str(answer.url), form[1]), data=fields)
    raise AssertionError("the provider did not send the browser back")
