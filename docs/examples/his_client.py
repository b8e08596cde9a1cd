"""A hospital system (HIS): place an order, send its image over a bad line, trust the webhook, read the result."""

import base64
import hashlib
import time
import uuid
from pathlib import Path

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from standardwebhooks import Webhook

CHUNK_BYTES = 256 * 1024
TUS = {"Tus-Resumable": "1.0.0"}


class His:
    def __init__(self, url: str, client_id: str, private_key: ECKey) -> None:
        self.http, self.client_id, self.key = httpx.Client(base_url=url, timeout=60), client_id, private_key
        self.renew_at_s = 0.0

    def sign_in(self) -> None:
        url, now_s = self.http.get("/.well-known/smart-configuration").json()["token_endpoint"], int(time.time())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": url, "exp": now_s + 240, "jti": uuid.uuid4().hex}
        form = {
            "grant_type": "client_credentials",
            "scope": "system/ServiceRequest.cr system/Media.c system/Observation.rs",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode({"alg": "ES384", "kid": self.key.kid}, claims, self.key, ["ES384"]),
        }
        token = self.http.post(url, data=form).raise_for_status().json()
        self.renew_at_s = time.time() + token["expires_in"] - 30
        self.http.headers["Authorization"] = f"Bearer {token['access_token']}"

    def call(self, method: str, path: str, **options) -> httpx.Response:
        while True:  # safe to repeat: an Idempotency-Key or an Upload-Offset says what is meant
            try:
                if time.time() > self.renew_at_s:
                    self.sign_in()
                return self.http.request(method, path, **options)
            except httpx.TransportError:
                time.sleep(0.5)

    def place_order(self, order: dict) -> dict:
        key = {"Idempotency-Key": str(uuid.uuid4())}  # keep it with the order until an answer has come
        return self.call("POST", "/api/v1/orders", json=order, headers=key).raise_for_status().json()

    def send_image(self, image: Path, order_id: str) -> str:
        data = image.read_bytes()
        about = {"objective": "40", "order_id": order_id, "sha256": hashlib.sha256(data).hexdigest()}
        metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in about.items())
        begin = {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}
        place = self.call("POST", "/api/v1/uploads", headers=begin).raise_for_status().headers["Location"]
        while "Tamsoat-Analysis" not in (state := self.call("HEAD", place, headers=TUS).raise_for_status()).headers:
            offset = int(state.headers["Upload-Offset"])
            part = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            self.call("PATCH", place, content=data[offset : offset + CHUNK_BYTES], headers=part)
        return state.headers["Tamsoat-Analysis"]

    def read_result(self, analysis_id: str) -> dict:
        return self.call("GET", f"/api/v1/analyses/{analysis_id}").raise_for_status().json()


def verified(body: bytes, headers: dict[str, str], secret: str) -> dict:
    """The event of a webhook; raises where the signature is wrong. Remember `webhook-id`: a message may come twice."""
    return Webhook(secret).verify(body, headers)
