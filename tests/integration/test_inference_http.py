"""The inference endpoint: its contract, what it stores, its limits, and what happens when clients leave."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from service_process import ServerProcess
from starlette.testclient import TestClient
from waiting import WAIT_S, wait_until

from tamsoat.datasets.categories import AI_CATEGORIES
from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.audit import repository as audit_repository
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening import repository
from tamsoat.inference_service.settings import Settings

URL = "/api/v1/inference"


def post(client: TestClient, image: bytes, name: str = "field.jpg", **form: str) -> httpx.Response:
    return client.post(URL, files={"image": (name, image)}, data=form)  # type: ignore[return-value]


def counts(client: TestClient) -> tuple[int, int]:
    """Analyses stored, and audit entries about analyses."""
    runtime: Runtime = client.app.state.runtime  # type: ignore[attr-defined]
    with runtime.database.read() as session:
        entries = [row for row in audit_repository.stream(session) if row.action == "analysis:create"]
        return repository.count(session), len(entries)


def test_answer_is_the_contract(client: TestClient, field_jpeg: bytes) -> None:
    response = post(client, field_jpeg, objective="40")
    assert response.status_code == 200, response.text
    body = response.json()
    assert set(body) == {
        "image", "width_px", "height_px", "mpp", "model", "quality", "field", "cells", "seconds", "analysis_id",
    }  # fmt: skip
    assert (body["width_px"], body["height_px"], body["mpp"]) == (320, 256, 0.25)
    assert set(body["model"]) == {"name", "version", "digest"}
    assert set(body["quality"]) == {"usable", "reasons"}
    assert set(body["field"]) == {"category", "abnormal_probability", "triage"}
    assert body["cells"], "the random network finds something"
    for cell in body["cells"]:
        assert set(cell) == {"x_px", "y_px", "category", "score", "probabilities"}
        assert list(cell["probabilities"]) == [category.value for category in AI_CATEGORIES]
        assert sum(cell["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert 0 <= cell["x_px"] <= 320
        assert 0 <= cell["y_px"] <= 256


def test_mpp_and_objective_mean_the_same(client: TestClient, field_jpeg: bytes) -> None:
    by_objective = post(client, field_jpeg, objective="40").json()
    by_mpp = post(client, field_jpeg, mpp="0.25").json()
    assert by_objective["cells"] == by_mpp["cells"]
    assert by_objective["analysis_id"] != by_mpp["analysis_id"]


def test_analysis_is_stored_as_answered(client: TestClient, field_jpeg: bytes) -> None:
    answered = post(client, field_jpeg, objective="40").json()
    stored = client.get(f"/api/v1/analyses/{answered['analysis_id']}")
    assert stored.status_code == 200
    assert stored.json() == answered | {"state": "completed"}
    again = client.get(stored.request.url.path, headers={"If-None-Match": stored.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_audit_entry_vouches_for_image_model_and_result(client: TestClient, field_jpeg: bytes) -> None:
    answered = post(client, field_jpeg, objective="40").json()
    runtime: Runtime = client.app.state.runtime  # type: ignore[attr-defined]
    with runtime.database.read() as session:
        (entry,) = audit_repository.find_by_subject(session, f"analysis:{answered['analysis_id']}")
        assert audit.verify(session).whole
    digests = json.loads(entry.digests)
    assert entry.action == "analysis:create"
    assert digests["image"] == hashlib.sha256(field_jpeg).hexdigest()
    assert answered["image"] == f"sha256:{digests['image']}"
    assert digests["model"] == runtime.bundle.digest == answered["model"]["digest"]
    canonical = json.dumps(answered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert digests["result"] == hashlib.sha256(canonical.encode()).hexdigest()


def test_list_is_newest_first_and_paged(client: TestClient, field_jpeg: bytes) -> None:
    made = [post(client, field_jpeg, objective="40").json()["analysis_id"] for _ in range(5)]
    seen: list[str] = []
    before = None
    for _ in range(3):
        page = client.get("/api/v1/analyses", params={"limit": 2} | ({"before": before} if before else {})).json()
        seen += [item["analysis_id"] for item in page["items"]]
        before = page["next_before"]
    assert before is None
    assert seen == made[::-1]


@pytest.mark.parametrize("path", ["/api/v1/analyses/unknown", "/api/v1/analyses?before=unknown", "/nowhere"])
def test_unknown_is_a_404_problem(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["x-request-id"]


def test_request_id_is_kept_when_harmless(client: TestClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "his-12345678"}).headers["x-request-id"] == "his-12345678"
    assert client.get("/healthz", headers={"X-Request-ID": "a b\tc" * 9}).headers["x-request-id"] != "a b\tc" * 9


def test_fault_of_the_program_is_answered_without_a_traceback(
    client: TestClient, field_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret inner detail")

    monkeypatch.setattr("tamsoat.inference_service.screening.service.screen_image", fail)
    response = post(client, field_jpeg, objective="40")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert counts(client) == (0, 0)


def test_content_length_over_the_limit_is_refused_unread(client: TestClient) -> None:
    response = post(client, b"x" * (5 * 2**20), objective="40")
    assert response.status_code == 413
    assert response.json()["type"] == "urn:tamsoat:problem:upload-too-large"
    assert counts(client) == (0, 0)


def test_stream_without_length_is_cut_at_the_limit(tiny_bundle: Path, tmp_path: Path) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
        for _ in range(400):
            sent += 2**18
            yield b"x" * 2**18

    with ServerProcess(tiny_bundle, tmp_path / "s.db", max_upload_mib=2) as server:
        response = httpx.post(
            server.url + "api/v1/inference",
            content=endless(),
            headers={"content-type": "multipart/form-data; boundary=b"},
            timeout=WAIT_S,
        )
        assert response.status_code == 413, response.text
        assert sent < 40 * 2**20, "the server stopped reading"


def test_slow_upload_is_given_up(tiny_bundle: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(tiny_bundle, tmp_path / "s.db", upload_timeout_s=0.5) as server,
        _connection(server) as connection,
    ):
        connection.sendall(_head(1000) + b"--b\r\n")
        assert b" 408 " in connection.recv(4096)


def test_full_queue_answers_503_with_retry_after(tiny_bundle: Path, tmp_path: Path, field_jpeg: bytes) -> None:
    with ServerProcess(
        tiny_bundle, tmp_path / "s.db", concurrent_requests=1, queued_requests=1, retry_after_s=7
    ) as server:
        held = [_connection(server), _connection(server)]
        for connection in held:
            connection.sendall(_head(1000))
        wait_until(lambda: "tamsoat_requests_admitted 2.0" in httpx.get(server.url + "metrics").text)
        refused = _post_to(server, field_jpeg)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "7"
        assert refused.json()["type"] == "urn:tamsoat:problem:busy"
        assert httpx.get(server.url + "healthz").status_code == 200
        for connection in held:
            connection.close()
        wait_until(lambda: "tamsoat_requests_admitted 0.0" in httpx.get(server.url + "metrics").text)
        assert _post_to(server, field_jpeg).status_code == 200


def test_clients_that_leave_store_nothing_by_halves(tiny_bundle: Path, tmp_path: Path, field_jpeg: bytes) -> None:
    with ServerProcess(tiny_bundle, tmp_path / "s.db") as server:
        for cut in (10, 200, len(field_jpeg) // 2):
            with _connection(server) as connection:
                connection.sendall((_head(len(field_jpeg) + 500) + field_jpeg)[:cut])
        for _ in range(5):
            with _connection(server) as connection:
                request = httpx.Request(
                    "POST", server.url, files={"image": ("a.jpg", field_jpeg)}, data={"objective": "40"}
                )
                body = request.read()
                kind = request.headers["content-type"].encode()
                connection.sendall(_head(len(body), kind) + body)
        answer = _post_to(server, field_jpeg)
        assert answer.status_code == 200
        items = httpx.get(server.url + "api/v1/analyses").json()["items"]
        for item in items:
            whole = httpx.get(server.url + f"api/v1/analyses/{item['analysis_id']}").json()
            assert len(whole["cells"]) == item["cells"]


def test_sixteen_at_once_are_all_stored_once(client: TestClient, field_jpeg: bytes) -> None:
    answers: list[str] = []

    def work() -> None:
        answers.append(post(client, field_jpeg, objective="40").json()["analysis_id"])

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 16
    assert counts(client) == (16, 16)


def test_other_hosts_and_sites_are_refused(client: TestClient, field_jpeg: bytes) -> None:
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 421
    foreign = {"Origin": "https://evil.example"}
    response = client.post(URL, files={"image": field_jpeg}, data={"objective": "40"}, headers=foreign)
    assert response.status_code == 403
    assert client.post(URL, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert counts(client) == (0, 0)


def test_no_file_name_is_logged_or_stored(tiny_bundle: Path, tmp_path: Path, field_jpeg: bytes) -> None:
    marker = "NguyenThiMarker"
    with ServerProcess(tiny_bundle, tmp_path / "s.db", log_level="debug") as server:
        for image in (field_jpeg, b"", field_jpeg[:500], b"not an image"):
            response = httpx.post(
                server.url + "api/v1/inference",
                files={"image": (f"{marker}.jpg", image)},
                data={"objective": "40"},
                timeout=WAIT_S,
            )
            assert marker not in response.text
        server.stop()
        assert marker not in server.output
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or marker.encode() not in path.read_bytes()


def test_page_and_its_files_come_with_a_strict_policy(client: TestClient) -> None:
    for path in ("/field", "/static/app.js", "/static/app.css", "/static/messages.js", "/static/result.js"):
        response = client.get(path)
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    page = client.get("/field").text
    assert 'lang="vi"' in page
    assert "<style" not in page
    assert "onclick" not in page


def test_health_readiness_and_metrics(client: TestClient, field_jpeg: bytes) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert ready["provider"] == "CPUExecutionProvider"
    post(client, field_jpeg, objective="40")
    post(client, b"", objective="40")
    text = client.get("/metrics").text
    assert 'tamsoat_http_requests_total{method="POST",route="/api/v1/inference",status="200"} 1.0' in text
    assert "tamsoat_inference_seconds_count 1.0" in text
    assert 'provider="CPUExecutionProvider"' in text
    assert 'tamsoat_problems_total{type="urn:tamsoat:problem:image-empty"} 1.0' in text


def test_readiness_fails_when_the_engine_is_closed(service_settings: Settings) -> None:
    with TestClient(create_app(service_settings), base_url="http://127.0.0.1") as client:
        client.app.state.runtime.engine.close()  # type: ignore[attr-defined]
        response = client.get("/readyz")
        assert response.status_code == 503
        assert "retry-after" in response.headers


def _connection(server: ServerProcess) -> socket.socket:
    url = httpx.URL(server.url)
    return socket.create_connection((url.host, url.port or 80), timeout=WAIT_S)


def _head(length: int, kind: bytes = b"multipart/form-data; boundary=b") -> bytes:
    return (
        b"POST /api/v1/inference HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: " + kind
        + b"\r\nContent-Length: " + str(length).encode() + b"\r\n\r\n"
    )  # fmt: skip


def _post_to(server: ServerProcess, image: bytes) -> httpx.Response:
    return httpx.post(
        server.url + "api/v1/inference", files={"image": ("a.jpg", image)}, data={"objective": "40"}, timeout=WAIT_S
    )
