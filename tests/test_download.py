import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from corefuse.core.errors import InputError
from corefuse.read.download import PublicFile, fetch, manifest

CONTENT = b"530.0, 1.0\n"


@pytest.fixture
def host(tmp_path):
    """A public host on this machine, with one repository."""
    folder = tmp_path / "host" / "someone" / "data" / "v1" / "a b"
    folder.mkdir(parents=True)
    (folder / "o.csv").write_bytes(CONTENT)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Quiet, directory=str(tmp_path / "host"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def public(path="a b/o.csv", content=CONTENT):
    digest = hashlib.sha256(content).hexdigest()
    return PublicFile("mine/o.csv", "someone/data", "v1", path, "MIT", digest)


def test_a_file_is_fetched_once_with_its_licence_told(host, tmp_path):
    told = fetch([public()], tmp_path / "data", host)
    assert told == ["mine/o.csv: from someone/data (MIT)"]
    assert (tmp_path / "data" / "mine" / "o.csv").read_bytes() == CONTENT
    assert fetch([public()], tmp_path / "data", "http://127.0.0.1:1")[0].endswith("there already")


def test_another_content_is_refused_and_not_kept(host, tmp_path):
    with pytest.raises(InputError, match="sha256"):
        fetch([public(content=b"else")], tmp_path / "data", host)
    assert not (tmp_path / "data" / "mine" / "o.csv").exists()
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "mine" / "o.csv").write_bytes(b"edited")
    with pytest.raises(InputError, match="remove it"):
        fetch([public()], tmp_path / "data", host)


@pytest.mark.parametrize("path", ["gone.csv"])
def test_what_cannot_be_had_is_told_in_one_line(host, tmp_path, path):
    for server in (host, "http://127.0.0.1:1"):
        with pytest.raises(InputError, match="cannot be downloaded") as caught:
            fetch([public(path)], tmp_path / "data", server)
        assert "\n" not in str(caught.value)


def test_the_manifest_is_that_of_the_shared_files(root, shared, tmp_path):
    """The hashes are right, and a folder that is in it is in it as a whole."""
    known = manifest(root / "resources" / "data.yaml")
    told = fetch(known, shared / "experimental", "http://127.0.0.1:1")
    assert all(line.endswith("there already") for line in told)
    folders = {f.target.split("/")[0] for f in known}
    there = {
        str(p.relative_to(shared / "experimental"))
        for folder in folders
        for p in (shared / "experimental" / folder).rglob("*.*")
    }
    assert there == {f.target for f in known}
    assert all(f.licence for f in known)
    broken = tmp_path / "data.yaml"
    broken.write_text("- {folder: a, files: {b: {path: c}}}")
    with pytest.raises(InputError, match="missing key"):
        manifest(broken)
