"""The typed configuration: single source of the defaults, the checks and the key reference.

Importing this module is cheap (pydantic only), because the Snakefile imports it in every job.
"""

from __future__ import annotations

import difflib
import importlib
import json
import re
import reprlib
from fractions import Fraction
from functools import cache
from math import isclose
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails

from corefuse.core.edges import EDGES, TECHNIQUES, modality_id
from corefuse.core.errors import InputError

METALS = ("Ni", "Mn", "Co")
GRADES: dict[str, dict[str, float]] = {
    "NMC111": {"Ni": 1 / 3, "Mn": 1 / 3, "Co": 1 / 3},
    "NMC532": {"Ni": 0.5, "Mn": 0.3, "Co": 0.2},
    "NMC622": {"Ni": 0.6, "Mn": 0.2, "Co": 0.2},
    "NMC811": {"Ni": 0.8, "Mn": 0.1, "Co": 0.1},
    "LiNiO2": {"Ni": 1.0},
    "LiCoO2": {"Co": 1.0},
}
REGRESSION_TARGETS = ("x_li", "x_ni", "x_mn", "x_co", "v_o_fraction", "antisite_fraction")
CLASS_TARGETS = ("v_o_present", "antisite_present")
TARGETS = (*REGRESSION_TARGETS, *CLASS_TARGETS)

IONS = ("Mn2+", "Mn3+", "Mn4+", "Co2+", "Co3+", "Co4+", "Ni2+", "Ni3+", "Ni4+")
ION_PARAMETERS = (
    *("slater_scale", "slater_scale_crystal_field", "bond_angstrom"),
    *("ten_dq_ev", "ten_dq_crystal_field_ev", "v_eg_ev", "v_t2g_ev", "ligand_ten_dq_ev"),
    *("delta_ev", "udd_ev", "upd_ev", "l3_maximum_ev"),
    *("f2dd_initial_ev", "f4dd_initial_ev", "f2dd_final_ev", "f4dd_final_ev"),
    *("f2pd_ev", "g1pd_ev", "g3pd_ev"),
    *("zeta_3d_initial_ev", "zeta_3d_final_ev", "zeta_2p_ev"),
)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Metal = Literal["Ni", "Mn", "Co"]
EdgeName = Literal[tuple(EDGES)]  # type: ignore[valid-type]
Technique = Literal[TECHNIQUES]  # type: ignore[valid-type]
Target = Literal[TARGETS]  # type: ignore[valid-type]
IonName = Literal[IONS]  # type: ignore[valid-type]
IonParameter = Literal[ION_PARAMETERS]  # type: ignore[valid-type]
CoreHole = Literal["none", "half", "full"]
HOLE_ENGINE = "gpaw_core_hole"  # what runs gpaw's edges that have a core hole


def _engine_names() -> tuple[str, ...]:
    """Files of ``engines/`` that hold an ``ENGINE``; found without importing them."""
    folder = Path(__file__).parents[1] / "engines"
    files = [*folder.glob("[a-z]*.py"), *folder.glob("*/engine.py")]
    holds = [file for file in files if "\nENGINE = " in file.read_text()]
    names = sorted(f.parent.name if f.name == "engine.py" else f.stem for f in holds)
    return tuple(name for name in names if name != HOLE_ENGINE)


ENGINES = _engine_names()
EngineName = Literal[ENGINES]  # type: ignore[valid-type]


def _no_repeats(values: list[Any]) -> list[Any]:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ValueError(f"{value!r} stands there twice|drop one of them|")
    return values


Unique = AfterValidator(_no_repeats)


