"""report: attributions, figures (SVG and PNG), tables and the self-contained HTML report.

INPUTS   everything before, config section `report`
OUTPUTS  shap/<target>.csv, figures/*.svg and *.png, tables/*.html, config.yaml, report.html
"""

WHOLE = max(sorted(SUBSETS), key=lambda s: len(SUBSETS[s]))  # the largest is explained
MEASURED_PAIRS = {
    f"{name}-{modality}": f"{name}: {modality}"
    for name, unit in UNITS.items()
    for modality in dict.fromkeys(
        cfg.modality_id(m.edge, m.technique) for s in unit for m in s.spectra
    )
}
MOST_EMBEDDED = 60  # figures of one kind in report.html; all are in figures/
CARDS = [*HELD_OUT, *(name for name in UNITS if name not in SERIES)]
COMPOSITIONS = cfg.canonical({s.name: s.composition for s in MEASURED.values() if s.composition})
SERIES_PLACES = cfg.canonical(
    [
        {"series": s.series, "sample": s.name, "voltage": s.voltage}
        for s in MEASURED.values()
        if s.series
    ]
)


# One job for all targets: a job starts in 4 s and explains a target in 1 s.
rule attributions:
    input:
        models=expand(P(f"models/{{target}}/{WHOLE}.ubj"), target=C.train.targets),
        data=P("dataset.nc"),
    output:
        expand(P("shap/{target}.csv"), target=C.train.targets),
    log:
        P.log("attributions"),
    benchmark:
        P.benchmark("attributions")
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code_hash("attributions"),
    script:
        "../../scripts/attributions.py"


rule figures_spectra:
    input:
        spectra=expand(P("spectra/{structure_id}.nc"), structure_id=SPECS),
        index=P("structures/index.csv"),
    output:
        by_lithium=figure("spectra_by_lithium", "spectra", "Spectra", "by Li content"),
        by_defect=figure("spectra_by_defect", "spectra", "Spectra", "change by defect"),
        png=[P("figures/spectra_by_lithium.png"), P("figures/spectra_by_defect.png")],
    log:
        P.log("figures_spectra"),
    benchmark:
        P.benchmark("figures_spectra")
    conda:
        "../../envs/analysis.yaml"
    params:
        modalities=cfg.canonical(MODALITIES),
        section=cfg.canonical(C.report),
        structures=cfg.canonical(C.structures),
        simulation=SIMULATION_SECTION,
        spectra=cfg.canonical(C.spectra),
        windows=windows,
        code=code_hash("figures_spectra"),
    script:
        "../../scripts/figures_spectra.py"


rule figures_scores:
    input:
        metrics=P("metrics.csv"),
        predictions=expand(P("models/{target}/predictions.csv"), target=C.train.targets),
        curves=expand(P("models/{target}/curve.csv"), target=C.train.targets),
    output:
        parity=figure("parity", "scores", "Scores", "prediction against truth"),
        scores=figure("scores", "scores", "Scores", "error by modality subset"),
        curves=figure("learning_curves", "scores", "Scores", "error by number of parents"),
        png=[P(f"figures/{name}.png") for name in ("parity", "scores", "learning_curves")],
    log:
        P.log("figures_scores"),
    benchmark:
        P.benchmark("figures_scores")
    conda:
        "../../envs/analysis.yaml"
    params:
        subset=WHOLE,
        subsets=cfg.canonical(list(SUBSETS)),
        not_read=NOT_READ,
        section=cfg.canonical(C.report),
        train=cfg.canonical(C.train),
        dataset=cfg.canonical(C.dataset),
        code=code_hash("figures_scores"),
    script:
        "../../scripts/figures_scores.py"


rule fusion:
    input:
        predictions=expand(P("models/{target}/predictions.csv"), target=C.train.targets),
        table=P("dataset.csv"),
    output:
        gains=table("gains", "fusion", "Scores", "edges together"),
        next_edge=table("next_edge", "fusion", "Scores", "which edge to measure next"),
        leaks=table("leaks", "fusion", "Scores", "label leaks"),
        gains_csv=P("fusion/gains.csv"),
        next_edge_csv=P("fusion/next_edge.csv"),
        leaks_csv=P("fusion/leaks.csv"),
    log:
        P.log("fusion"),
    benchmark:
        P.benchmark("fusion")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=TRAIN_SECTION,
        subsets=cfg.canonical(SUBSETS),
        code=code_hash("fusion"),
    script:
        "../../scripts/fusion.py"


rule figures_attributions:
    input:
        tables=expand(P("shap/{target}.csv"), target=C.train.targets),
        data=P("dataset.nc"),
        spectra=expand(P("spectra/{structure_id}.nc"), structure_id=SPECS),
    output:
        svg=[figure(f"shap_{t}", "attributions", "What decided", t) for t in C.train.targets],
        png=[P(f"figures/shap_{t}.png") for t in C.train.targets],
    log:
        P.log("figures_attributions"),
    benchmark:
        P.benchmark("figures_attributions")
    conda:
        "../../envs/analysis.yaml"
    params:
        subset=WHOLE,
        simulation=SIMULATION_SECTION,
        train=TRAIN_SECTION,
        section=cfg.canonical(C.report),
        code=code_hash("figures_attributions"),
    script:
        "../../scripts/figures_attributions.py"


