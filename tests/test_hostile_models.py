"""Models and domains from somebody else: refused in one line, or used; never the end of the run."""

import json
import random
from hashlib import sha256

import numpy as np
import pytest
import synthetic
from synthetic import MODALITIES, O_K

from corefuse.config import Train
from corefuse.core.errors import LONGEST, InputError
from corefuse.learn.domain import fit_domain, load_domains, save_domain
from corefuse.learn.models import load_model, save_model
from corefuse.learn.train import train_target
from corefuse.read.infer import Library

DATA = synthetic.build(parents=6, structures=2, views=2)
SETTINGS = Train(outer_folds=2, inner_folds=2, trials=1, max_trees=10, bootstrap=100)


@pytest.fixture(scope="module")
def trained():
    models = train_target(DATA, "x_li", {O_K: [O_K]}, SETTINGS).models
    return models[O_K], fit_domain(DATA, O_K, [O_K], 0), fit_domain(DATA, "all", MODALITIES, 0)


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model, domain, _ = trained
    save_model(tmp_path, model)
    save_domain(tmp_path / "domain", domain)
    return tmp_path


def refused(call, *args):
    with pytest.raises(InputError) as caught:
        call(*args)
    assert len(str(caught.value)) <= LONGEST
    return caught.value


CARDS = {
    "no residuals": {"residuals": {}},
    "an empty group": {"residuals": {"a": []}},
    "a negative residual": {"residuals": {"a": [-1.0]}},
    "an endless residual": {"residuals": {"a": [1e308]}},
    "no scores": {"scores": {}},
    "a score of nothing": {
        "scores": {"rmse": dict.fromkeys(("value", "ci_low", "ci_high", "baseline")) | {"note": ""}}
    },
    "no baseline": {
        "scores": {
            "rmse": {"value": 1, "ci_low": 1, "ci_high": 1, "note": "", "baseline": None},
        }
    },
    "a billion points": {"grids": {O_K: {"start_ev": 0, "stop_ev": 1e6, "step_ev": 1e-3}}},
    "energies beyond the atom": {"grids": {O_K: {"start_ev": 0, "stop_ev": 1e300, "step_ev": 1}}},
    "another target": {"target": "x_ni"},
    "another kind": {"kind": "class"},
    "another subset": {"subset": "all"},
    "confidence": {"confidence": 2.0},
    "text as a number": {"n_samples": "12"},
    "a negative number": {"n_features": -1},
    "weights": {"linear": {"intercept": 0.0, "weights": [1.0], "centre": [0.0]}},
    "an endless intercept": {"linear": {"intercept": 1e308, "weights": [], "centre": []}},
    "an unknown recipe": {"recipe": {"name": "secret"}},
    "a recipe's scale": {
        "recipe": {"name": "components", "mean": [0.0], "scale": [0.0], "components": [[1.0]]}
    },
}


@pytest.mark.parametrize("change", CARDS.values(), ids=CARDS)
def test_a_card_that_does_not_fit_is_refused(folder, change):
    card = folder / "x_li" / f"{O_K}.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    refused(load_model, card.with_suffix(".ubj"))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, "\ud800"])
def test_a_card_that_is_none_is_refused(folder, text):
    card = folder / "x_li" / f"{O_K}.json"
    card.write_bytes(text.encode(errors="surrogatepass"))
    refused(load_model, card.with_suffix(".ubj"))


DOMAINS = {
    "mean": {"mean": [0.0]},
    "scale": {"scale": [1.0]},
    "components": {"components": [[1.0]]},
    "variances": {"variances": []},
    "a negative variance": {"variances": [-1.0]},
    "a scale of zero": {"scale": [0.0]},
    "threshold": {"threshold": 1e308},
    "typical": {"typical_distance": 0.0},
    "accepted": {"accepted": 1.5},
    "another subset": {"subset": "all"},
    "no grids": {"grids": {}},
}


@pytest.mark.parametrize("change", DOMAINS.values(), ids=DOMAINS)
def test_a_domain_that_does_not_fit_is_refused(folder, change):
    file = folder / "domain" / f"{O_K}.json"
    known = json.loads(file.read_text())
    if change == {"variances": [-1.0]}:
        change = {"variances": [-1.0] * len(known["components"])}
    if change == {"scale": [0.0]}:
        change = {"scale": [0.0] * len(known["mean"])}
    file.write_text(json.dumps(known | change))
    refused(load_domains, [file])


def test_models_and_domains_of_two_trainings_are_refused(folder, trained):
    other = trained[2]
    save_domain(folder / "domain", other.model_copy(update={"subset": O_K}))
    said = refused(
        Library.load, [folder / "x_li" / f"{O_K}.ubj"], [folder / "domain" / f"{O_K}.json"]
    )
    assert "its energies are not those of its domain" in said.problem


def corrupted(content: bytes, rng: random.Random) -> bytes:
    """One of the ways in which a file is spoilt, or made to harm."""
    out = bytearray(content)
    kind = rng.choice(["flip", "flip", "cut", "numbers", "insert"])
    if kind == "flip":
        for _ in range(rng.randint(1, 8)):
            out[rng.randrange(len(out))] = rng.randrange(256)
    elif kind == "cut":
        del out[rng.randrange(len(out)) :]
    elif kind == "numbers":  # node numbers and lengths that are far too large
        at = rng.randrange(len(out) - 8)
        out[at : at + 8] = rng.choice([b"\x7f\xff\xff\xff" * 2, b"\xff" * 8, b"\0" * 8])
    else:
        at = rng.randrange(len(out))
        out[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 64)))
    return bytes(out)


@pytest.mark.parametrize("seed", range(8))
def test_a_malformed_booster_does_not_end_the_process(folder, seed):
    """With the card's hash brought up to date, as a sender would."""
    file = folder / "x_li" / f"{O_K}.ubj"
    content = corrupted(file.read_bytes(), random.Random(seed))
    file.write_bytes(content)
    card = file.with_suffix(".json")
    known = json.loads(card.read_text()) | {"booster_sha256": sha256(content).hexdigest()}
    card.write_text(json.dumps(known))
    try:
        model = load_model(file)
    except InputError as fault:
        assert len(str(fault)) <= LONGEST
    else:
        assert np.isfinite(model.predict(synthetic.sample_of(DATA, 0, [O_K])))


def test_what_was_made_here_is_not_checked_again(folder, monkeypatch):
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("checked again"))
    load_model(folder / "x_li" / f"{O_K}.ubj")