class Section(BaseModel):
    """A frozen mapping that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


AnySection = TypeVar("AnySection", bound=Section)


class Defect(Section):
    """Point defects put into one cell; all zero is the pristine cell."""

    oxygen_vacancies: int = Field(0, ge=0, description="oxygen atoms removed")
    vacancy_next_to: Metal | None = Field(
        None, description="element in the first shell of every vacancy; null: any oxygen"
    )
    antisite_pairs: int = Field(0, ge=0, description="Li and Ni atoms that change places")
    excess_ni: int = Field(0, ge=0, description="Li-layer sites filled by Ni, Li lost")

    @property
    def label(self) -> str:
        """A short file-name-safe description, e.g. ``vo1Ni-as1``."""
        near = self.vacancy_next_to or ""
        parts = [f"vo{self.oxygen_vacancies}{near}"] if self.oxygen_vacancies else []
        parts += [f"as{self.antisite_pairs}"] if self.antisite_pairs else []
        parts += [f"xni{self.excess_ni}"] if self.excess_ni else []
        return "-".join(parts) or "pristine"


class Series(Section):
    """One composition: every decoration x every Li content x every defect."""

    grade: Name = Field(description=f"{', '.join(GRADES)}, or any name with a stoichiometry")
    stoichiometry: dict[Metal, Annotated[float, Field(gt=0, le=1)]] | None = Field(
        None, description="metal fractions that add to 1, for a grade of your own"
    )
    formula_units: int | None = Field(
        None, ge=1, description="LiMO2 units in the cell (4 atoms each); null: the section's"
    )
    decorations: int = Field(1, ge=1, description="arrangements of the metals, one parent each")
    li_content: list[float] = Field(
        [1.0], min_length=1, description="Li per formula unit left in the Li layer"
    )
    li_ordering: Literal["ewald", "chgnet", "random"] = Field(
        "ewald", description="how the Li sites to empty are chosen"
    )
    defects: list[Defect] = Field([Defect()], min_length=1, description="each entry makes one cell")

    def metals(self) -> dict[str, float]:
        """Metal fractions per formula unit, summing to one."""
        return dict(self.stoichiometry or GRADES[self.grade])

    @model_validator(mode="after")
    def _stoichiometry_known(self) -> Series:
        if self.stoichiometry is None and self.grade not in GRADES:
            raise ValueError(
                f"unknown grade {self.grade!r}|use one of {', '.join(GRADES)} "
                "or give stoichiometry: {Ni: .., Mn: .., Co: ..}|grade"
            )
        total = sum(self.metals().values())
        if not isclose(total, 1.0, abs_tol=0.005):
            raise ValueError(
                f"it adds to {total:g}|make the metal fractions add to 1|stoichiometry"
            )
        for x in self.li_content:
            if not 0 <= x <= 1:
                raise ValueError(f"{x:g} is out of range|use values between 0 and 1|li_content")
        if self.decorations > 1 and len(self.metals()) == 1:
            raise ValueError(
                f"{self.grade} has one metal, so one arrangement: {self.decorations} parents would "
                "be the same crystal|drop decorations|decorations"
            )
        return self


class Relaxation(Section):
    """CHGNet relaxation of cell and ions (r2SCAN weights)."""

    fmax_ev_per_angstrom: float = Field(0.05, gt=0, description="largest force left")
    max_steps: int = Field(150, ge=1, description="LBFGS steps before it is called unrelaxed")
    rattle_angstrom: float = Field(0.02, ge=0, description="seeded noise before relaxing")


class Structures(Section):
    """Which crystals are built."""

    seed: int = Field(1, ge=0, description="seed of every random choice in this stage")
    formula_units: int = Field(4, ge=1, description="LiMO2 units in a cell, 4 atoms each")
    relaxation: Relaxation = Relaxation()
    series: list[Series] = Field(min_length=1, description="the compositions")

    @model_validator(mode="after")
    def _fits_the_cell(self) -> Structures:
        for i, series in enumerate(self.series):
            try:
                check_series_fits(series, series.formula_units or self.formula_units)
            except ValueError as fault:
                problem, fix, key = str(fault).rsplit("|", 2)
                raise ValueError(f"{problem}|{fix}|series.{i}.{key}") from None
        return self


class Gpaw(Section):
    """GPAW: plane waves, spin-polarised PBE+U, initial-state core orbitals on all atoms."""

    plane_wave_cutoff_ev: float = Field(300.0, ge=200, description="plane-wave cutoff")
    kpoint_spacing_per_angstrom: float = Field(
        0.7, gt=0, description="largest distance of k points (2 pi included), shifted mesh"
    )
    smearing_ev: float = Field(0.1, gt=0, description="Fermi-Dirac width")
    hubbard_u_ev: dict[Metal, float] = Field(
        {"Mn": 3.9, "Co": 3.32, "Ni": 6.2}, description="U on the 3d shell (Materials Project)"
    )
    spectrum_max_ev: float = Field(35.0, ge=30, description="highest final state above E_F")
    density_tolerance: float = Field(1e-3, gt=0, description="SCF: electrons per valence electron")
    max_scf_steps: int = Field(120, ge=1, description="SCF steps of one attempt")


class Multiplet(Section):
    """Multiplets: exact diagonalisation of 2p-3d with ligand field and one ligand shell."""

    charge_transfer: bool = Field(True, description="keep one ligand shell; false: crystal field")
    ligand_holes: dict[IonName, Annotated[int, Field(ge=1, le=10)]] = Field(
        {"Mn2+": 1, "Mn3+": 1, "Mn4+": 1, "Co4+": 2},
        description="ligand holes kept at most; all of them where an ion is not named",
    )
    bond_cutoff_angstrom: float = Field(2.7, gt=1.5, description="oxygen nearer than this is bound")
    temperature_k: float = Field(300.0, gt=0, description="of the Boltzmann average")
    lanczos_steps: int = Field(200, ge=20, description="length of the continued fraction")
    ions: dict[IonName, dict[IonParameter, float]] = Field(
        {}, description="ion: its numbers that replace those of resources/multiplet.yaml"
    )


class Sites(Section):
    """Which sites an engine that works site by site computes, and in which batches."""

    select: Literal["all", "inequivalent", "near_defects"] = Field(
        "inequivalent",
        description="all; one of each set of symmetry-equivalent sites; or the nearest to each "
        "defect and a sample of the rest",
    )
    symmetry_tolerance_angstrom: float = Field(
        0.05, gt=0, description="inequivalent: how far an atom may be from its symmetric place"
    )
    nearest: int = Field(6, ge=1, description="near_defects: sites of an edge kept at each defect")
    sample: int = Field(4, ge=1, description="near_defects: seeded sample of the other sites")
    seed: int = Field(1, ge=0, description="near_defects: seed of that sample")
    sites_per_job: int = Field(
        24, ge=1, description="sites of one structure that one job computes, one after the other"
    )


def _command_of(program: str) -> BeforeValidator:
    """Lets a name stand for a whole command, and ``program`` for what is not named."""

    def spelt_out(value: Any) -> Any:
        if isinstance(value, str | list):
            return {"run": value}
        return {"run": program} | value if isinstance(value, dict) else value

    return BeforeValidator(spelt_out, json_schema_input_type=str | list[str] | Command)


def _one_program(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Command(Section):
    """How a program of yours is started; its name or path alone will do."""

    run: Annotated[
        list[str], BeforeValidator(_one_program, json_schema_input_type=str | list[str])
    ] = Field(
        [],
        min_length=1,
        description="name on PATH or path, the engine's where empty; a list runs in its order",
    )
    module: str | None = Field(None, description="environment module to load before")
    image: str | None = Field(None, description="apptainer image (file or URI) that holds it")

    @model_validator(mode="after")
    def _one_place(self) -> Command:
        if self.module and self.image:
            raise ValueError("module and image together|give one of them|")
        return self


FDMNES_RADIUS_ANGSTROM = {
    **{"O K": 6.0, "Li K": 6.0},
    **{"Mn L2,3": 5.75, "Co L2,3": 5.5, "Ni L2,3": 6.5},
    **{"Mn K": 5.75, "Co K": 5.5, "Ni K": 6.5},
}


class Fdmnes(Section):
    """FDMNES of your own: finite differences or multiple scattering (Green) around one absorber."""

    command: Annotated[Command, _command_of("fdmnes")] = Field(
        Command(run=["fdmnes"]), description="how FDMNES is started"
    )
    time_limit_hours: float = Field(48.0, gt=0, description="of one run; then it has failed")
    absorbers: Literal["site", "structure"] = Field(
        "site",
        description="`Absorber`: a run for each of `sites`; or `Z_absorber`: one run for all atoms "
        "of an element",
    )
    range_ev: list[float] = Field(
        [-5.0, 0.2, 45.0], description="`Range` about E_F: energy, step, energy, step, ..., energy"
    )
    energpho: bool = Field(True, description="`Energpho`: photon energies in FDMNES's own files")
    quadrupole: bool = Field(True, description="`Quadrupole`: E1E2 and E2E2 beside the dipole")
    memory_save: bool = Field(True, description="`Memory_save`")
    relativism: bool = Field(True, description="`Relativism`")
    pbe: bool = Field(
        True, description="`PBE`; false for releases without it (2021): Hedin-Lundqvist"
    )
    scf: bool = Field(True, description="`SCF`, or `SCFexc` where the absorber is excited")
    excited: Annotated[list[Literal["K", "L2,3"]], Unique] = Field(
        ["K"], description="edges with `Excited`, a core hole in the absorber"
    )
    radius_angstrom: Annotated[
        dict[EdgeName, Annotated[float, Field(gt=0)]],
        AfterValidator(lambda given: FDMNES_RADIUS_ANGSTROM | given),
    ] = Field(FDMNES_RADIUS_ANGSTROM, description="edge: `Radius` of the cluster")
    green: bool = Field(
        False, description="`Green`: multiple scattering; false: finite differences"
    )
    convolution: bool = Field(True, description="`Convolution`: keep FDMNES's own broadening too")

    @model_validator(mode="after")
    def _range_is_one(self) -> Fdmnes:
        points, steps = self.range_ev[::2], self.range_ev[1::2]
        if len(self.range_ev) % 2 == 0 or not steps or min(steps) <= 0 or sorted(points) != points:
            raise ValueError(
                "not energies with steps between them|use [-5, 0.2, 45], for instance|range_ev"
            )
        if points[0] >= 0 or points[-1] < 30:
            raise ValueError("it begins above E_F or ends below 30 eV|span both|range_ev")
        return self


class Elnes(Section):
    """FEFF's ELNES card: EELS, averaged over orientations."""

    beam_energy_kev: float = Field(300.0, gt=0, description="of the electrons")
    collection_mrad: float = Field(10.0, gt=0, description="semi-angle of collection")
    convergence_mrad: float = Field(10.0, ge=0, description="semi-angle of convergence")


