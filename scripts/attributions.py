"""SHAP along the energy axis: every target's model and dataset.nc -> shap/<target>.csv."""

from corefuse.learn import attributions, models
from corefuse.core import files

dataset = files.read_netcdf(snakemake.input.data)
for model, output in zip(snakemake.input.models, snakemake.output, strict=True):
    files.write_csv(output, attributions.attributions(models.load_model(model), dataset))
