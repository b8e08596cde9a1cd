"""Nothing is lost and nothing is visible twice when processes die."""

from __future__ import annotations

from pathlib import Path

import pytest
from bad_inputs import good_jpeg
from job_kills import Campaign, run_campaign


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_kill_9_of_server_and_worker(tiny_bundle: Path, tmp_path: Path, database_url: str) -> None:
    campaign = run_campaign(tiny_bundle, tmp_path, database_url, [good_jpeg()], kills=3, seed=1)
    print(campaign.row())
    assert campaign.verdict.clean, campaign.verdict
    assert campaign.verdict.accepted > 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_kill_9_a_hundred_times(tiny_bundle: Path, tmp_path: Path, database_url: str) -> None:
    campaign = run_campaign(tiny_bundle, tmp_path, database_url, [good_jpeg()], kills=100, seed=2)
    print(f"\n{Campaign.HEADER}\n{campaign.row()}")
    assert campaign.verdict.clean, campaign.verdict
