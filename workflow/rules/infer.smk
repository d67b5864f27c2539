"""infer: what the models read in held-out structures and in measured samples.

INPUTS   models/, resources/edges.yaml, measured files, config section `infer`
OUTPUTS  inference/<sample>.csv
"""


wildcard_constraints:
    sample="|".join(map(re.escape, [*HELD_OUT, *MEASURED])) or "none",


rule infer:
    input:
        files=sample_files,
        models=expand(P("models/{target}/{subset}.ubj"), target=C.train.targets, subset=SUBSETS),
        cards=expand(P("models/{target}/{subset}.json"), target=C.train.targets, subset=SUBSETS),
        domain=expand(P("models/domain/{subset}.json"), subset=SUBSETS),
        edges="resources/edges.yaml",
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
