"""Li content of measured NMC from Ni K alone, from the stored runs of config/ni_k.yaml.

All stages after the simulations run here.
"""

import pandas as pd
import pytest
import yaml

from corefuse import (
    calibration,
    config,
    dataset,
    domain,
    edge_table,
    files,
    infer,
    match,
    measured,
    samples,
    spectra,
    train,
)

TARGET = "x_li"


@pytest.fixture(scope="module")
def run(root, shared):
    """Scores of the simulated spectra, and what is read in each measured one."""
    stored = root / "resources" / "ni_k"
    raw = yaml.safe_load((root / "config" / "ni_k.yaml").read_text())
    raw["infer"] |= {
        "samples_file": str(root / raw["infer"]["samples_file"]),
        "data_folder": str(shared / "experimental"),
    }
    filled, left_out = samples.put_in(raw, "c.yaml")
    assert not left_out
    settings = config.load(filled, "ni_k.yaml")
    table = edge_table.load(root / "resources" / "edges.yaml")
    index = pd.read_csv(stored / "structures" / "index.csv")
    paths = sorted(stored.glob("raw/gpaw/*.nc"))
    known = calibration.calibrate_all(paths, index, settings.spectra, table)
    simulated = {
        p.stem: spectra.process({"gpaw": files.read_netcdf(p)}, settings.spectra, table, known)
        for p in paths
    }
    modalities, subsets = settings.spectra.modalities(), config.resolve_subsets(settings)
    made = dataset.assemble(simulated, index, settings.dataset, modalities, table).dataset
    trained = train.train_target(made, TARGET, subsets, settings.train)
    domains = domain.fit_domains(made, subsets, settings.train.seed)
    library = infer.Library({TARGET: trained.models}, domains)
    pristine = settings.infer.samples[0].aligned_with or settings.infer.samples[0].name
    by_name = {s.name: s for s in settings.infer.samples}
    fitted = match.fit_sample(by_name[pristine], table, simulated, index, settings.infer)
    read = {}
    for name, sample in by_name.items():
        own = match.fit_sample(sample, table, simulated, index, settings.infer)
        found = match.table(
            [sample], {pristine: fitted, name: own}, measured.notes([sample], table), table
        )
        found = found.set_index("modality")
        prepared = measured.sample(
            sample, table, found.shift_ev.to_dict(), found.blur_fwhm_ev.to_dict()
        )
        answer = infer.infer(prepared, library, settings.infer.confidence)
        read[name] = answer
    return trained.metrics, infer.series(by_name.values(), read)


def test_all_sixteen_spectra_are_read(run):
    _, read = run
    assert len(read) == 16
    assert read.prediction.astype(float).between(-0.2, 1.2).all()


def test_ni_k_alone_knows_the_li_content_of_unseen_parents(run):
    metrics, _ = run
    rmse = metrics[metrics.metric == "rmse"].set_index("model")
    assert rmse.ci_high["xgboost"] < rmse.value["baseline"] / 2


@pytest.mark.parametrize("grade", ["NMC622", "NMC721"])
def test_the_predicted_li_content_falls_with_the_voltage(run, grade):
    """Measured spectra: open circuit, 3.0, 4.3 and 4.8 V; more voltage, less Li."""
    _, read = run
    of_grade = read[read.series == grade]
    means = of_grade.groupby(of_grade.voltage.fillna(0.0)).prediction.mean()
    assert len(means) == 4
    assert (means.diff().dropna() < 0).all()
    assert means.iloc[0] - means.iloc[-1] > 0.3


def test_a_spectrum_unlike_the_simulated_ones_says_so(run):
    """Without a core hole the white line is too low: no answer there may pass as certain."""
    _, read = run
    assert "out_of_domain" in set(read.verdict)
