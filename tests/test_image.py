import numpy as np
import pytest
import synthetic
import xarray as xr
from hyperspy.api import signals

from corefuse.bench.images import row as bench_row
from corefuse.config import Image, Train
from corefuse.core import edge_table
from corefuse.core.errors import InputError
from corefuse.learn.domain import fit_domains
from corefuse.learn.train import train_target
from corefuse.read import image, infer, measured
from corefuse.report.figures import image_maps

ENERGY = np.arange(440, 1040, 0.5)
SUBSETS = {m: [m] for m in synthetic.MODALITIES} | {"all": synthetic.MODALITIES}


def counts(o=1.0, mn=1.0):
    """A pixel: power law, an O edge with its pre-edge, Mn white lines."""
    oxygen = np.exp(-(((ENERGY - 530) / 1.2) ** 2)) + (np.arctan(ENERGY - 537) / np.pi + 0.5)
    lines = np.exp(-(((ENERGY - 643.6) / 1.5) ** 2)) + 0.5 * np.exp(-(((ENERGY - 654) / 1.5) ** 2))
    return 5e4 * (ENERGY / 450) ** -3 + 4e3 * o * oxygen * (ENERGY > 520) + 6e3 * mn * lines


def write(path, data):
    signal = signals.Signal1D(data)
    signal.set_signal_type("EELS")
    for axis, name, scale in zip(signal.axes_manager._axes, "yx", (2.0, 3.0), strict=False):
        axis.name, axis.scale, axis.units = name, scale, "nm"
    axis = signal.axes_manager._axes[-1]
    axis.name, axis.scale, axis.offset, axis.units = "Energy loss", 0.5, 440.0, "eV"
    signal.save(path)
    return str(path)


@pytest.fixture(scope="module")
def table(root):
    return edge_table.load(root / "resources" / "edges.yaml")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rng = np.random.default_rng(0)
    data = np.array([[counts(o=0.5 + i / 4) for i in range(4)] for _ in range(2)])
    noisy = rng.poisson(data).astype(float)
    noisy[1, 2] = 0
    return write(tmp_path_factory.mktemp("image") / "a.hspy", noisy)


def test_every_pixel_is_prepared_like_a_single_spectrum(file, table):
    read = image.read(Image(name="a", file=file, edges=["O K", "Mn L2,3"]), table)
    assert read["O_K-EELS"].dims == ("y", "x", "energy_O_K")
    assert read["x"].values.tolist() == [0, 3, 6, 9]
    assert read["x"].units == "nm"
    entry = table["O K"]
    window = read["O_K-EELS"].sel(energy_O_K=slice(*entry.window_ev))
    area = window.integrate("energy_O_K").values
    seen = np.isfinite(area)
    assert area[seen] == pytest.approx(1, abs=0.01)
    top = read["Mn_L23-EELS"].mean(("y", "x")).idxmax()
    assert float(top) == pytest.approx(643.6, abs=0.5)


def test_an_empty_pixel_is_nan_and_alone(file, table):
    read = image.read(Image(name="a", file=file, edges=["O K"]), table)
    empty = ~np.isfinite(read["O_K-EELS"].values).all(axis=-1)
    assert empty[1, 2]
    assert empty.sum() == 1


def test_a_pixel_in_which_the_detector_was_full_is_left_out(table, tmp_path):
    data = np.array([[counts(o=0.5 + i / 4) for i in range(4)] for _ in range(2)])
    data[0, 1] = np.minimum(data[0, 1], np.quantile(data[0, 1], 0.97))
    full = write(tmp_path / "full.hspy", data)
    read = image.read(Image(name="a", file=full, edges=["O K"]), table)
    assert "1 saturated pixels left out" in read.notes
    lost = ~np.isfinite(read["O_K-EELS"].values).all(axis=-1)
    assert lost[0, 1]
    assert lost.sum() == 1


def test_noisy_pixels_are_told_by_their_signal_to_noise(file, table):
    read = image.read(Image(name="a", file=file, edges=["O K"]), table)
    ratio = read["O_K-EELS_signal_to_noise"].values
    assert np.isnan(ratio[1, 2])
    assert (np.diff(ratio[0]) > 0).all()  # the edge gets stronger from pixel to pixel


def test_all_pixels_move_by_what_their_mean_is_off(file, table):
    wanted = Image(name="a", file=file, edges=["O K", "Mn L2,3"])
    there = image.read(wanted, table)["Mn_L23-EELS"]
    moved = image.read(wanted, table, {"Mn_L23-EELS": -1.0}, {"Mn_L23-EELS": 3.0})["Mn_L23-EELS"]
    step = moved.mean(("y", "x")).idxmax() - there.mean(("y", "x")).idxmax()
    assert float(step) == pytest.approx(-1, abs=0.3)
    assert float(moved.max()) < float(there.max())
    mean = image.as_sample(wanted)
    assert [m.edge for m in mean.spectra] == ["O K", "Mn L2,3"]
    assert {m.background for m in mean.spectra} == {"power_law"}


