"""Section ``infer``: measured samples, series and images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from corefuse.core import text
from corefuse.core.bounds import BeamKv, Between, ColumnNumber, Energy, Voltage
from corefuse.core.section import Section, Unique
from corefuse.core.vocabulary import METALS, EdgeName, Name, Technique

MOST_METAL = 1.15  # per LiMO2: 1 on the metal layer, and what excess Ni there is in the Li layer
LEAST_METAL = 0.6  # Li-rich Li2MnO3 has 0.67


def _contents(composition: dict[str, float]) -> dict[str, float]:
    """Atoms per LiMO2 as they can be; percent and negative numbers are refused."""
    for element, content in composition.items():
        if not 0 <= content <= 2:
            raise ValueError(
                f"{content:g} {element} per formula unit cannot be"
                f"|give atoms per LiMO2, not percent: Li 0 to 2, metals that add to 1|{element}"
            )
    metals = [composition[metal] for metal in METALS if metal in composition]
    if sum(metals) > MOST_METAL or (len(metals) == len(METALS) and sum(metals) < LEAST_METAL):
        raise ValueError(
            f"its metals add to {sum(metals):g}|give atoms per LiMO2, metals that add to 1, as in "
            "{Ni: 0.6, Mn: 0.2, Co: 0.2}|"
        )
    return composition


Composition = Annotated[dict[Literal["Li", *METALS], float], AfterValidator(_contents)]
AxisUncertainty = Annotated[float, Between(0, 50, "an axis that is further off is to be corrected")]


class EnergyReference(Section):
    """A foil or standard of known edge, measured with the spectrum, which fixes its energy axis."""

    file: text.FilePath | None = Field(
        None, description="its file; null: the reference channel of the spectrum's own file"
    )
    column: ColumnNumber | str | None = Field(None, description="its column in that file")
    foil: str | None = Field(
        None, description="element of a metal foil, whose tabulated K edge is its first inflection"
    )
    energy_ev: Energy | None = Field(
        None, description="E0, the steepest point, of another standard (NiO: 8344)"
    )
    uncertainty_ev: Annotated[float, Between(0.001, 50, "an edge is known to that much")] = Field(
        0.3, description="standard deviation of that energy and of reading it"
    )

    @model_validator(mode="after")
    def _known_once(self) -> EnergyReference:
        if (self.foil is None) == (self.energy_ev is None):
            raise ValueError("its edge is not stated once|give foil: Ni, or energy_ev: 8344|foil")
        if self.column is not None and self.file is None:
            raise ValueError("it is in no file|name it as reference_column, or give file|column")
        return self


class MeasuredSpectrum(Section):
    """One measured spectrum: its file, its edge, and how it is treated."""

    edge: EdgeName = Field(description="edge in the file")
    technique: Technique = Field(description="technique of the measurement")
    file: text.FilePath = Field(
        description="beamline or microscope file (docs/reading.md); the path is relative to "
        "the folder of the run"
    )
    column: ColumnNumber | str | None = Field(
        None,
        description="intensity: the name of a column, its number counted from 1, an "
        'expression of columns such as ln(i0/itrans) or sum("roi*")/i0, or keys '
        "into a .json file (intensity.0); null: found by the usual names of "
        "counters",
    )
    energy_column: ColumnNumber | str | None = Field(
        None,
        description="energies, given like `column`; null: found by name, otherwise the first "
        "column",
    )
    reference_column: ColumnNumber | str | None = Field(
        None,
        description="absorption of a foil or standard behind the sample, given like `column`; "
        "null: found by its usual name, otherwise ln(itrans/irefer)",
    )
    scan: ColumnNumber | str | None = Field(
        None,
        description="scan or region of a file with several: its number counted from 1, or its "
        "title",
    )
    group: ColumnNumber | str | None = Field(
        None, description="group of an Athena project, NeXus file or workbook, given like `scan`"
    )
    signal: ColumnNumber | str | None = Field(
        None, description="signal of a microscope file, given like `scan`"
    )
    mono_d_angstrom: (
        Annotated[float, Between(0.1, 100, "from silicon's high orders to multilayers")] | None
    ) = Field(
        None,
        description="lattice spacing of the monochromator, for a file of angles; null: taken "
        "from the file",
    )
    mono_steps_per_degree: Annotated[float, Between(1, 1e9, "encoders have 1e3 to 1e7")] | None = (
        Field(
            None,
            description="resolution of the monochromator's encoder, for a file of encoder steps; "
            "null: taken from the file",
        )
    )
    energy_unit: Literal["eV", "keV"] | None = Field(
        None,
        description="unit of the energies in the file; null: taken from the file, otherwise eV",
    )
    axis_range: tuple[Energy, Energy] | None = Field(
        None, description="first and last energy, for a file without energies"
    )
    energy_scale: Annotated[
        float, Between(1e-4, 1e4, "channels, keV and eV are not further apart")
    ] = Field(1.0, description="scale of the energy axis: true energy = scale * energy + offset")
    energy_offset_ev: Energy = Field(
        0.0, description="offset of the energy axis, applied after the unit; see energy_scale"
    )
    reference_peaks: list[tuple[Energy, Energy]] = Field(
        [],
        max_length=100,
        description="two or more pairs [peak in the file, true energy] in eV, from which "
        "scale and offset are derived",
    )
    reference: EnergyReference | None = Field(
        None, description="foil or standard measured with it: moves the axis; null: none"
    )
    axis_uncertainty_ev: AxisUncertainty | None = Field(
        None,
        description="standard deviation of the energies, once corrected; null: unknown, so that "
        "the answer is `uncertain` where nothing else fixes the axis",
    )
    crop_ev: tuple[Energy, Energy] | None = Field(
        None, description="energy range (true energies) to use of a file with several edges"
    )
    background: Literal["mean", "line", "power_law"] | None = Field(
        None,
        description="background model fitted below the edge: power_law (raw EELS), line, or "
        "mean (background already subtracted); null: line for XAS with a "
        "pre-edge, otherwise mean",
    )
    background_window_ev: tuple[Energy, Energy] | None = Field(
        None,
        description="energy range (true energies) of the background fit; null: up to 40 eV "
        "below the window of the edge",
    )
    low_loss: text.FilePath | None = Field(
        None,
        description="file with the zero-loss peak, used to remove plural scattering; for dual "
        "EELS the same file",
    )
    low_loss_signal: ColumnNumber | str | None = Field(
        None, description="signal of the low-loss file; null: the one that covers 0 eV"
    )
    mode: Literal["TEY", "TFY", "PFY", "HERFD", "transmission"] | None = Field(
        None, description="detection mode of XAS"
    )
    beam_kv: BeamKv | None = Field(
        None, description="acceleration voltage of EELS; null: taken from the file"
    )

    @model_validator(mode="after")
    def _axis_given_once(self) -> MeasuredSpectrum:
        if self.reference_peaks and (self.energy_scale, self.energy_offset_ev) != (1.0, 0.0):
            raise ValueError(
                "energy_scale or energy_offset_ev is given as well|drop both of them"
                "|reference_peaks"
            )
        if len({found for found, _ in self.reference_peaks}) == 1:
            raise ValueError("one peak does not define a line|give two or more|reference_peaks")
        if sum(part is not None for part in (self.scan, self.group, self.signal)) > 1:
            raise ValueError("one part of a file is meant|give scan, group or signal|scan")
        for key in ("crop_ev", "background_window_ev", "axis_range"):
            limits = getattr(self, key)
            if limits and limits[0] >= limits[1]:
                raise ValueError(f"{list(limits)} is empty|give [low, high]|{key}")
        return self


class Sample(Section):
    """The measured spectra of one specimen."""

    name: Name = Field(
        description="name of the sample; predictions are in results/<name>/inference/<sample>.csv"
    )
    spectra: list[MeasuredSpectrum] = Field(
        min_length=1, description="measured spectra, one entry per edge"
    )
    composition: Composition = Field(
        {},
        description="atoms per formula unit where known: fixes the energy constant; of several "
        "samples in a series, also scale and offset of the answers",
    )
    series: Name | None = Field(
        None,
        description="name of the series in which the sample is drawn against its voltage; "
        "null: none",
    )
    voltage: Voltage | None = Field(
        None, description="voltage against Li, for a sample of a series"
    )
    aligned_with: Name | None = Field(
        None,
        description="sample whose fitted energy shifts are used; null: the sample at open "
        "circuit of the same series, otherwise a fit of its own",
    )


def _aligned(samples: list[Sample]) -> list[Sample]:
    """Align the samples of a series with the one at open circuit or at the lowest voltage.

    There is one energy constant per series, because a separate fit of each sample would absorb
    the change of charge into the energy shift.
    """
    by_series: dict[str, list[Sample]] = {}
    for sample in (s for s in samples if s.series):
        by_series.setdefault(sample.series, []).append(sample)
    pristine = {
        name: min(members, key=lambda s: (s.voltage is not None, s.voltage or 0.0))
        for name, members in by_series.items()
    }

    def aligned(sample: Sample) -> Sample:
        first = pristine.get(sample.series or "")
        if first is None or sample.aligned_with or sample.name == first.name:
            return sample
        return sample.model_copy(update={"aligned_with": first.aligned_with or first.name})

    return [aligned(sample) for sample in samples]


class SpectrumSeries(MeasuredSpectrum):
    """One edge measured at several states of charge; the first spectrum is the pristine one."""

    name: Name = Field(
        description="name of the series; its samples are called <name>-01, <name>-02, .."
    )
    file: text.FilePath = Field(
        description="one file with all spectra, or a pattern (scan_*.xdi) of files with one "
        "spectrum each"
    )
    columns: list[ColumnNumber | str] | None = Field(
        None,
        min_length=1,
        description="spectra in the file, given like `column`; null: all spectra in the file",
    )
    scans: list[ColumnNumber | str] | None = Field(
        None,
        min_length=2,
        description="scans, groups or signals of one file, given like `scan`; null: all, if there "
        "are several",
    )
    voltages: list[Voltage | None] | None = Field(
        None,
        description="voltage against Li per spectrum, null at open circuit; null: spectra are "
        "numbered",
    )
    composition: Composition | list[Composition | None] = Field(
        {},
        description="atoms per formula unit in the first spectrum, as far as known; or a list with "
        "one entry per spectrum, null where unknown: two or more correct scale and offset",
    )
    aligned_with: Name | None = Field(
        None, description="sample that fixes the energy shift; null: the first of the series"
    )


class Image(Section):
    """An EELS spectrum image and the edges that are read in it, pixel by pixel."""

    name: Name = Field(
        description="name of the image; maps are in results/<name>/images/<image>.nc"
    )
    file: text.FilePath = Field(
        description="spectrum image (.dm3, .dm4, .hspy, .emd); the path is relative to the "
        "folder of the run"
    )
    signal: ColumnNumber | str | None = Field(
        None,
        description="which signal of the file: title or number, counted from 1; null: the one "
        "that covers the first edge",
    )
    energy_scale: Annotated[
        float, Between(1e-4, 1e4, "channels, keV and eV are not further apart")
    ] = Field(1.0, description="scale of the energy axis: true energy = scale * energy + offset")
    energy_offset_ev: Energy = Field(0.0, description="offset of the energy axis; see energy_scale")
    reference_peaks: list[tuple[Energy, Energy]] = Field(
        [],
        max_length=100,
        description="two or more pairs [peak in the file, true energy] in eV, from which "
        "scale and offset are derived",
    )
    edges: Annotated[list[EdgeName], Unique] = Field(min_length=1, description="edges to read")
    background_ev: Annotated[
        float, Between(10, 1000, "the power law is fitted to what is below the edge")
    ] = Field(
        40.0,
        description="length of the energy range below each edge in which the power law is fitted",
    )
    axis_uncertainty_ev: AxisUncertainty | None = Field(
        None, description="standard deviation of the energies; null: unknown"
    )
    region_pixels: Annotated[int, Between(1, 4096, "no image is larger")] | None = Field(
        None,
        description="side of the squares (in pixels) whose shift and width are fitted separately; "
        "null: one fit for the whole image",
    )
    components: Annotated[int, Between(1, 1000, "more than that are noise")] | None = Field(
        None,
        description="number of principal components that are kept to reduce noise; null: no "
        "denoising",
    )
    low_loss: text.FilePath | None = Field(
        None, description="file with the zero-loss peak, used to remove plural scattering"
    )


class Infer(Section):
    """Measured spectra to read with the trained models."""

    confidence: float = Field(
        0.9, gt=0.5, lt=1, description="confidence level of the conformal intervals"
    )
    samples: Annotated[list[Sample], AfterValidator(_aligned)] = Field(
        [],
        description="measured samples; structures of held-out parents are always read in addition",
    )
    series: list[SpectrumSeries] = Field(
        [], description="series of measured spectra; each spectrum becomes a sample"
    )
    samples_file: text.FilePath | None = Field(
        None,
        description="a .yaml file with more `samples`, `series` and `images`; their paths are "
        "relative to data_folder, and public files that were not downloaded are left out",
    )
    data_folder: text.FilePath | None = Field(
        None,
        description="folder of the files named in samples_file; null: $COREFUSE_DATA, "
        "otherwise `data`, which `snakemake download` fills",
    )
    images: list[Image] = Field([], description="measured EELS spectrum images")
    max_shift_ev: Annotated[
        float, Between(0, 50, "every 0.1 eV is tried; correct an axis that is further off")
    ] = Field(
        3.0,
        description="largest energy shift that is fitted between measured and simulated "
        "spectra, whose calibration is accurate to 1 to 3 eV; a fit that ends at "
        "this bound is not trusted",
    )
    max_extra_fwhm_ev: Annotated[float, Between(0, 20, "a broader edge has no shape")] = Field(
        2.0, description="largest Gaussian width (FWHM) that is fitted in addition; 0: none"
    )
