import ast
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import toy
import yaml

from corefuse.plan import current, jobs

ROOT = Path(__file__).resolve().parents[1]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))
CODE = sorted([*(ROOT / "workflow").rglob("*.py"), *(ROOT / "scripts").glob("*.py")])
PIN = re.compile(r"([A-Za-z0-9._-]+)={1,2}([0-9][^=]*)(?:=[^=]*)?")


def canonical(name):
    """Distribution name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(name):
    lines = (ROOT / "envs" / name).read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(package): version for package, version in pins}


def pins(env):
    """Package -> version of a conda environment, conda and pip parts."""
    entries = yaml.safe_load(env.read_text())["dependencies"]
    flat = [e for e in entries if isinstance(e, str)]
    flat += [e for part in entries if isinstance(part, dict) for e in part["pip"]]
    found = {}
    for entry in flat:
        if entry != "pip":
            match = PIN.fullmatch(entry)
            assert match, f"{env.name}: {entry} is not pinned"
            found[canonical(match[1])] = match[2]
    return found


def rules():
    """Rule name -> its text."""
    text = "".join(p.read_text() for p in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    parts = re.split(r"^rule (\w+):", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


JOBS = {name: text for name, text in rules().items() if "script:" in text or "shell:" in text}


def environments(rule):
    """The environments a rule may run in: one, or one an engine (``engine_env``)."""
    named = re.search(r'conda:\n\s+"\.\./\.\./(envs/\w+\.yaml)"', JOBS[rule])
    if named:
        return [ROOT / named[1]]
    by_engine = re.search(r"conda:\n\s+engine_env\n", JOBS[rule])
    return [ROOT / "envs" / f"{name}.yaml" for name in ("gpaw", "analysis") if by_engine]


JOBS_IN_ENVIRONMENTS = [
    pytest.param(rule, env, id=f"{rule}-{env.stem}")
    for rule, text in JOBS.items()
    if "script:" in text
    for env in environments(rule)
]


def test_every_direct_requirement_is_locked_to_its_version():
    lock = requirements("requirements.lock")
    for package, version in requirements("requirements.in").items():
        assert lock.get(package) == version, package


def test_the_lock_holds_exact_public_versions_only():
    lines = (ROOT / "envs" / "requirements.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    names = [canonical(line.split("==")[0]) for line in lines]
    assert len(names) == len(set(names))


def test_hashes_are_those_of_the_locked_versions():
    """``make lock`` writes both files; torch has no hash (docs/dependencies.md)."""
    lock = requirements("requirements.lock")
    text = (ROOT / "envs" / "requirements-hashes.lock").read_text()
    entries = re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+) \\\n((?:    --hash=\S+(?: \\)?\n)+)", text, re.M
    )
    hashed = {canonical(name): version for name, version, _ in entries}
    assert len(entries) == text.count("==") > 150
    assert "torch" not in hashed
    assert {name: lock.get(name) for name in hashed} == hashed
    assert all(re.findall(r"sha256:[0-9a-f]{64}\b", hashes) for *_, hashes in entries)


def test_torch_is_the_version_that_comes_without_cuda():
    lock = (ROOT / "envs" / "requirements.lock").read_text()
    assert "torch==2.13.0\n" in lock
    assert not re.search(r"^(nvidia-(?!ml)|triton|cuda)", lock, re.MULTILINE)


def test_setup_installs_torch_before_the_rest():
    script = (ROOT / "envs" / "setup.sh").read_text()
    assert 0 < script.index("'^torch=='") < script.index("-r envs/requirements.lock")


def test_set_up_on_ubuntu_says_in_one_line_that_there_is_no_browser(tmp_path):
    """Chromium is a snap there; everything else stands, and nothing is installed."""
    tools, venv = tmp_path / "tools", tmp_path / "venv"
    tools.mkdir()
    venv.mkdir()
    for tool in ("bash", "cat", "cut", "dirname", "grep", "mktemp", "rm", "sha256sum"):
        (tools / tool).symlink_to(shutil.which(tool))
    of_run = ("requirements.lock", "siteconfig.py", "setup.sh")
    for stamp, files in (("", of_run), ("test-", ("requirements-test.lock",))):
        content = b"".join((ROOT / "envs" / name).read_bytes() for name in files)
        (venv / f".set-up-{stamp}{hashlib.sha256(content).hexdigest()[:16]}").touch()
    (tmp_path / "os-release").write_text('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n')
    where = {"PATH": tools, "COREFUSE_VENV": venv, "OS_RELEASE": tmp_path / "os-release"}
    done = subprocess.run(
        ["bash", ROOT / "envs" / "setup.sh", "test"],
        env={name: str(value) for name, value in where.items()},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "no Chromium but a snap" in line and "on PATH" in line


def test_the_oracle_of_the_tests_is_pinned_and_no_part_of_a_run():
    lock, extra = requirements("requirements.lock"), requirements("requirements-test.lock")
    assert extra == {"edrixs": "0.2.0", "feff10-rs": "0.2.4"}
    assert not lock.keys() & extra.keys()
    assert {"numpy", "scipy", "sympy", "numba", "matplotlib"} <= lock.keys()  # what it imports
    script = (ROOT / "envs" / "setup.sh").read_text()
    assert re.search(r"--no-deps .*\n? *-r envs/requirements-test\.lock", script)
    assert "pip freeze --exclude edrixs --exclude feff10-rs" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("env", ENVS, ids=lambda env: env.stem)
def test_a_conda_twin_follows_the_lock(env):
    lock = requirements("requirements.lock")
    found = pins(env)
    python = found.pop("python")
    assert python == "3.11"
    assert found == {package: lock[package] for package in found}


@pytest.mark.parametrize("env", ENVS, ids=lambda env: env.stem)
def test_a_conda_twin_uses_conda_forge_alone(env):
    assert yaml.safe_load(env.read_text())["channels"] == ["conda-forge", "nodefaults"]


def test_gpaw_on_clusters_is_the_mpi_build():
    assert "gpaw=26.7.0=*openmpi*" in (ROOT / "envs" / "gpaw.yaml").read_text()


@pytest.mark.parametrize("rule", JOBS)
def test_every_rule_names_an_environment_a_log_and_a_benchmark(rule):
    assert environments(rule), "no conda environment"
    assert all(env.exists() for env in environments(rule))
    for directive in ("log:", "benchmark:"):
        assert f"\n    {directive}" in JOBS[rule], directive


@pytest.mark.parametrize("rule", JOBS)
def test_every_script_of_a_rule_exists(rule):
    script = re.search(r'script:\n\s+"\.\./\.\./(scripts/\w+\.py)"', JOBS[rule])
    assert script is None or (ROOT / script[1]).exists()


def test_no_script_is_left_over():
    named = {m for text in JOBS.values() for m in re.findall(r"scripts/(\w+)\.py", text)}
    assert named == {p.stem for p in (ROOT / "scripts").glob("*.py")}


def test_an_engine_runs_in_an_environment_of_the_twins(root):
    text = (root / "workflow" / "rules" / "common.smk").read_text()
    names = {"jobs": jobs}
    exec(re.search(r"^def engine_env.*?(?=^\S)", text, re.M | re.S)[0], names)
    for engine, env in (("gpaw", "gpaw"), ("multiplet", "analysis")):
        path = names["engine_env"](SimpleNamespace(engine=engine))
        assert (root / "workflow" / "rules" / path).resolve() == root / "envs" / f"{env}.yaml"


def sources(module, env):
    """Files of a module of the package; an engine is imported by its name, GPAW in its own env."""
    file = current.PACKAGE / f"{module}.py"
    if file.exists():
        return [file]
    files = sorted((current.PACKAGE / module).glob("*.py"))
    return [f for f in files if f.parent.name != "engines" or env == "gpaw" or "gpaw" not in f.stem]


def imported(script, never, env):
    """Installed packages that a script imports, itself or through modules of the package."""
    files, seen, packages = [script], set(never), set()
    while files:
        tree = ast.parse(files.pop().read_text())
        tree.body = [n for n in tree.body if ast.unparse(n)[:16] != "if TYPE_CHECKING"]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                packages |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                packages.add(node.module.split(".")[0])
        new = current.imports(tree) - seen
        seen |= new
        files += [file for module in new for file in sources(module, env)]
    return packages - set(sys.stdlib_module_names) - {"corefuse"}


@pytest.fixture(scope="module")
def distributions():
    """Name to import -> names to install."""
    return importlib.metadata.packages_distributions()


@pytest.mark.parametrize(("rule", "env"), JOBS_IN_ENVIRONMENTS)
def test_an_environment_holds_all_that_its_scripts_import(rule, env, distributions):
    script = ROOT / "scripts" / re.search(r"scripts/(\w+\.py)", JOBS[rule])[1]
    held = set(pins(env)) | {"pydantic-core"}  # part of pydantic
    # these read structures and make none
    never = {"relax"} if rule in ("simulate", "begin", "sites") else set()
    for package in imported(script, never, env.stem):
        names = {canonical(name) for name in distributions[package]}
        assert names & held, f"{env.name} lacks {package}, which {script.name} needs"
    assert "h5netcdf" in held  # xarray's engine, called by its name


def test_the_environment_that_makes_the_report_holds_snakemake():
    env = re.search(r"envs/(\w+\.yaml)", JOBS["report_html"])[1]
    assert "snakemake" in pins(ROOT / "envs" / env)


@pytest.fixture
def profile(monkeypatch, tmp_path):
    """The Slurm profile as Snakemake reads it in a folder, with or without names filled in."""
    from snakemake.profiles import ProfileConfigFileParser

    for name in ("PARTITION", "ACCOUNT"):
        monkeypatch.delenv(f"COREFUSE_{name}", raising=False)
    (tmp_path / "slurm").mkdir()
    monkeypatch.chdir(tmp_path)

    def read(site="", **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        if site:
            (tmp_path / "slurm" / "site.txt").write_text(site)
        with (ROOT / "slurm" / "config.yaml").open() as file:
            return ProfileConfigFileParser().parse(file)

    return read


def test_the_slurm_profile_holds_only_keys_that_snakemake_knows(profile):
    from snakemake.cli import get_argument_parser

    known = {o for action in get_argument_parser()._actions for o in action.option_strings}
    found = profile()
    assert {f"--{key}" for key in found} <= known
    assert found["executor"] == "slurm"
    assert {"mem_mb", "runtime"} <= {r.split("=")[0] for r in found["default-resources"]}


def test_nothing_is_asked_of_a_cluster_that_nobody_filled_in(profile):
    assert not [r for r in profile()["default-resources"] if r.startswith("slurm_")]


def test_partition_and_account_come_from_the_file_or_the_environment(profile):
    filled = profile(site="PARTITION=long\nACCOUNT=me\n")["default-resources"]
    assert {"slurm_partition=long", "slurm_account=me"} <= set(filled)
    other = profile(COREFUSE_PARTITION="short")["default-resources"]
    assert {"slurm_partition=short", "slurm_account=me"} <= set(other)


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.py")), ids=lambda p: p.stem)
def test_a_script_is_a_short_adapter(script):
    text = script.read_text()
    assert len(text.splitlines()) <= 30
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]


PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
RUN_CODE = {"eval", "exec", "compile", "__import__"}
UNSAFE_CALLS = {
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"),
    *("torch.load", "joblib.load", "os.system", "pd.read_pickle", "pandas.read_pickle"),
    *("json_tricks.load", "loadfn", "MontyDecoder"),
}
UNSAFE_KEYWORDS = {("allow_pickle", True), ("shell", True), ("weights_only", False)}


def unsafe(tree):
    """What in a module could run code that stands in a file from somebody else."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in PICKLERS]
        elif isinstance(node, ast.ImportFrom):
            names = {node.module, *(a.name for a in node.names)}
            found += [n for n in names if n and n.split(".")[0] in PICKLERS | UNSAFE_CALLS]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found += [called] if called in RUN_CODE | UNSAFE_CALLS else []
            found += [called] if called.endswith((".to_pickle", ".read_pickle")) else []
            values = [(k.arg, k.value) for k in node.keywords if isinstance(k.value, ast.Constant)]
            found += [k for k, v in values if (k, v.value) in UNSAFE_KEYWORDS]
    return found


