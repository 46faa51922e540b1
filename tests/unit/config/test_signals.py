"""The table of signals: ours is sound, an operator's rows are laid over it, and bad rows are refused in a sentence."""

from pathlib import Path

import pytest

from dlroverd.config.document import ConfigError
from dlroverd.config.signals import laid_over, load_signals, shipped
from dlroverd.config.yaml_source import parse
from dlroverd.model.signal import SignalAction, SignalSeverity

ROW = "{signal: xid.63, severity: error, action: quarantine, says: a row failed, then: reset it}"


def table(*rows: str, version: int = 4) -> bytes:
    return "\n".join([f"version: {version}", "signals:", *(f"  - {row}" for row in rows), ""]).encode()


def test_ours_blames_no_hardware_for_what_an_application_does() -> None:
    for number in (8, 11, 13, 25, 31, 37, 43, 45, 68, 69, 137):
        rule = shipped().rule(f"xid.{number}")
        assert rule is not None
        assert (rule.severity, rule.action, rule.repeat, rule.cause) == (
            SignalSeverity.INFO,
            SignalAction.NOTE,
            None,
            None,
        )


def test_a_row_of_the_operators_takes_the_place_of_ours_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "signals.yaml"
    path.write_bytes(table(ROW, ROW.replace("xid.63", "site.fan")))
    read = load_signals(str(path))
    assert read.version == "1 with site 4"
    own = read.rule("xid.63")
    assert own is not None
    assert own.then == "reset it"
    assert own.repeat is None
    assert read.rule("site.fan") is not None
    assert read.rule("xid.79") == shipped().rule("xid.79")
    assert len(read.rules) == len(shipped().rules) + 1


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            ROW.replace("quarantine", "reboot"),
            "t.yaml:3:39: signals.0.action: must be 'note', 'doubt' or 'quarantine', not 'reboot'",
        ),
        (ROW.replace(", then: reset it", ""), "is missing; set it (for example reboot the host)"),
        (ROW.replace("xid.63", "XID 63"), "must be 1 to 64 of a-z, 0-9, '_' and '.', such as xid.79, not 'XID 63'"),
        (ROW.replace("error", "info"), "severity info says that nothing is wrong, so action must be note"),
        (ROW.replace("then:", "them:"), "unknown key; did you mean then?"),
        (
            ROW[:-1] + ", repeat: {count: 1, action: note, then: x}}",
            "must be at least 2, not '1'",
        ),
        (ROW[:-1] + ", cause: bad_luck}", "not 'bad_luck'"),
    ],
)
def test_a_bad_row_is_refused_in_one_sentence(row: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        laid_over(parse(table(row), "t.yaml"))
    assert any(sentence in each for each in refused.value.sentences)


def test_two_rows_of_one_signal_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"xid\.63 has a row already; keep one"):
        laid_over(parse(table(ROW, ROW), "t.yaml"))
