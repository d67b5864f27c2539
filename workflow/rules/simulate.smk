"""simulate: unbroadened site spectra, one job per structure and engine, or a batch of its sites.

INPUTS   structures/<structure_id>.json, config section `simulation`; for an engine that reads
         another's moments and core-level shifts, that one's raw file, if it runs
OUTPUTS  raw/<engine>/<structure_id>.nc (a run that failed says so inside)

An engine that works site by site goes begin (what all sites of a structure start from) -> sites
(batches; each site is kept as it finishes, see corefuse.simulate.sites) -> collect.
"""


rule simulate:
    input:
        structure=P("structures/{structure_id}.json"),
        raw=raw_of_others,
        resources=lambda w: jobs.inputs(w.engine, ENGINE_EDGES)[1],
    output:
        ensure(P("raw/{engine}/{structure_id}.nc"), non_empty=True),
    log:
        P.log("simulate/{engine}/{structure_id}"),
    benchmark:
        P.benchmark("simulate/{engine}/{structure_id}")
    wildcard_constraints:
        engine=one_of(e for e in ENGINE_EDGES if e not in SITE_ENGINES),
    conda:
        engine_env
    threads: lambda w: jobs.threads(w.engine)
    resources:
        mem_mb=engine_memory_mb,
        runtime=engine_minutes,
    params:
        section=engine_section,
        revision=lambda w: jobs.revision(w.engine),
        more_time=lambda w: more_time(w, P(f"raw/{w.engine}")),
        shared=P("raw/{engine}/shared"),
    script:
        "../../scripts/simulate.py"


rule begin:
    input:
        structure=P("structures/{structure_id}.json"),
    output:
        temp(P("raw/{engine}/begin/{structure_id}")),
    log:
        P.log("begin/{engine}/{structure_id}"),
    benchmark:
        P.benchmark("begin/{engine}/{structure_id}")
    wildcard_constraints:
        engine=one_of(SITE_ENGINES),
    conda:
        engine_env
    threads: lambda w: jobs.threads(w.engine)
    resources:
        mem_mb=engine_memory_mb,
        runtime=engine_minutes,
    params:
        section=engine_section,
        revision=lambda w: jobs.revision(w.engine),
        shared=P("raw/{engine}/shared"),
    script:
        "../../scripts/begin.py"


rule sites:
    input:
        structure=P("structures/{structure_id}.json"),
        begin=P("raw/{engine}/begin/{structure_id}"),
    output:
        P("raw/{engine}/sites/{structure_id}/batch-{batch}-of-{batches}.json"),
    log:
        P.log("sites/{engine}/{structure_id}/batch-{batch}-of-{batches}"),
    benchmark:
        P.benchmark("sites/{engine}/{structure_id}-{batch}-of-{batches}")
    wildcard_constraints:
        engine=one_of(SITE_ENGINES),
    conda:
        engine_env
    threads: lambda w: jobs.threads(w.engine)
    resources:
        mem_mb=engine_memory_mb,
        runtime=engine_minutes,
    params:
        section=engine_section,
        select=cfg.canonical(C.simulation.sites),
        revision=lambda w: jobs.revision(w.engine),
        more_time=lambda w: more_time(w, P(f"raw/{w.engine}/sites/{w.structure_id}")),
        shared=P("raw/{engine}/shared"),
    script:
        "../../scripts/sites.py"


rule collect:
    input:
        lambda w: batches_of(w.engine, w.structure_id),
    output:
        P("raw/{engine}/{structure_id}.nc"),
    log:
        P.log("collect/{engine}/{structure_id}"),
    benchmark:
        P.benchmark("collect/{engine}/{structure_id}")
    wildcard_constraints:
        engine=one_of(SITE_ENGINES),
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code_hash("collect"),
    script:
        "../../scripts/collect.py"
