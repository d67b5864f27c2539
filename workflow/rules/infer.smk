"""infer: what the models read in held-out structures and in measured samples.

INPUTS   models/, measured files, config section `infer`;
         `download`, which nothing asks for by itself: resources/data.yaml
OUTPUTS  inference/<name>.csv, measured/<name>.nc and .csv (name: of a sample or series),
         images/<image>.nc
"""


wildcard_constraints:
    sample=one_of(HELD_OUT),
    unit=one_of(UNITS),
    image=one_of(IMAGES),


LIBRARY = {
    "models": expand(P("models/{target}/{subset}.ubj"), target=C.train.targets, subset=SUBSETS),
    "cards": expand(P("models/{target}/{subset}.json"), target=C.train.targets, subset=SUBSETS),
    "domain": expand(P("models/domain/{subset}.json"), subset=SUBSETS),
}


# One job for all spectra of a series: a job starts in seconds and reads thousands in one.
rule read:
    input:
        **LIBRARY,
        files=lambda w: measured_files(read_with(w.unit)),
        simulated=P("models/simulated.nc"),
    output:
        spectra=P("measured/{unit}.nc"),
        matched=P("measured/{unit}.csv"),
        answers=P("inference/{unit}.csv"),
    log:
        P.log("read/{unit}"),
    benchmark:
        P.benchmark("read/{unit}")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=lambda w: samples_section(read_with(w.unit)),
        wanted=lambda w: cfg.canonical([s.name for s in UNITS[w.unit]]),
        confidence=C.infer.confidence,
        code=code_hash("read"),
    script:
        "../../scripts/read.py"


rule infer:
    input:
        **LIBRARY,
        spectra=P("spectra/{sample}.nc"),
    output:
        P("inference/{sample}.csv"),
    log:
        P.log("infer/{sample}"),
    benchmark:
        P.benchmark("infer/{sample}")
    conda:
        "../../envs/analysis.yaml"
    params:
        confidence=C.infer.confidence,
        code=code_hash("infer"),
    script:
        "../../scripts/infer.py"


rule image:
    input:
        **LIBRARY,
        file=lambda w: [f for f in (IMAGES[w.image].file, IMAGES[w.image].low_loss) if f],
        simulated=P("models/simulated.nc"),
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
