"""SHAP along the energy axis for one target: its model and dataset.nc -> shap/<target>.csv."""

from corefuse import attributions, files, models

table = attributions.attributions(
    models.load_model(snakemake.input.model), files.read_netcdf(snakemake.input.data)
)
files.write_csv(snakemake.output[0], table)
