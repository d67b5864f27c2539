"""A spectrum image read pixel by pixel -> images/<image>.nc."""

import pandas as pd

from corefuse.core import edge_table, files
from corefuse.read import image, infer, match, measured
from corefuse.spectra import process
from corefuse.config import Image, Infer

wanted = Image.model_validate_json(snakemake.params.section)
bounds, table = (
    Infer.model_validate_json(snakemake.params.bounds),
    edge_table.load(snakemake.input.edges),
)
simulated, mean = process.read_usable(snakemake.input.spectra), image.as_sample(wanted)
fits = {
    mean.name: match.fit_sample(mean, table, simulated, pd.read_csv(snakemake.input.index), bounds)
}
found = match.table([mean], fits, measured.notes([mean], table), table).set_index("modality")
shifts, blurs = found.shift_ev.to_dict(), found.blur_fwhm_ev.to_dict()
prepared = image.read(wanted, table, shifts, blurs)
library = infer.Library.load(snakemake.input.models, snakemake.input.domain)
maps = image.maps(prepared, library, snakemake.params.confidence)
files.write_netcdf(snakemake.output[0], maps.merge(prepared).assign_attrs(fit=found.to_csv()))
