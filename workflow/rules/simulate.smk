"""simulate: unbroadened site spectra, one job a structure and engine.

INPUTS   structures/<structure_id>.json, config section `simulation`; for an engine that reads
         another's moments and core-level shifts, that one's raw file, if it runs
OUTPUTS  raw/<engine>/<structure_id>.nc (a run that failed says so inside)
"""


rule simulate:
    input:
        structure=P("structures/{structure_id}.json"),
        raw=raw_of_others,
        resources=lambda w: checks.engine_inputs(w.engine, ENGINE_EDGES)[1],
    output:
        ensure(P("raw/{engine}/{structure_id}.nc"), non_empty=True),
    log:
        P.log("simulate/{engine}/{structure_id}"),
    benchmark:
        P.benchmark("simulate/{engine}/{structure_id}")
    conda:
        engine_env
    resources:
        mem_mb=engine_memory_mb,
        runtime=lambda w, attempt: 240 * attempt,
    params:
        section=lambda w: cfg.canonical(
            {
                "edges": ENGINE_EDGES[w.engine],
                "settings": getattr(C.simulation, w.engine).model_dump(mode="json"),
            }
        ),
        revision=lambda w: checks.engine_revision(w.engine),
        shared=lambda w: P(f"raw/{w.engine}/shared"),
    script:
        "../../scripts/simulate.py"
