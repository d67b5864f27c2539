"""dataset: augmented views with labels; held-out parents and failed structures stay out.

INPUTS   spectra/*.nc, structures/index.csv, resources/edges.yaml, config section `dataset`
OUTPUTS  dataset.nc, dataset.csv, failed.csv
"""


rule dataset:
    input:
        spectra=expand(P("spectra/{structure_id}.nc"), structure_id=SPECS),
        index=P("structures/index.csv"),
        edges=own("resources/edges.yaml"),
    output:
        data=P("dataset.nc"),
        table=P("dataset.csv"),
        failed=P("failed.csv"),
    log:
        P.log("dataset"),
    benchmark:
        P.benchmark("dataset")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=cfg.canonical(C.dataset),
        modalities=cfg.canonical(MODALITIES),
        code=code_hash("dataset"),
    script:
        "../../scripts/dataset.py"
