"""The arrows between the rooms of the package: imports run to the left only.

The picture is in docs/architecture.md; here it is drawn from the code.
"""

import ast

import pytest

from corefuse.core.places import PACKAGE
from corefuse.plan import current

ROOMS = (
    *("core", "config", "plan", "structures", "processes", "engines", "simulate"),
    *("spectra", "learn", "read", "report"),
)
# Modules that belong to another room than their folder says.
ELSEWHERE = {
    # how a program is started, limited and ended: engines use it, and so does `simulate`
    "simulate.programs": "processes",
    "simulate.limits": "processes",
    "simulate.mpi": "processes",
    "plan.jobs": "engines",  # what a job of an engine asks for
    "config.samples": "read",  # lists of measured files, which it opens
    # where a run or a command begins: these use all rooms, and no room uses them
    "cli": "entrance",
    "read.command": "entrance",
    "read.app": "entrance",
    "config.docs": "entrance",
    "simulate.doctor": "entrance",
    "plan.checks": "entrance",
    "plan.design": "entrance",
}
# Arrows that run to the right although they should not. Remove an entry with its arrow; add none.
DEBTS = {("plan.specs", "structures.own")}


def module_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows():
    """Module -> modules of the package that it imports, in functions too."""
    return {
        module_of(path): {
            name.removeprefix("corefuse.")
            for name in current.imports(ast.parse(path.read_text()))
            if current.path_of(name).exists()
        }
        for path in PACKAGE.rglob("*.py")
    }


def room(module):
    folder = module.split(".")[0]
    return ELSEWHERE.get(module, "entrance" if folder == "bench" else folder)


ARROWS = arrows()


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_rooms_to_its_left_only(name):
    wrong = [
        f"{module} -> {other}"
        for module, imported in ARROWS.items()
        if room(module) == name
        for other in imported
        if (module, other) not in DEBTS
        and (room(other) == "entrance" or ROOMS.index(room(other)) > ROOMS.index(name))
    ]
    assert wrong == []


def test_core_imports_no_other_room():
    used = {room(other) for module in ARROWS if room(module) == "core" for other in ARROWS[module]}
    assert used <= {"core"}


def test_every_module_is_in_a_room():
    loose = {m for m in ARROWS if room(m) not in (*ROOMS, "entrance")}
    assert loose == {"", "external"}  # the package; a name of an older release


def test_listed_modules_and_debts_exist():
    assert ELSEWHERE.keys() <= ARROWS.keys()
    assert all(other in ARROWS[module] for module, other in DEBTS)
