"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTDATA = Path(__file__).resolve().parents[1].parent / "shared" / "testdata"


@pytest.fixture(scope="session")
def testdata() -> Path:
    """Real people, exact alphas and small real networks, beside the checkout where they are to be had."""
    if not TESTDATA.is_dir():
        pytest.skip("shared/testdata is not beside the checkout: real clips, photos and networks are not tested")
    return TESTDATA
