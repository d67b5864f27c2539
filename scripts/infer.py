"""What the models read in one sample: spectra -> inference/<sample>.csv."""

import pandas as pd

from corefuse.core import edge_table, files
from corefuse.read import infer, match, measured
from corefuse.config import Sample

if snakemake.params.section:
    matched = pd.read_csv(snakemake.input.match)
    found, ill_fitted = matched.set_index("modality"), match.ill_fitted(matched)
    sample = measured.sample(
        Sample.model_validate_json(snakemake.params.section),
        edge_table.load(snakemake.input.edges),
        found.shift_ev.to_dict(),
        found.blur_fwhm_ev.to_dict(),
    )
else:
    sample, ill_fitted = infer.of_structure(files.read_netcdf(snakemake.input.files[0])), {}
library = infer.Library.load(snakemake.input.models, snakemake.input.domain)
answer = infer.infer(sample, library, snakemake.params.confidence, ill_fitted)
files.write_csv(snakemake.output[0], answer)
