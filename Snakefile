"""corefuse: from a defective crystal to its core-level spectra, and back.

structures -> simulate -> spectra -> dataset -> train -> infer -> report, one file each in
workflow/rules. Run `snakemake --cores 2` here, `snakemake --profile slurm` on a cluster,
`snakemake -n` to see what would run and why.
"""

from snakemake.utils import min_version

min_version("9.0")

if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/structures.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/spectra.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/infer.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,
    results,
    report_html,
    download,


rule all:
    default_target: True
    input:
        P("report.html"),


onstart:
    progress.watch(*simulation_jobs())