class Feff(Section):
    """FEFF 9 or 10 of your own: real-space multiple scattering around one absorber."""

    command: Annotated[Command, _command_of("feff")] = Field(
        Command(run=["feff"]), description="the script `feff`, or the list of FEFF's modules"
    )
    time_limit_hours: float = Field(24.0, gt=0, description="of one level at one site")
    cluster_radius_angstrom: float = Field(6.0, gt=0, description="atoms written to `ATOMS`")
    scf_radius_angstrom: float | None = Field(
        4.0, gt=0, description="`SCF`; null: free-atom potentials, wrong for O K"
    )
    scf_max_steps: int = Field(100, ge=1, description="`SCF`: iterations")
    scf_mixing: float = Field(0.2, gt=0, le=1, description="`SCF`: share of the new density")
    scf_first_mixing_steps: int = Field(
        3, ge=1, le=30, description="`SCF`: iterations before Broyden"
    )
    fms_radius_angstrom: float = Field(5.5, gt=0, description="`FMS`: full multiple scattering")
    angular_momentum_max: int = Field(2, ge=1, le=4, description="l in `SCF` and `FMS`")
    core_hole: Literal["FSR", "RPA", "None"] = Field(
        "FSR", description="`COREHOLE`: final-state rule, screened by RPA, or none"
    )
    exchange: Literal[0, 1, 2, 3, 5] = Field(
        0, description="`EXCHANGE`: 0 Hedin-Lundqvist, 1 Dirac-Hara, 2 ground state, 3, 5"
    )
    k_max_per_angstrom: float = Field(4.0, ge=3, description="`XANES`: last wave number")
    k_step_per_angstrom: float = Field(0.07, gt=0, description="`XANES`: step above the edge")
    near_edge_step_ev: float = Field(0.1, gt=0, description="`XANES`: step at the edge")
    elnes: Elnes | None = Field(
        None, description="`ELNES` in place of `XANES`: all of its spectra are EELS"
    )

    @model_validator(mode="after")
    def _cluster_holds_the_rest(self) -> Feff:
        largest = max(self.fms_radius_angstrom, self.scf_radius_angstrom or 0.0)
        if self.cluster_radius_angstrom < largest:
            raise ValueError(
                f"{self.cluster_radius_angstrom:g} A hold no FMS or SCF of {largest:g} A"
                "|make it as large|cluster_radius_angstrom"
            )
        return self


