"""The typed configuration: single source of the defaults, the checks and the key reference.

One module per section. Importing this package is cheap (pydantic only), because the Snakefile
imports it in every job.
"""

from corefuse.config.command import Command, deciding
from corefuse.config.dataset import Dataset
from corefuse.config.fdmnes import Fdmnes
from corefuse.config.feff import Elnes, Feff
from corefuse.config.gpaw import Gpaw
from corefuse.config.infer import (
    EnergyReference,
    Image,
    Infer,
    MeasuredSpectrum,
    Sample,
    SpectrumSeries,
)
from corefuse.config.load import load, load_entry, read
from corefuse.config.local import Local
from corefuse.config.multiplet import Multiplet
from corefuse.config.report import Report
from corefuse.config.run import Config, model, not_read, resolve_subsets
from corefuse.config.simulation import ENGINES, HOLE_ENGINE, Simulation, Sites
from corefuse.config.spectra import Spectra, TechniqueSettings
from corefuse.config.structures import (
    GRADES,
    Defect,
    OwnStructures,
    PointDefect,
    Relaxation,
    Series,
    Structures,
    check_series_fits,
    smallest_fitting_cell,
)
from corefuse.config.train import Train
from corefuse.core.edges import modality_id
from corefuse.core.errors import InputError
from corefuse.core.section import Section, canonical
from corefuse.core.vocabulary import (
    ION_PARAMETERS,
    IONS,
    METALS,
    TARGETS,
    EdgeName,
    IonName,
    IonParameter,
    Metal,
    Name,
    Target,
    Technique,
)

__all__ = [
    "ENGINES",
    "GRADES",
    "HOLE_ENGINE",
    "IONS",
    "ION_PARAMETERS",
    "METALS",
    "TARGETS",
    "Command",
    "Config",
    "Dataset",
    "Defect",
    "EdgeName",
    "Elnes",
    "EnergyReference",
    "Fdmnes",
    "Feff",
    "Gpaw",
    "Image",
    "Infer",
    "InputError",
    "IonName",
    "IonParameter",
    "Local",
    "MeasuredSpectrum",
    "Metal",
    "Multiplet",
    "Name",
    "OwnStructures",
    "PointDefect",
    "Relaxation",
    "Report",
    "Sample",
    "Section",
    "Series",
    "Simulation",
    "Sites",
    "Spectra",
    "SpectrumSeries",
    "Structures",
    "Target",
    "Technique",
    "TechniqueSettings",
    "Train",
    "canonical",
    "check_series_fits",
    "deciding",
    "load",
    "load_entry",
    "modality_id",
    "model",
    "not_read",
    "read",
    "resolve_subsets",
    "smallest_fitting_cell",
]
