"""spectra: calibrated, broadened, normalised edges on standard grids.

INPUTS   raw/<engine>/*.nc, structures/index.csv, resources/edges.yaml, config section `spectra`
OUTPUTS  calibration.json, spectra/<structure_id>.nc
"""


rule calibrate:
    input:
        raw=ALL_RAW,
        index=P("structures/index.csv"),
        edges=own("resources/edges.yaml"),
    output:
        P("calibration.json"),
    log:
        P.log("calibrate"),
    benchmark:
        P.benchmark("calibrate")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=cfg.canonical(C.spectra),
        code=code_hash("calibrate"),
    script:
        "../../scripts/calibrate.py"


rule spectra:
    input:
        raw=ALL_RAW,
        calibration=P("calibration.json"),
        index=P("structures/index.csv"),
        edges=own("resources/edges.yaml"),
    output:
        expand(P("spectra/{structure_id}.nc"), structure_id=SPECS),
    log:
        P.log("spectra"),
    benchmark:
        P.benchmark("spectra")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=cfg.canonical(C.spectra),
        code=code_hash("spectra"),
    script:
        "../../scripts/spectra.py"