class Simulation(Section):
    """Which engine computes which edge, and how."""

    edges: dict[EdgeName, EngineName] = Field(
        min_length=1, description="edge: engine that computes it"
    )
    core_hole: dict[EdgeName, CoreHole] = Field(
        {},
        description="edge of gpaw: none (one run for all sites), half or full (one run a site)",
    )
    stored: str | None = Field(
        None,
        description="folder of finished structures and simulations "
        "(`python -m corefuse.simulate.stored`), taken where they are the very ones asked for",
    )
    sites: Sites = Sites()
    gpaw: Gpaw = Gpaw()
    multiplet: Multiplet = Multiplet()
    fdmnes: Fdmnes = Fdmnes()
    feff: Feff = Feff()

    def engines(self) -> dict[str, list[str]]:
        """Engine name -> its edges, in the order of ``EDGES`` however the config is sorted."""
        out: dict[str, list[str]] = {}
        for edge in (e for e in EDGES if e in self.edges):
            hole = self.core_hole.get(edge, "none") != "none"
            out.setdefault(HOLE_ENGINE if hole else self.edges[edge], []).append(edge)
        return out

    def settings(self, engine: str) -> dict[str, Any]:
        """An engine's own section as plain data; that of core holes is GPAW's and the holes."""
        if engine == HOLE_ENGINE:
            holes = {e: h for e, h in self.core_hole.items() if h != "none"}
            return self.gpaw.model_dump(mode="json") | {"core_hole": holes}
        section: BaseModel = getattr(self, engine)
        return section.model_dump(mode="json")

    def request(self, engine: str) -> str:
        """Edges and settings of an engine, all of the config that its results depend on."""
        return canonical({"edges": self.engines()[engine], "settings": self.settings(engine)})

    @model_validator(mode="after")
    def _holes_are_gpaws(self) -> Simulation:
        for edge, hole in self.core_hole.items():
            if hole != "none" and self.edges.get(edge) != "gpaw":
                raise ValueError(
                    f"gpaw does not compute {edge}|set simulation.edges.{edge} to gpaw or drop the "
                    f"core hole|core_hole.{edge}"
                )
        return self


