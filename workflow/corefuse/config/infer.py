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


class MeasuredSpectrum(Section):
    """One measured file and the edge it holds."""

    edge: EdgeName = Field(description="edge in the file")
    technique: Technique = Field(description="XAS or EELS")
    file: text.FilePath = Field(
        description="beamline or microscope file, see docs/reading.md; from the run's folder"
    )
    column: ColumnNumber | str | None = Field(
        None,
        description="intensity: a column's name, its number from 1, an expression of columns such "
        'as ln(i0/itrans) or sum("roi*")/i0, or keys into a .json (intensity.0); null: from the '
        "counters by their usual names",
    )
    energy_column: ColumnNumber | str | None = Field(
        None, description="energy column likewise; null: by its name, else the first"
    )
    reference_column: ColumnNumber | str | None = Field(
        None,
        description="absorption of a foil or standard behind the sample, likewise; null: by its "
        "usual name, else ln(itrans/irefer)",
    )
    scan: ColumnNumber | str | None = Field(
        None, description="which of several scans or regions in the file: number from 1, or title"
    )
    group: ColumnNumber | str | None = Field(
        None, description="which group of an Athena project, NeXus file or workbook, likewise"
    )
    signal: ColumnNumber | str | None = Field(
        None, description="which signal of a microscope file, likewise"
    )
    mono_d_angstrom: (
        Annotated[float, Between(0.1, 100, "from silicon's high orders to multilayers")] | None
    ) = Field(
        None,
        description="spacing of the monochromator's planes, for a file of angles; null: as the "
        "file says",
    )
    mono_steps_per_degree: Annotated[float, Between(1, 1e9, "encoders have 1e3 to 1e7")] | None = (
        Field(None, description="of its encoder, for a file of steps; null: as the file says")
    )
    energy_unit: Literal["eV", "keV"] | None = Field(
        None, description="unit of the file's energies; null: as the file says, else eV"
    )
    axis_range: tuple[Energy, Energy] | None = Field(
        None, description="first and last energy of a file that holds none"
    )
    energy_scale: Annotated[
        float, Between(1e-4, 1e4, "channels, keV and eV are not further apart")
    ] = Field(1.0, description="true energy = scale * energy + offset")
    energy_offset_ev: Energy = Field(0.0, description="see energy_scale, after the unit")
    reference_peaks: list[tuple[Energy, Energy]] = Field(
        [],
        max_length=100,
        description="[peak in the file, true energy] in eV, two or more: scale and offset",
    )
    crop_ev: tuple[Energy, Energy] | None = Field(
        None, description="part of a file with several edges to take, true energies"
    )
    background: Literal["mean", "line", "power_law"] | None = Field(
        None,
        description="taken off below the edge: power_law of raw EELS, line, or mean of what is off "
        "already; null: line of XAS that has a pre-edge, else mean",
    )
    background_window_ev: tuple[Energy, Energy] | None = Field(
        None, description="where it is fitted, true energies; null: up to 40 eV below the window"
    )
    low_loss: text.FilePath | None = Field(
        None,
        description="file with the zero-loss peak: plural scattering is taken out; of dual EELS "
        "the same file",
    )
    low_loss_signal: ColumnNumber | str | None = Field(
        None, description="which of its signals; null: the one that covers 0 eV"
    )
    mode: Literal["TEY", "TFY", "PFY", "HERFD", "transmission"] | None = Field(
        None, description="how XAS was detected"
    )
    beam_kv: BeamKv | None = Field(None, description="of EELS; null: as the file says")

    @model_validator(mode="after")
    def _axis_given_once(self) -> MeasuredSpectrum:
        if self.reference_peaks and (self.energy_scale, self.energy_offset_ev) != (1.0, 0.0):
            raise ValueError(
                "scale or offset are given too|drop energy_scale and energy_offset_ev"
                "|reference_peaks"
            )
        if len({found for found, _ in self.reference_peaks}) == 1:
            raise ValueError("one peak makes no line|give two or more|reference_peaks")
        if sum(part is not None for part in (self.scan, self.group, self.signal)) > 1:
            raise ValueError("one part of a file is meant|give scan, group or signal|scan")
        for key in ("crop_ev", "background_window_ev", "axis_range"):
            limits = getattr(self, key)
            if limits and limits[0] >= limits[1]:
                raise ValueError(f"{list(limits)} is empty|give [low, high]|{key}")
        return self


