"""Programs for tests of engines that run the user's binary: small scripts that misbehave."""

import sys
from pathlib import Path

GPL_PROMPT = "Do you accept the terms of the licence? [y/n]"


def fake(path: Path, body: str) -> str:
    """An executable Python script; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport os, shutil, sys, time\n{body}\n")
    path.chmod(0o755)
    return str(path)


# What any program may do wrong: body, and the words of the message.
MISBEHAVIOUR = {
    "hangs": ("print('Cycle 3', flush=True); time.sleep(60)", "stopped after .* h, the time limit"),
    "exits with 1": ("sys.exit('segmentation fault')", "exit code 1: segmentation fault"),
    "writes nothing": ("print('hello')", "ended without .*; it last printed: hello"),
}
ASKS = [
    f"print({GPL_PROMPT!r}); input()",
    f"print({GPL_PROMPT!r})",
    "print('Error: no valid license file, not found'); sys.exit(3)",
]
