"""Section ``infer``: measured samples, series and images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from corefuse.core.section import Section, Unique
from corefuse.core.vocabulary import EdgeName, Name, Technique


class MeasuredSpectrum(Section):
    """One measured file and the edge it holds."""

    edge: EdgeName = Field(description="edge in the file")
    technique: Technique = Field(description="XAS or EELS")
    file: str = Field(
        description="beamline or microscope file, see docs/reading.md; from the run's folder"
    )
    column: int | str | None = Field(
        None,
        description="intensity: a column's name, its number from 1, an expression of columns such "
        'as ln(i0/itrans) or sum("roi*")/i0, or keys into a .json (intensity.0); null: from the '
        "counters by their usual names",
    )
    energy_column: int | str | None = Field(
        None, description="energy column likewise; null: by its name, else the first"
    )
    reference_column: int | str | None = Field(
        None,
        description="absorption of a foil or standard behind the sample, likewise; null: by its "
        "usual name, else ln(itrans/irefer)",
    )
    scan: int | str | None = Field(
        None, description="which of several scans or regions in the file: number from 1, or title"
    )
    group: int | str | None = Field(
        None, description="which group of an Athena project, NeXus file or workbook, likewise"
    )
    signal: int | str | None = Field(
        None, description="which signal of a microscope file, likewise"
    )
    mono_d_angstrom: float | None = Field(
        None,
        gt=0,
        description="spacing of the monochromator's planes, for a file of angles; null: as the "
        "file says",
    )
    mono_steps_per_degree: float | None = Field(
        None, gt=0, description="of its encoder, for a file of steps; null: as the file says"
    )
    energy_unit: Literal["eV", "keV"] | None = Field(
        None, description="unit of the file's energies; null: as the file says, else eV"
    )
    axis_range: tuple[float, float] | None = Field(
        None, description="first and last energy of a file that holds none"
    )
    energy_scale: float = Field(1.0, gt=0, description="true energy = scale * energy + offset")
    energy_offset_ev: float = Field(0.0, description="see energy_scale, after the unit")
    reference_peaks: list[tuple[float, float]] = Field(
        [], description="[peak in the file, true energy] in eV, two or more: scale and offset"
    )
    crop_ev: tuple[float, float] | None = Field(
        None, description="part of a file with several edges to take, true energies"
    )
    background: Literal["mean", "line", "power_law"] | None = Field(
        None,
        description="taken off below the edge: power_law of raw EELS, line, or mean of what is off "
        "already; null: line of XAS that has a pre-edge, else mean",
    )
    background_window_ev: tuple[float, float] | None = Field(
        None, description="where it is fitted, true energies; null: up to 40 eV below the window"
    )
    low_loss: str | None = Field(
        None,
        description="file with the zero-loss peak: plural scattering is taken out; of dual EELS "
        "the same file",
    )
    low_loss_signal: int | str | None = Field(
        None, description="which of its signals; null: the one that covers 0 eV"
    )
    mode: Literal["TEY", "TFY", "PFY", "HERFD", "transmission"] | None = Field(
        None, description="how XAS was detected"
    )
    beam_kv: float | None = Field(None, gt=0, description="of EELS; null: as the file says")

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
    composition: dict[Literal["Li", "Ni", "Mn", "Co"], float] = Field(
        {}, description="atoms per formula unit where known: drawn as truth, used by the fit"
    )
    series: Name | None = Field(
        None, description="samples drawn together against their voltage; null: none"
    )
    voltage: float | None = Field(None, description="against Li, of a sample in a series")
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
    file: str = Field(
        description="one file with all spectra, or a pattern (scan_*.xdi) of files with one each"
    )
    columns: list[int | str] | None = Field(
        None, min_length=1, description="spectra in the file as of `column`; null: all there are"
    )
    voltages: list[float | None] | None = Field(
        None, description="against Li, one a spectrum, null at open circuit; null: by their number"
    )
    composition: dict[Literal["Li", "Ni", "Mn", "Co"], float] = Field(
        {"Li": 1.0}, description="atoms per formula unit in the first spectrum, as far as known"
    )
    aligned_with: Name | None = Field(
        None, description="sample that fixes the energy constant; null: the first of the series"
    )


class Image(Section):
    """An EELS spectrum image and the edges that are read in it, pixel by pixel."""

    name: Name = Field(description="results/<name>/images/<image>.nc")
    file: str = Field(description=".dm3 .dm4 .hspy .emd, from the run's folder")
    energy_scale: float = Field(1.0, gt=0, description="true energy = scale * energy + offset")
    energy_offset_ev: float = Field(0.0, description="see energy_scale")
    reference_peaks: list[tuple[float, float]] = Field(
        [], description="[peak in the file, true energy] in eV, two or more: scale and offset"
    )
    edges: Annotated[list[EdgeName], Unique] = Field(min_length=1, description="edges to read")
    background_ev: float = Field(
        40.0, ge=10, description="length of the power-law fit below each edge's window"
    )
    components: int | None = Field(
        None, ge=1, description="principal components kept against noise; null: no denoising"
    )
    low_loss: str | None = Field(
        None, description="file with the zero-loss peak: plural scattering is taken out"
    )


class Infer(Section):
    """What is read with the trained models."""

    confidence: float = Field(0.9, gt=0.5, lt=1, description="level of the conformal intervals")
    samples: Annotated[list[Sample], AfterValidator(_aligned)] = Field(
        [], description="measured samples; held-out parents come free"
    )
    series: list[SpectrumSeries] = Field([], description="samples that one entry stands for")
    samples_file: str | None = Field(
        None,
        description="a .yaml with more `samples`, `series` and `images`, their files counted from "
        "data_folder; what is not there is left out",
    )
    data_folder: str | None = Field(
        None, description="see samples_file; null: $COREFUSE_DATA, else data, filled by `download`"
    )
    images: list[Image] = Field([], description="measured EELS spectrum images")
    max_shift_ev: float = Field(
        3.0,
        ge=0,
        description="bound of the energy shift fitted to the simulated spectra, whose constants "
        "are good to 1 to 3 eV; a fit that ends there is not trusted",
    )
    max_extra_fwhm_ev: float = Field(
        2.0, ge=0, description="bound of the Gaussian width fitted likewise; 0: none"
    )
