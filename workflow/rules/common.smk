"""Reads and checks the config once; the other files find C (config), P (paths) and SPECS here.

Every job depends on its own config section only: `params: section=` is that section as canonical
JSON, `params: code=` a hash of the modules behind the stage. Both are what Snakemake compares.
"""

import json
import os
import sys
from pathlib import Path

# In a clone the package is beside the rules; rules read from a repository use the installed one.
# Scripts run in processes of their own, on this machine or another, and find it by PYTHONPATH.
HERE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
IN_A_CLONE = (HERE / "corefuse").is_dir()
SNAKEFILE = HERE / "Snakefile" if IN_A_CLONE else Path(workflow.main_snakefile)
if SNAKEFILE.is_relative_to(Path.cwd()):  # a clone that is moved keeps its report
    SNAKEFILE = SNAKEFILE.relative_to(Path.cwd())
if IN_A_CLONE:
    sys.path.insert(0, str(HERE))
    os.environ.update(PYTHONPATH=str(HERE))

from corefuse import config as cfg
from corefuse.config import samples
from corefuse.core import yaml_file
from corefuse.core.places import own
from corefuse.plan import checks, cluster, current, jobs, out_of_time, progress, running, specs
from corefuse.plan.paths import Paths

CONFIG_FILE = str(workflow.configfiles[-1]) if workflow.configfiles else "--config"
COMMAND_LINE = workflow.config_settings.config
try:
    if workflow.is_main_process:
        for file in workflow.configfiles:
            yaml_file.read(file)  # Snakemake takes the last of two equal keys, and 0777 for 511
    filled, LEFT_OUT = samples.put_in(config, CONFIG_FILE)
    C = cfg.load(filled, CONFIG_FILE, COMMAND_LINE)
    if C.simulation.stored_only:
        from corefuse.simulate import stored  # a second of imports that other runs need not pay

        C, missing = stored.only_finished(C, CONFIG_FILE)
        if missing:
            LEFT_OUT.append(f"{len(missing)} structures are left out: not in {C.simulation.stored}")
    SPECS = specs.by_id(C.structures, CONFIG_FILE)
    NO_TRAINING = None  # why these structures are too few to train on
    if workflow.is_main_process:
        running.hold(C.name, CONFIG_FILE)
        NO_TRAINING = checks.before_start(C, SPECS, CONFIG_FILE, own("resources/edges.yaml"))
        for line in LEFT_OUT:
            print(f"[corefuse] {line}", file=sys.stderr)
except cfg.InputError as err:
    sys.exit(f"corefuse: {err}")

if any(word.startswith("--report") for word in sys.argv):
    from corefuse.report import escaping

    escaping.install()
    config["rst_title"] = escaping.rst(C.report.title)

P = Paths(C.name)
ENGINE_EDGES = C.simulation.engines()
MODALITIES = C.spectra.modalities()
SUBSETS = cfg.resolve_subsets(C)
NOT_READ = cfg.canonical(cfg.not_read(C))  # simulated modalities in no subset, and why
SITE_ENGINES = jobs.by_site(C.simulation)
# What is stored is read where it is; engines that work site by site store nothing.
STORED = C.simulation.stored if C.simulation.stored_only else P.root
ALL_RAW = [
    f"{P.root if e in SITE_ENGINES else STORED}/raw/{e}/{s}.nc" for e in ENGINE_EDGES for s in SPECS
]
HELD_OUT = [s for s, spec in SPECS.items() if spec.parent_id in C.dataset.holdout_parents]
MEASURED = {s.name: s for s in C.infer.samples}
UNITS = samples.units(C.infer.samples)  # what is read together: a series, or a sample alone
SERIES = {name: unit for name, unit in UNITS.items() if unit[0].series}
IMAGES = {i.name: i for i in C.infer.images}
SIMULATION_SECTION = cfg.canonical({e: json.loads(C.simulation.request(e)) for e in ENGINE_EDGES})
# What scripts need and what decides no result, such as where a program is: no param, no rerun.
config["aside"] = {
    "stored": C.simulation.stored,
    "edges": ENGINE_EDGES,
    "sites": C.simulation.sites.model_dump(mode="json"),
    "settings": {e: C.simulation.settings(e) for e in ENGINE_EDGES},
}


def code_hash(script):
    """What Snakemake compares of a script and of all it imports from the package."""
    return current.code_hash(script, workflow.source_path(f"../../scripts/{script}.py"))


def one_of(names):
    """A wildcard constraint; the pattern of no name matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    structure_id="|".join(map(re.escape, SPECS)),
    engine="|".join(ENGINE_EDGES),
    target="|".join(C.train.targets),


def engine_section(w):
    """What an engine's results depend on, as its jobs get it."""
    return C.simulation.request(w.engine)