class TechniqueSettings(Section):
    """One way to measure: its instrument width and the edges taken with it."""

    gaussian_fwhm_ev: float = Field(gt=0, description="instrument width, full width at half max")
    edges: Annotated[list[EdgeName], Unique] = Field(
        min_length=1, description="edges simulated for this technique"
    )


class Spectra(Section):
    """From unbroadened site spectra to calibrated, normalised edges."""

    techniques: dict[Technique, TechniqueSettings] = Field(
        min_length=1, description="technique: its width and edges"
    )
    final_state_lorentzian_fwhm_per_ev: float = Field(
        0.1, ge=0, description="growth of the lifetime width with energy above the edge"
    )
    l2_extra_lorentzian_fwhm_ev: float = Field(
        0.4, ge=0, description="Coster-Kronig width of L2 on top of the tabulated one"
    )

    def modalities(self) -> list[str]:
        """Ids such as ``O_K-XAS``, in the order of ``TECHNIQUES`` and ``EDGES``."""
        taken = [(t, self.techniques[t].edges) for t in TECHNIQUES if t in self.techniques]
        return [modality_id(e, t) for t, edges in taken for e in EDGES if e in edges]


class Dataset(Section):
    """Augmentation and the structures kept away from training."""

    seed: int = Field(1, ge=0, description="seed of every augmented view")
    views: int = Field(8, ge=1, description="noisy views of each structure")
    mixtures: int = Field(
        0,
        ge=0,
        description="for each structure as many mixtures of two of its parent, as half-charged "
        "electrodes are: numbers between those of the cells",
    )
    signal_to_noise: float = Field(60.0, gt=0, description="SNR at the edge maximum")
    shift_ev: float = Field(0.15, ge=0, description="standard deviation of the energy shift")
    broadening_jitter_ev: float = Field(
        0.2, ge=0, description="largest extra Gaussian FWHM of a view"
    )
    axis_gain: float = Field(
        0.005, ge=0, lt=0.1, description="standard deviation of the stretch of the energy axis"
    )
    white_line: float = Field(
        0.0,
        ge=0,
        description="largest share by which a view's maximum is raised: without a core "
        "hole white lines are too low",
    )
    background: float = Field(
        0.02, ge=0, description="residual linear background, share of the mean intensity"
    )
    continuum: float = Field(
        0.05, ge=0, description="residual step anywhere in the window, share of the mean intensity"
    )
    holdout_parents: list[Name] = Field(
        [],
        description="parents never trained on, with all others of the same crystal; infer "
        "reads their structures",
    )


