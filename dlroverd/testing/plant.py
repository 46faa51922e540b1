"""Makes an installed plugin out of source text, for tests of hosts and daemons."""

from pathlib import Path


def plant(site: Path, name: str, source: str, *, entry: str = "", version: str = "1.0") -> None:
    """Write the distribution `name` into `site`, which the test puts on PYTHONPATH.

    Its one module is `source`, and its entry point `entry` (default `name`) of the group `dlroverd.plugins`.
    """
    module = f"planted_{name}"
    (site / f"{module}.py").write_text(source)
    metadata = site / f"{module}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[dlroverd.plugins]\n{entry or name} = {module}\n")
