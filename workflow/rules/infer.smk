"""infer: what the models read in held-out structures and in measured samples.

INPUTS   models/, resources/edges.yaml, measured files, config section `infer`;
         `download`, which nothing asks for by itself: resources/data.yaml
OUTPUTS  inference/<sample>.csv, measured/<sample>.csv, images/<image>.nc
"""


wildcard_constraints:
    sample="|".join(map(re.escape, [*HELD_OUT, *MEASURED])) or "none",
    image="|".join(map(re.escape, IMAGES)) or "none",


rule match:
    input:
        files=lambda w: measured_files(fitted_with(w.sample)),
        spectra=expand(P("spectra/{structure_id}.nc"), structure_id=SPECS),
        index=P("structures/index.csv"),
        edges=own("resources/edges.yaml"),
    output:
        P("measured/{sample}.csv"),
    log:
        P.log("match/{sample}"),
    benchmark:
        P.benchmark("match/{sample}")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=lambda w: fit_section(fitted_with(w.sample)),
        code=code_hash("match"),
    script:
        "../../scripts/match.py"


rule infer:
    input:
        files=sample_files,
        match=lambda w: P(f"measured/{w.sample}.csv") if w.sample in MEASURED else [],
        models=expand(P("models/{target}/{subset}.ubj"), target=C.train.targets, subset=SUBSETS),
        cards=expand(P("models/{target}/{subset}.json"), target=C.train.targets, subset=SUBSETS),
        domain=expand(P("models/domain/{subset}.json"), subset=SUBSETS),
        edges=own("resources/edges.yaml"),
    output:
        P("inference/{sample}.csv"),
    log:
        P.log("infer/{sample}"),
    benchmark:
        P.benchmark("infer/{sample}")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=lambda w: cfg.canonical(MEASURED[w.sample]) if w.sample in MEASURED else "",
        confidence=C.infer.confidence,
        code=code_hash("infer"),
    script:
        "../../scripts/infer.py"


rule image:
    input:
        file=lambda w: [f for f in (IMAGES[w.image].file, IMAGES[w.image].low_loss) if f],
        spectra=expand(P("spectra/{structure_id}.nc"), structure_id=SPECS),
        index=P("structures/index.csv"),
        models=expand(P("models/{target}/{subset}.ubj"), target=C.train.targets, subset=SUBSETS),
        cards=expand(P("models/{target}/{subset}.json"), target=C.train.targets, subset=SUBSETS),
        domain=expand(P("models/domain/{subset}.json"), subset=SUBSETS),
        edges=own("resources/edges.yaml"),
    output:
        P("images/{image}.nc"),
    log:
        P.log("image/{image}"),
    benchmark:
        P.benchmark("image/{image}")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=lambda w: cfg.canonical(IMAGES[w.image]),
        bounds=fit_section([]),
        confidence=C.infer.confidence,
        code=code_hash("image"),
    script:
        "../../scripts/image.py"


rule download:
    input:
        manifest=own("resources/data.yaml"),
    log:
        P.log("download"),
    benchmark:
        P.benchmark("download")
    conda:
        "../../envs/analysis.yaml"
    params:
        folder=str(samples.data_folder(C.infer.model_dump())),
    script:
        "../../scripts/download.py"
