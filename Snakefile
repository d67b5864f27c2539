"""`snakemake` in a clone of corefuse: workflow/Snakefile with its default target."""


include: "workflow/Snakefile"


workflow.default_target = "all"  # Snakemake takes no default target from an included file