@pytest.mark.parametrize("file", CODE, ids=lambda p: p.stem)
def test_a_file_from_somebody_else_cannot_run_code(file):
    assert unsafe(ast.parse(file.read_text())) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "from monty.serialization import loadfn",
        "yaml.load(text, yaml.Loader)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "table.to_pickle(path)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_the_scan_sees_unsafe_code(code):
    assert unsafe(ast.parse(code))


def test_the_scan_lets_safe_code_pass():
    code = "yaml.safe_load(text)\nnp.load(path, allow_pickle=False)\nre.compile('a')\nmodel.load(p)"
    assert unsafe(ast.parse(code)) == []


def test_the_snakefiles_read_no_pickles():
    for file in [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]:
        text = file.read_text()
        assert not re.search(r"pickle|yaml\.load\(|\b(eval|exec)\(|joblib", text), file


def test_what_the_toy_copies_is_what_the_workflow_needs():
    assert all((ROOT / name).exists() for name in toy.COPIED)


PLANNING = """
import sys

import snakemake
import yaml

from corefuse import config
from corefuse.config import samples
from corefuse.plan import checks, jobs, specs

name = "config/nmc.yaml"
filled, _ = samples.put_in(yaml.safe_load(open(name)), name)
read = config.load(filled, name)
checks.before_start(read, specs.by_id(read.structures, name), name, "resources/edges.yaml")
for engine in ("gpaw", "gpaw_core_hole", "multiplet", "fdmnes", "feff"):
    jobs.revision(engine)
print(*{module.split(".")[0] for module in sys.modules})
"""


def test_the_launchers_environment_holds_what_planning_imports(distributions):
    """Of the direct requirements: theirs come along."""
    done = subprocess.run(
        [sys.executable, "-c", PLANNING],
        cwd=ROOT,
        env=toy.environment(PYTHONPATH=str(ROOT / "workflow")),
        capture_output=True,
        text=True,
        check=True,
    )
    direct = requirements("requirements.in").keys()
    held = pins(ROOT / "envs" / "snakemake.yaml")
    for package in done.stdout.split():
        needed = {canonical(name) for name in distributions.get(package, [])} & direct
        assert needed <= held.keys(), package
    assert "snakemake-executor-plugin-slurm" in held
