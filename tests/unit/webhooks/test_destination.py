"""Where messages may go: addresses, names, and what hides an address in another."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import anyio
import pytest

from tamsoat.inference_service.webhooks.destination import (
    NameNotResolvedError,
    WebhookAddressError,
    check_url,
    is_allowed,
    resolve,
)

LAN = (ip_network("10.20.0.0/16"), ip_network("fd00:20::/32"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_private_addresses_are_refused(address: str) -> None:
    assert not is_allowed(ip_address(address), ())


@pytest.mark.parametrize("address", ["1.1.1.1", "203.162.0.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(ip_address(address), ())


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.20.3.4", True),
        ("10.21.0.1", False),
        ("::ffff:10.20.3.4", True),
        ("fd00:20::5", True),
        ("fd00:21::5", False),
    ],
)
def test_a_network_of_the_settings_opens_itself_only(address: str, allowed: bool) -> None:
    assert is_allowed(ip_address(address), LAN) is allowed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "his",
        "ftp://his.example/",
        "http://his.example/",
        "https://user:password@his.example/",
        "https://his.example/#part",
        "https:///path",
        "https://10.0.0.1/",
        "https://[::1]/",
        "http://127.0.0.1/",
        "https://his.example:0/",
        "https://his.example:99999/",
        "https://his.example/\n",
        "https://his.example/a b",
        "https://bệnh-viện.example/",
        "https://his.example/" + "a" * 2000,
    ],
)
def test_unsafe_urls_are_refused(url: str) -> None:
    with pytest.raises(WebhookAddressError):
        check_url(url, LAN)


@pytest.mark.parametrize(
    "url", ["https://his.example/hook?facility=1", "https://10.20.0.9:8443/x", "https://[fd00:20::1]/"]
)
def test_safe_urls_are_taken(url: str) -> None:
    assert str(check_url(url, LAN)) == url


def test_plain_http_is_for_this_machine_only() -> None:
    assert check_url("http://127.0.0.1:9000/", (ip_network("127.0.0.0/8"),)).port == 9000
    with pytest.raises(WebhookAddressError):
        check_url("http://10.20.0.9/", LAN)


def test_names_are_judged_by_their_addresses() -> None:
    with pytest.raises(WebhookAddressError, match="TAMSOAT_WEBHOOK_NETWORKS"):
        anyio.run(resolve, "localhost", 443, ())
    assert anyio.run(resolve, "127.1", 443, (ip_network("127.0.0.0/8"),)).is_loopback
    with pytest.raises(WebhookAddressError):
        anyio.run(resolve, "0x7f000001", 443, ())
    with pytest.raises(NameNotResolvedError):
        anyio.run(resolve, "no-such-host.invalid", 443, ())
