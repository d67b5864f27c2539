"""What the models read in one sample: spectra -> inference/<sample>.csv."""

import pandas as pd

from corefuse import edge_table, files, infer, measured
from corefuse.config import Sample

if snakemake.params.section:
    found = pd.read_csv(snakemake.input.match).set_index("modality")
    sample = measured.sample(
        Sample.model_validate_json(snakemake.params.section),
        edge_table.load(snakemake.input.edges),
        found.shift_ev.to_dict(),
        found.blur_fwhm_ev.to_dict(),
    )
else:
    sample = infer.of_structure(files.read_netcdf(snakemake.input.files[0]))
library = infer.Library.load(snakemake.input.models, snakemake.input.domain)
files.write_csv(snakemake.output[0], infer.infer(sample, library, snakemake.params.confidence))
