"""train: one model per target and modality subset, scored by nested, grouped cross-validation.

INPUTS   dataset.nc, config section `train`
OUTPUTS  models/<target>/<subset>.ubj and .json, models/<target>/predictions.csv and curve.csv,
         models/domain/<subset>.json, models/simulated.nc, metrics.csv
"""

# A target more or less retrains no other; subsets are spelt out in a param of their own.
TRAIN_SECTION = cfg.canonical(C.train.model_dump(mode="json", exclude={"targets", "subsets"}))


rule train:
    input:
        training_data,
    output:
        models=expand(P("models/{{target}}/{subset}.ubj"), subset=SUBSETS),
        cards=expand(P("models/{{target}}/{subset}.json"), subset=SUBSETS),
        metrics=P("models/{target}/metrics.csv"),
        predictions=P("models/{target}/predictions.csv"),
        curve=P("models/{target}/curve.csv"),
    log:
        P.log("train/{target}"),
    benchmark:
        P.benchmark("train/{target}")
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 240 * attempt,
    params:
        section=TRAIN_SECTION,
        subsets=cfg.canonical(SUBSETS),
        code=code_hash("train"),
    script:
        "../../scripts/train.py"


rule domain:
    input:
        P("dataset.nc"),
    output:
        expand(P("models/domain/{subset}.json"), subset=SUBSETS),
    log:
        P.log("domain"),
    benchmark:
        P.benchmark("domain")
    conda:
        "../../envs/analysis.yaml"
    params:
        subsets=cfg.canonical(SUBSETS),
        seed=C.train.seed,
        code=code_hash("domain"),
    script:
        "../../scripts/domain.py"


rule simulated:
    input:
        spectra=expand(P("spectra/{structure_id}.nc"), structure_id=SPECS),
        index=P("structures/index.csv"),
        edges=own("resources/edges.yaml"),
    output:
        P("models/simulated.nc"),
    log:
        P.log("simulated"),
    benchmark:
        P.benchmark("simulated")
    conda:
        "../../envs/analysis.yaml"
    params:
        dataset=cfg.canonical(C.dataset),
        bounds=BOUNDS,
        code=code_hash("simulated"),
    script:
        "../../scripts/simulated.py"


rule metrics:
    input:
        expand(P("models/{target}/metrics.csv"), target=C.train.targets),
    output:
        P("metrics.csv"),
    log:
        P.log("metrics"),
    benchmark:
        P.benchmark("metrics")
    conda:
        "../../envs/analysis.yaml"
    script:
        "../../scripts/metrics.py"


rule local:
    input:
        raw=ALL_RAW,
        structures=expand(f"{STORED}/structures/{{structure_id}}.json", structure_id=SPECS),
        index=P("structures/index.csv"),
        calibration=P("calibration.json"),
        edges=own("resources/edges.yaml"),
    output:
        data=expand(P("local/{modality}.nc"), modality=C.local.modalities),
        scores=P("local/metrics.csv"),
    log:
        P.log("local"),
    benchmark:
        P.benchmark("local")
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 240 * attempt,
    params:
        section=cfg.canonical(C.local),
        spectra=cfg.canonical(C.spectra),
        train=TRAIN_SECTION,
        code=code_hash("local"),
    script:
        "../../scripts/local.py"
