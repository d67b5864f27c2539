"""structures: the crystals, built and relaxed one by one.

INPUTS   config section `structures`
OUTPUTS  structures/<structure_id>.json, structures/index.csv
"""


rule structure:
    output:
        P("structures/{structure_id}.json"),
    log:
        P.log("structure/{structure_id}"),
    benchmark:
        P.benchmark("structure/{structure_id}")
    conda:
        "../../envs/structures.yaml"
    resources:
        mem_mb=lambda w, attempt: cluster.asked(3000, 30, attempt, MOST)[0],
        runtime=lambda w, attempt: cluster.asked(3000, 30, attempt, MOST)[1],
    params:
        section=lambda w: SPECS[w.structure_id].to_json(),
        revision=specs.REVISION,
    script:
        "../../scripts/structure.py"


rule structure_index:
    input:
        expand(f"{STORED}/structures/{{structure_id}}.json", structure_id=SPECS),
    output:
        P("structures/index.csv"),
    log:
        P.log("structure_index"),
    benchmark:
        P.benchmark("structure_index")
    conda:
        "../../envs/structures.yaml"
    params:
        code=code_hash("structure_index"),
    script:
        "../../scripts/structure_index.py"