class Train(Section):
    """Targets, modality subsets and the nested, grouped cross-validation."""

    seed: int = Field(1, ge=0, description="seed of folds, search and bootstrap")
    targets: Annotated[list[Target], Unique] = Field(
        list(TARGETS), min_length=1, description="what is predicted"
    )
    subsets: dict[Name, Literal["each", *TECHNIQUES] | list[str]] = Field(
        {"each": "each", "XAS": "XAS", "EELS": "EELS", "all": ["all"]},
        description="name: 'each' (one model a modality), a technique, [all], or modality ids",
    )
    outer_folds: int = Field(5, ge=2, description="grouped folds that are scored")
    inner_folds: int = Field(3, ge=2, description="grouped folds that optuna tunes on")
    trials: int = Field(20, ge=1, description="optuna trials of each search")
    max_trees: int = Field(300, ge=10, description="upper end of the number of trees")
    bootstrap: int = Field(1000, ge=100, description="resamples of groups for the intervals")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="level of the score intervals")


class MeasuredSpectrum(Section):
    """One measured file and the edge it holds."""

    edge: EdgeName = Field(description="edge in the file")
    technique: Technique = Field(description="XAS or EELS")
    file: str = Field(
        description=".msa .dm3 .dm4 .hspy .emd .json, or a table as text; from the run's folder"
    )
    column: int | str | None = Field(
        None,
        description="intensity column: its name, its number from 1, or keys into a .json "
        "(intensity.0); null: by its usual name",
    )
    energy_column: int | str | None = Field(
        None, description="energy column likewise; null: by its name, else the first"
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
        None, description="file with the zero-loss peak: plural scattering is taken out"
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


class Report(Section):
    """Looks of the report."""

    title: str = Field("corefuse", description="headline of the report")
    png_dpi: int = Field(150, ge=50, description="resolution of the PNG figures")


class Config(Section):
    """A whole run."""

    name: Name = Field(description="results go to results/<name>")
    structures: Structures
    simulation: Simulation
    spectra: Spectra
    dataset: Dataset = Dataset()
    train: Train = Train()
    infer: Infer = Infer()
    report: Report = Report()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for technique, settings in self.spectra.techniques.items():
            for edge in settings.edges:
                if edge not in self.simulation.edges:
                    raise ValueError(
                        f"no engine computes {edge!r}|add '{edge}: gpaw' to simulation.edges "
                        f"or drop it here|spectra.techniques.{technique}.edges"
                    )
        known = self.spectra.modalities()
        _check_subsets(resolve_subsets(self), known)
        _check_samples(self.infer.samples, known)
        for i, image in enumerate(self.infer.images):
            unknown = [e for e in image.edges if modality_id(e, "EELS") not in known]
            if unknown:
                raise ValueError(
                    f"{unknown[0]} is not simulated for EELS, so no model reads it"
                    f"|add it to spectra.techniques.EELS|infer.images.{i}.edges"
                )
        return self


@cache
def model() -> type[Config]:
    """:class:`Config`, with a section for each engine that brings its ``Settings`` in its file.

    The sections of the engines that come with corefuse stand here, since to import an engine takes
    a second that no job should pay.
    """
    own = {
        name: getattr(importlib.import_module(f"corefuse.engines.{name}"), "Settings", Section)
        for name in ENGINES
        if name not in Simulation.model_fields
    }
    if not own:
        return Config
    sections: dict[str, Any] = {name: (section, section()) for name, section in own.items()}
    simulation = create_model(
        "Simulation", __base__=Simulation, __doc__=Simulation.__doc__, **sections
    )
    return create_model(
        "Config", __base__=Config, __doc__=Config.__doc__, simulation=(simulation, ...)
    )


def resolve_subsets(config: Config) -> dict[str, list[str]]:
    """Subset name -> modality ids, with ``each`` and techniques spelt out; small ones first."""
    every = config.spectra.modalities()
    out: dict[str, list[str]] = {}
    for name, wanted in config.train.subsets.items():
        if wanted == "each":
            out |= {m: [m] for m in every}
        elif wanted == ["all"]:
            out[name] = every
        elif isinstance(wanted, str):
            chosen = [m for m in every if m.endswith(f"-{wanted}")]
            out |= {name: chosen} if chosen else {}
        else:
            out[name] = list(wanted)
    place = {modality: i for i, modality in enumerate(every)}
    order = {n: (len(ms), [place.get(m, -1) for m in ms], n) for n, ms in out.items()}
    return {name: out[name] for name in sorted(out, key=order.__getitem__)}


def _check_subsets(subsets: dict[str, list[str]], known: list[str]) -> None:
    if not subsets:
        raise ValueError("no modality is in any of them|add all: [all]|train.subsets")
    for name, modalities in subsets.items():
        unknown = [m for m in modalities if m not in known]
        if unknown or not modalities or len(modalities) > len(set(modalities)):
            problem = f"{unknown[0]!r} is not simulated" if unknown else "empty or repeated"
            raise ValueError(f"{problem}|use some of {', '.join(known)}|train.subsets.{name}")


def _check_samples(samples: list[Sample], known: list[str]) -> None:
    names = [s.name for s in samples]
    for i, sample in enumerate(samples):
        key = f"infer.samples.{i}"
        if sample.aligned_with and sample.aligned_with not in names:
            raise ValueError(
                f"no sample is called {sample.aligned_with!r}"
                f"|use one of {', '.join(names)}|{key}.aligned_with"
            )
        if sample.name in [s.name for s in samples[:i]]:
            raise ValueError(
                f"there are two samples {sample.name!r}|give each a name of its own|{key}.name"
            )
        measured = [modality_id(s.edge, s.technique) for s in sample.spectra]
        for k, modality in enumerate(measured):
            if modality in measured[:k]:
                raise ValueError(
                    f"{modality} stands there twice|give each edge one file|{key}.spectra"
                )
            if modality not in known:
                raise ValueError(
                    f"{modality} is not simulated, so no model reads it"
                    f"|use {', '.join(known)} or add it to spectra.techniques|{key}.spectra.{k}"
                )


def check_series_fits(series: Series, formula_units: int) -> None:
    """Raise ValueError ``problem|fix|key`` where a series does not fit the cell."""
    counts = {m: f * formula_units for m, f in series.metals().items()}
    if any(abs(n - round(n)) > 0.02 for n in counts.values()):
        asked = ", ".join(f"{m} {n:g}" for m, n in counts.items())
        fits = smallest_fitting_cell(series.metals())
        key = "stoichiometry" if series.stoichiometry else "grade"
        raise ValueError(
            f"{series.grade} does not fit {formula_units} formula units ({asked})"
            f"|use a multiple of {fits} formula_units|{key}"
        )
    for x in series.li_content:
        n_li = x * formula_units
        if abs(n_li - round(n_li)) > 0.02:
            raise ValueError(
                f"{x:g} does not fit {formula_units} formula units"
                f"|use multiples of {1 / formula_units:.4g}|li_content"
            )
        for i, defect in enumerate(series.defects):
            try:
                _check_defect_fits(series, defect, formula_units, round(n_li))
            except ValueError as fault:
                raise ValueError(f"{fault}|defects.{i}") from None


def _check_defect_fits(series: Series, defect: Defect, formula_units: int, n_li: int) -> None:
    n_ni = round(series.metals().get("Ni", 0) * formula_units)
    moved = defect.antisite_pairs + defect.excess_ni
    if moved and not n_ni:
        raise ValueError(f"{series.grade} has no Ni for an antisite|drop the Li/Ni defects here")
    if defect.antisite_pairs > min(n_ni, n_li) or moved > formula_units:
        raise ValueError(
            f"{defect.label} needs more Li or Ni than the cell holds (Li {n_li}, Ni {n_ni})"
            "|use fewer pairs, more Li or a larger cell"
        )
    if defect.oxygen_vacancies >= 2 * formula_units:
        raise ValueError(f"{defect.label} removes all oxygen|use fewer oxygen_vacancies")
    if defect.vacancy_next_to and defect.vacancy_next_to not in series.metals():
        raise ValueError(
            f"{series.grade} has no {defect.vacancy_next_to} for a vacancy to be next to"
            f"|use one of {', '.join(series.metals())}"
        )


def smallest_fitting_cell(fractions: dict[str, float]) -> int:
    """Smallest number of formula units with whole metal counts (denominators up to 60)."""
    size = 1
    for value in fractions.values():
        denominator = Fraction(value).limit_denominator(60).denominator
        size = size * denominator // _gcd(size, denominator)
    return size


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def load(raw: dict[str, Any], file: str | Path) -> Config:
    """Validate a parsed config.

    Raises
    ------
    InputError
        One line with the file, the dotted key and the fix, for the first fault found.
    """
    return _validated(model(), raw, file, [])


def load_series(raw: dict[str, Any], file: str | Path, number: int) -> SpectrumSeries:
    """Validate the entry of that number in ``infer.series``; raises as :func:`load`."""
    return _validated(SpectrumSeries, raw, file, ["infer", "series", str(number)])


def _validated(
    section: type[AnySection], raw: dict[str, Any], file: str | Path, above: list[str]
) -> AnySection:
    try:
        return section.model_validate(raw)
    except ValidationError as err:
        # a misspelt key is also a missing one: the misspelling says more
        worst = min(err.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise _as_input_error(worst, file, above) from None


# What pydantic adds to a location: [key] of a mapping, validators and branches of a union.
_OF_PYDANTIC = re.compile(r"\[key\]|function-|literal\[|list\[")


def _as_input_error(error: ErrorDetails, file: str | Path, above: list[str]) -> InputError:
    where = above + [str(part) for part in error["loc"] if not _OF_PYDANTIC.match(str(part))]
    key = ".".join(where) or "config"
    if error["type"] == "extra_forbidden":
        known = _keys_at(where[:-1])
        close = difflib.get_close_matches(where[-1], known, n=1)
        fix = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        if where == ["engines"]:
            fix = "an engine's keys stand in simulation.<engine>: simulation.fdmnes.command"
        return InputError(file, key, f"unknown key {where[-1]!r}", fix)
    if error["type"] == "missing":
        return InputError(file, key, "missing key", f"add {where[-1]}: see config/README.md")
    message = error["msg"].removeprefix("Value error, ")
    if "|" not in message:
        return InputError(file, key, f"{reprlib.repr(error['input'])} is not valid", message)
    problem, fix, below = message.rsplit("|", 2)
    return InputError(file, ".".join(filter(None, [*where, below])), problem, fix)


def _keys_at(path: list[str]) -> list[str]:
    section: Any = model()
    for part in path:
        known = getattr(section, "model_fields", {})
        if part in known:
            section = _inner_model(known[part].annotation)
    return list(getattr(section, "model_fields", {}))


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    args = getattr(annotation, "__args__", ())
    found = [m for m in map(_inner_model, args) if m is not None]
    return found[0] if found else None


def canonical(section: BaseModel | dict[str, Any] | list[Any]) -> str:
    """A section as one canonical JSON string: the form Snakemake can compare between runs."""
    data = section.model_dump(mode="json") if isinstance(section, BaseModel) else section
    return json.dumps(data, sort_keys=True)