def batches_of(engine, structure_id):
    """Batch files of one structure: as many as its absorbers may need."""
    n = specs.site_batches(SPECS[structure_id], ENGINE_EDGES[engine], C.simulation.sites)
    folder = P(f"raw/{engine}/sites/{structure_id}")
    return [f"{folder}/batch-{b}-of-{n}.json" for b in range(n)]


def keep_older():
    """Results of earlier releases, which kept none: kept before Snakemake deletes them."""
    from corefuse.simulate import older

    engine_of = lambda job: job.wildcards.get("engine", "")
    jobs = [j for j in workflow.dag.needrun_jobs() if j.rule.name in ("structure", "simulate")]
    older.keep([(engine_of(j), Path(j.output[0])) for j in jobs], C, CONFIG_FILE)


def simulation_jobs():
    """For `progress.watch`: jobs of the long stage that this run has to do, and what else counts."""
    rules = ("simulate", "sites")
    to_do = [job for job in workflow.dag.needrun_jobs() if job.rule.name in rules]
    planned = sum(job.rule.name in rules for job in workflow.dag.jobs)
    return to_do, workflow.dag.finished, planned - len(to_do), Path(P("raw"))


def measured_files(samples):
    """Every file of these samples."""
    spectra = [m for s in samples for m in s.spectra]
    references = [m.reference.file for m in spectra if m.reference]
    return sorted(
        {f for m in spectra for f in (m.file, m.low_loss) if f} | {*filter(None, references)}
    )


def read_with(unit):
    """The samples of a unit and those whose energy shifts they take."""
    return samples.with_aligned(UNITS[unit], MEASURED)


def samples_section(wanted):
    """What reading these samples depends on, without the defaults of every spectrum."""
    return cfg.canonical([s.model_dump(mode="json", exclude_defaults=True) for s in wanted])


BOUNDS = cfg.canonical(
    {"max_shift_ev": C.infer.max_shift_ev, "max_extra_fwhm_ev": C.infer.max_extra_fwhm_ev}
)


def windows(w):
    """Normalisation window of every edge, for captions."""
    return cfg.canonical(checks.windows_ev(own("resources/edges.yaml"), C.simulation.edges))


def raw_of_others(w):
    """Raw files of the same structure that the engine reads."""
    names, _ = jobs.inputs(w.engine, ENGINE_EDGES)
    return [P(f"raw/{name}/{w.structure_id}.nc") for name in names]


def engine_env(w):
    """The environment of an engine: GPAW has one of its own."""
    return f"../../envs/{jobs.environment(w.engine)}.yaml"


def more_time(w, folder):
    """The time limit at which runs of a structure were ended, where the config allows more now."""
    marker = out_of_time.marker(folder, w.structure_id)
    return out_of_time.to_try_again(marker, C.simulation.settings(w.engine))


MOST = cluster.limits(ask_slurm=workflow.is_main_process)


def asked_of_engine(w, attempt):
    """Memory (MB) and minutes of an attempt at a job of an engine."""
    runs = C.simulation.sites.sites_per_job if "batch" in w.keys() else 1
    memory_mb = jobs.memory_mb(w.engine, SPECS[w.structure_id], C.simulation)
    minutes = jobs.minutes(w.engine, SPECS[w.structure_id], C.simulation, runs)
    return cluster.asked(memory_mb, minutes, attempt, MOST)


def engine_memory_mb(w, attempt):
    """What a first attempt gets, and more for each one after it."""
    return asked_of_engine(w, attempt)[0]


def engine_minutes(w, attempt):
    """What a first attempt gets, and more for each one after it."""
    return asked_of_engine(w, attempt)[1]


def marked(path, caption, category, result):
    """A result with its caption and its name in the report's menu."""
    return report(
        P(path),
        caption=f"../report/{caption}.rst",
        category=category,
        labels={"result": result},
    )


def figure(name, caption, category, result, embedded=True):
    """The SVG of a figure, marked for the report unless there are too many of its kind."""
    if not embedded:
        return P(f"figures/{name}.svg")
    return marked(f"figures/{name}.svg", caption, category, result)


def table(name, caption, category, result):
    """An HTML table, marked for the report."""
    return marked(f"tables/{name}.html", caption, category, result)


def training_data(w):
    """What `train` reads; ends a run that wants models where the parents are too few."""
    if NO_TRAINING:
        sys.exit(f"corefuse: {NO_TRAINING}")
    return P("dataset.nc")