class Sample(Section):
    """What was measured on one specimen."""

    name: Name = Field(description="results/<name>/inference/<sample>.csv")
    spectra: list[MeasuredSpectrum] = Field(min_length=1, description="one entry an edge")
    composition: Composition = Field(
        {}, description="atoms per formula unit where known: drawn as truth, used by the fit"
    )
    series: Name | None = Field(
        None, description="samples drawn together against their voltage; null: none"
    )
    voltage: Voltage | None = Field(None, description="against Li, of a sample in a series")
    aligned_with: Name | None = Field(
        None,
        description="sample whose fitted energy shifts this one takes; null: in a series the one "
        "at open circuit, else its own fit",
    )


def _aligned(samples: list[Sample]) -> list[Sample]:
    """Samples of a series aligned with its first at open circuit, else at the lowest voltage.

    One energy constant a series: a fit of its own would take a change of charge for a shift.
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
    """One edge followed through a charge: each spectrum becomes a sample, the first is pristine."""

    name: Name = Field(description="samples are called <name>-01, <name>-02, ..")
    file: text.FilePath = Field(
        description="one file with all spectra, or a pattern (scan_*.xdi) of files with one each"
    )
    columns: list[ColumnNumber | str] | None = Field(
        None, min_length=1, description="spectra in the file as of `column`; null: all there are"
    )
    voltages: list[Voltage | None] | None = Field(
        None, description="against Li, one a spectrum, null at open circuit; null: by their number"
    )
    composition: Composition = Field(
        {"Li": 1.0}, description="atoms per formula unit in the first spectrum, as far as known"
    )
    aligned_with: Name | None = Field(
        None, description="sample that fixes the energy constant; null: the first of the series"
    )


class Image(Section):
    """An EELS spectrum image and the edges that are read in it, pixel by pixel."""

    name: Name = Field(description="results/<name>/images/<image>.nc")
    file: text.FilePath = Field(description=".dm3 .dm4 .hspy .emd, from the run's folder")
    energy_scale: Annotated[
        float, Between(1e-4, 1e4, "channels, keV and eV are not further apart")
    ] = Field(1.0, description="true energy = scale * energy + offset")
    energy_offset_ev: Energy = Field(0.0, description="see energy_scale")
    reference_peaks: list[tuple[Energy, Energy]] = Field(
        [],
        max_length=100,
        description="[peak in the file, true energy] in eV, two or more: scale and offset",
    )
    edges: Annotated[list[EdgeName], Unique] = Field(min_length=1, description="edges to read")
    background_ev: Annotated[
        float, Between(10, 1000, "the power law is fitted to what is below the edge")
    ] = Field(40.0, description="length of the power-law fit below each edge's window")
    components: Annotated[int, Between(1, 1000, "more than that are noise")] | None = Field(
        None, description="principal components kept against noise; null: no denoising"
    )
    low_loss: text.FilePath | None = Field(
        None, description="file with the zero-loss peak: plural scattering is taken out"
    )


class Infer(Section):
    """What is read with the trained models."""

    confidence: float = Field(0.9, gt=0.5, lt=1, description="level of the conformal intervals")
    samples: Annotated[list[Sample], AfterValidator(_aligned)] = Field(
        [], description="measured samples; held-out parents come free"
    )
    series: list[SpectrumSeries] = Field([], description="samples that one entry stands for")
    samples_file: text.FilePath | None = Field(
        None,
        description="a .yaml with more `samples`, `series` and `images`, their files counted from "
        "data_folder; what is not there is left out",
    )
    data_folder: text.FilePath | None = Field(
        None, description="see samples_file; null: $COREFUSE_DATA, else data, filled by `download`"
    )
    images: list[Image] = Field([], description="measured EELS spectrum images")
    max_shift_ev: Annotated[
        float, Between(0, 50, "every 0.1 eV is tried; correct an axis that is further off")
    ] = Field(
        3.0,
        description="bound of the energy shift fitted to the simulated spectra, whose constants "
        "are good to 1 to 3 eV; a fit that ends there is not trusted",
    )
    max_extra_fwhm_ev: Annotated[float, Between(0, 20, "a broader edge has no shape")] = Field(
        2.0, description="bound of the Gaussian width fitted likewise; 0: none"
    )