rule figures_inference:
    input:
        tables=[P(f"inference/{s}.csv") for s in CARDS],
        index=P("structures/index.csv"),
    output:
        svg=[
            figure(f"inference_{s}", "inference", "Inference", s, embedded=i < MOST_EMBEDDED)
            for i, s in enumerate(CARDS)
        ],
        png=[P(f"figures/inference_{s}.png") for s in CARDS],
    log:
        P.log("figures_inference"),
    benchmark:
        P.benchmark("figures_inference")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=cfg.canonical(C.report),
        confidence=C.infer.confidence,
        compositions=COMPOSITIONS,
        code=code_hash("figures_inference"),
    script:
        "../../scripts/figures_inference.py"


rule figures_measured:
    input:
        spectra=[P(f"measured/{name}.nc") for name in UNITS],
        simulated=P("models/simulated.nc"),
    output:
        svg=[
            figure(f"measured_{pair}", "measured", "Spectra", shown, embedded=i < MOST_EMBEDDED)
            for i, (pair, shown) in enumerate(MEASURED_PAIRS.items())
        ],
        png=[P(f"figures/measured_{pair}.png") for pair in MEASURED_PAIRS],
        table=table("measured", "measured", "Spectra", "measured beside simulated"),
    log:
        P.log("figures_measured"),
    benchmark:
        P.benchmark("figures_measured")
    conda:
        "../../envs/analysis.yaml"
    params:
        spectra=cfg.canonical(C.spectra),
        windows=windows,
        section=cfg.canonical(C.report),
        code=code_hash("figures_measured"),
    script:
        "../../scripts/figures_measured.py"


rule figures_series:
    input:
        tables=[P(f"inference/{name}.csv") for name in SERIES],
    output:
        svg=figure("series", "series", "Inference", "Li content against voltage"),
        png=P("figures/series.png"),
        table=table("series", "series", "Inference", "series"),
    log:
        P.log("figures_series"),
    benchmark:
        P.benchmark("figures_series")
    conda:
        "../../envs/analysis.yaml"
    params:
        places=SERIES_PLACES,
        confidence=C.infer.confidence,
        section=cfg.canonical(C.report),
        code=code_hash("figures_series"),
    script:
        "../../scripts/figures_series.py"


rule figures_images:
    input:
        maps=[P(f"images/{i}.nc") for i in IMAGES],
    output:
        svg=[figure(f"image_{i}", "image", "Inference", f"image {i}") for i in IMAGES],
        png=[P(f"figures/image_{i}.png") for i in IMAGES],
    log:
        P.log("figures_images"),
    benchmark:
        P.benchmark("figures_images")
    conda:
        "../../envs/analysis.yaml"
    params:
        confidence=C.infer.confidence,
        section=cfg.canonical(C.report),
        code=code_hash("figures_images"),
    script:
        "../../scripts/figures_images.py"


rule tables:
    input:
        index=P("structures/index.csv"),
        failed=P("failed.csv"),
        metrics=P("metrics.csv"),
        raw=ALL_RAW,
        calibration=P("calibration.json"),
        inference=[P(f"inference/{s}.csv") for s in [*HELD_OUT, *UNITS]],
    output:
        structures=table("structures", "structures", "Structures", "structures and labels"),
        simulations=table("simulations", "tables", "Structures", "simulations"),
        failed=table("failed", "tables", "Structures", "failed structures"),
        failed_sites=table("failed_sites", "tables", "Structures", "failed sites"),
        warnings=table("warnings", "tables", "Structures", "warnings of the simulations"),
        calibration=table("calibration", "spectra", "Spectra", "calibration"),
        metrics=table("metrics", "scores", "Scores", "table of all scores"),
        inference=table("inference", "inference", "Inference", "table of all samples"),
    log:
        P.log("tables"),
    benchmark:
        P.benchmark("tables")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=cfg.canonical(C.report),
        structures=cfg.canonical(C.structures),
        simulation=SIMULATION_SECTION,
        spectra=cfg.canonical(C.spectra),
        windows=windows,
        train=cfg.canonical(C.train),
        dataset=cfg.canonical(C.dataset),
        infer=cfg.canonical(C.infer),
        not_read=NOT_READ,
        code=code_hash("tables"),
    script:
        "../../scripts/tables.py"


rule resolved_config:
    output:
        marked("config.yaml", "config", "Run", "the resolved config"),
    log:
        P.log("resolved_config"),
    benchmark:
        P.benchmark("resolved_config")
    conda:
        "../../envs/analysis.yaml"
    params:
        section=cfg.canonical(C),
    script:
        "../../scripts/resolved_config.py"


rule results:
    input:
        rules.resolved_config.output,
        rules.simulated.output,  # with the models, what `corefuse read` needs
        rules.tables.output,
        rules.figures_spectra.output,
        rules.figures_scores.output,
        rules.fusion.output,
        rules.figures_attributions.output,
        rules.figures_inference.output if CARDS else [],
        rules.figures_measured.output if MEASURED else [],
        rules.figures_series.output if SERIES else [],
        rules.figures_images.output if IMAGES else [],
        rules.local.output.scores if C.local.modalities else [],


rule report_html:
    input:
        rules.results.input,
    output:
        P("report.html"),
    log:
        P.log("report_html"),
    benchmark:
        P.benchmark("report_html")
    conda:
        "../../envs/analysis.yaml"
    params:
        config=lambda w: P("config.yaml"),
        snakefile=str(SNAKEFILE),
    shell:
        "python -m snakemake results --snakefile {params.snakefile} --cores 1 --nolock"
        " --configfile {params.config}"
        " --report {output} > {log} 2>&1"
        " && python -m corefuse.report.page {output}"