def test_plural_scattering_of_the_measured_image(shared, table):
    """Pixel by pixel as for the mean of all of them, by one low loss."""
    folder = shared / "experimental" / "eels_si_doped_nmc"
    wanted = Image(
        name="a",
        file=str(folder / "TM_TM+O_EELS_Spectrum_Image.dm3"),
        low_loss=str(folder / "ZLP_EELS_Spectrum_Image.dm3"),
        energy_scale=1.029,
        energy_offset_ev=-5.2,
        edges=["O K", "Ni L2,3"],
    )
    thin = image.read(wanted, table)
    thick = image.read(wanted.model_copy(update={"low_loss": None}), table)
    far = slice(544, 549)  # the plasmon of the main peak
    means = [d["O_K-EELS"].mean(("y", "x")).sel(energy_O_K=far).mean() for d in (thin, thick)]
    assert float(means[0]) < float(means[1])
    single = measured.sample(image.as_sample(wanted), table)["O_K-EELS"]
    assert thin["O_K-EELS"].mean(("y", "x")).values == pytest.approx(single.values, abs=0.004)


def test_denoised_pixels_are_nearer_to_the_truth(table, tmp_path):
    rng = np.random.default_rng(1)
    truth = np.array([[counts(o=0.5 + i / 20) for i in range(20)] for _ in range(5)])
    clean = write(tmp_path / "clean.hspy", truth)
    noisy = write(tmp_path / "noisy.hspy", rng.poisson(truth).astype(float))

    def read(file, components=None):
        wanted = Image(name="a", file=file, edges=["O K"], components=components)
        return image.read(wanted, table)["O_K-EELS"]

    expected = read(clean)
    error = {k: float(np.abs(read(noisy, k) - expected).mean()) for k in (None, 3)}
    assert error[3] < 0.5 * error[None]


def test_a_drift_over_the_image_is_followed_by_two_edges_and_by_one_alone_only_told(
    table, tmp_path
):
    """Columns drift by up to 2 eV: all edges alike, which chemistry does not do."""
    moved = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 0.0])
    data = np.array([[np.interp(ENERGY - by, ENERGY, counts()) for by in moved] for _ in range(2)])
    file = write(tmp_path / "drift.hspy", data)

    def read(*edges, region=None):
        wanted = Image(name="a", file=file, edges=list(edges), region_pixels=region)
        return image.read(wanted, table)

    def spread(found):
        return float(found["Mn_L23-EELS"].std("x").max() / found["Mn_L23-EELS"].max())

    followed = read("O K", "Mn L2,3", region=1)
    expected = moved.mean() - moved
    assert followed["drift"].values[0] == pytest.approx(expected, abs=0.25)
    assert spread(followed) < 0.4 * spread(read("O K", "Mn L2,3"))
    alone = read("Mn L2,3", region=1)
    assert not alone["drift"].any()
    assert alone["Mn_L23-EELS_region_shift"].values[0] == pytest.approx(expected, abs=0.25)


def test_large_images_are_read_in_blocks_with_progress(file, table, monkeypatch):
    whole = image.read(Image(name="a", file=file, edges=["O K"]), table)
    monkeypatch.setattr(image, "BLOCK_VALUES", 1)
    lines = []
    rows = image.read(Image(name="a", file=file, edges=["O K"]), table, progress=lines.append)
    assert lines == ["a: O K, 1 of 2 rows", "a: O K, 2 of 2 rows"]
    assert rows["O_K-EELS"].values == pytest.approx(whole["O_K-EELS"].values, nan_ok=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"edges": ["Ni L2,3"]}, "no pixel holds|from Ni L2,3"),
        ({"edges": ["Li K"]}, "but Li K needs 52 to 74"),
        ({"energy_offset_ev": 40.0}, "from O K"),
        ({"components": 99}, "99 components of 8 pixels"),
    ],
)
def test_a_bad_image_is_refused(file, table, change, problem):
    with pytest.raises(InputError, match=problem) as caught:
        image.read(Image(**{"name": "a", "file": file, "edges": ["O K"]} | change), table)
    assert caught.value.key == "infer.images.a"


def test_a_single_spectrum_is_no_image(table, tmp_path):
    file = write(tmp_path / "a.hspy", counts())
    with pytest.raises(InputError, match="0 directions"):
        image.read(Image(name="a", file=file, edges=["O K"]), table)


@pytest.fixture(scope="module")
def library():
    data = synthetic.build(parents=24)
    settings = Train(outer_folds=3, inner_folds=2, trials=2, max_trees=40, bootstrap=100)
    targets = ("x_li", "v_o_present")
    models = {t: train_target(data, t, SUBSETS, settings).models for t in targets}
    return infer.Library(models, fit_domains(data, SUBSETS, seed=0))


@pytest.fixture(scope="module")
def cube():
    """New specimens laid out as an image of 5 x 6 pixels, one of them empty."""
    new = synthetic.build(parents=30, structures=1, views=1, seed=7)
    out = xr.Dataset({"counts": (("y", "x"), np.ones((5, 6)))})
    for m in synthetic.MODALITIES:
        dim = new[m].dims[1]
        values = new[m].values.reshape(5, 6, -1).astype(float)
        values[4, 5] = np.nan
        out[m] = xr.DataArray(values, {dim: new[dim].values}, ("y", "x", dim))
        out[f"{m}_noise"] = xr.zeros_like(out["counts"])
    return out, new


