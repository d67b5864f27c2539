from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_if_there() -> Path | None:
    """Reference data and measured spectra beside the checkout; not part of the project."""
    folder = ROOT.parent / "shared"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared(shared_if_there: Path | None) -> Path:
    """The same, for tests that can't do without."""
    if shared_if_there is None:
        pytest.skip(f"no {ROOT.parent / 'shared'}: reference data live outside the project")
    return shared_if_there


@pytest.fixture(scope="session")
def ni_k_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models folder of a small Ni K run."""
    from ni_k_models import build

    return build(ROOT, tmp_path_factory.mktemp("ni_k") / "models")