def test_the_maps_are_what_each_pixel_alone_gives(library, cube):
    prepared, new = cube
    maps = image.maps(prepared, library, 0.9)
    for i in range(29):
        alone = infer.infer(synthetic.sample_of(new, i, synthetic.MODALITIES), library, 0.9)
        rows, place = alone.set_index("target"), np.unravel_index(i, (5, 6))
        assert float(maps["x_li"][place]) == pytest.approx(rows.prediction["x_li"], abs=1e-5)
        assert float(maps["x_li_low"][place]) == pytest.approx(rows.low["x_li"], abs=1e-5)
        assert bool(maps["x_li_in_domain"][place]) == rows.in_domain["x_li"]
        probability = rows.probability["v_o_present"]
        assert float(maps["v_o_present"][place]) == pytest.approx(probability, abs=1e-5)
    assert np.isnan(maps["x_li"][4, 5])
    assert not maps["x_li_in_domain"][4, 5]
    assert len(image_maps(maps).axes) == 8  # value and width of both, with their scales


def test_noise_of_a_pixel_widens_its_interval_alone(library, cube):
    prepared, _ = cube
    noisy = prepared.copy(deep=True)
    for m in synthetic.MODALITIES:
        noisy[f"{m}_noise"][2, 3] = float(prepared[m].std())
    clean, spoilt = (image.maps(p, library, 0.9) for p in (prepared, noisy))
    wider = (spoilt["x_li_high"] - spoilt["x_li_low"]) - (clean["x_li_high"] - clean["x_li_low"])
    assert wider.values[2, 3] > 0.01
    wider.values[2, 3] = 0
    assert np.nan_to_num(wider.values) == pytest.approx(0)


def test_an_image_no_model_knows_is_refused(library, cube):
    prepared, _ = cube
    with pytest.raises(InputError, match="no model was trained on Co_L23-EELS"):
        renamed = prepared[["counts"]].assign({"Co_L23-EELS": prepared[synthetic.O_K]})
        image.maps(renamed, library, 0.9)


def test_the_bench_row_counts_spectra(library):
    row = bench_row(library, synthetic.MODALITIES, 0.9)
    assert row.of == "4096 pixels, 3 edges, 2 targets"
    assert row.spectra == 3 * 4096
    assert row.cpu_seconds > 0


def test_the_measured_image_is_read(shared, table):
    """O and Mn in nearly all pixels; the empty ones are in the vacuum at the left."""
    file = shared / "experimental/eels_si_doped_nmc/TM_TM+O_EELS_Spectrum_Image.dm3"
    wanted = Image(
        name="a",
        file=str(file),
        energy_scale=1.029,
        energy_offset_ev=-5.2,
        edges=["O K", "Mn L2,3", "Co L2,3", "Ni L2,3"],
    )
    read = image.read(wanted, table)
    assert read["counts"].shape == (2, 21)
    for modality in ("O_K-EELS", "Mn_L23-EELS"):
        seen = np.isfinite(read[modality].values).all(axis=-1)
        assert seen[:, 4:].all()
        assert seen.sum() >= 39
    top = float(read["Mn_L23-EELS"].mean(("y", "x")).idxmax())
    assert top == pytest.approx(643.6, abs=1.0)


@pytest.mark.parametrize("names", [("", ""), ("pixel", "pixel"), ("O_K-EELS", "a/b"), (None, None)])
@pytest.mark.parametrize("shape", [(2, 3), (2, 2)])
def test_axes_go_by_their_place_and_not_by_their_names(table, tmp_path, names, shape):
    """HyperSpy leaves the axes of pixels without names, which a square image told at the end."""
    data = np.array([[counts(o=0.5 + i / 4) for i in range(shape[1])] for _ in range(shape[0])])
    signal = signals.Signal1D(data)
    signal.set_signal_type("EELS")
    for axis, name in zip(signal.axes_manager._axes, names, strict=False):
        if name is not None:
            axis.name = name
    axis = signal.axes_manager._axes[-1]
    axis.scale, axis.offset, axis.units = 0.5, 440.0, "eV"
    signal.save(tmp_path / "a.hspy")
    one = Image(name="a", file=str(tmp_path / "a.hspy"), edges=["O K"])
    image.check(one, table)
    read = image.read(one, table)
    assert read["O_K-EELS"].dims == ("y", "x", "energy_O_K")
    assert read["counts"].shape == shape
    assert image.stacked(read)["O_K-EELS"].shape[0] == shape[0] * shape[1]


def test_a_check_before_the_run_goes_through_no_pixel(file, table, monkeypatch):
    monkeypatch.setattr(image, "_standard", lambda *_: pytest.fail("pixel by pixel"))
    image.check(Image(name="a", file=file, edges=["O K", "Mn L2,3"]), table)
    with pytest.raises(InputError, match=r"infer\.images\.a|infer\.samples\.a"):
        image.check(Image(name="a", file=file, edges=["Ni L2,3", "Li K"]), table)
