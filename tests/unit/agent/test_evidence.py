"""What is read from the words a rank left: real interpreters' messages, torch's forms, and nonsense."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dlroverd_agent.evidence import is_complete, traceback_complete, with_evidence, written_bytes
from dlroverd_agent.launchers.files import RankFiles
from hypothesis import given, settings
from hypothesis import strategies as st

from dlroverd.model.fault import ErrorReport, ExitInfo

CAUGHT = "Traceback (most recent call last):\n  File \"/home/ann/x.py\", line 3, in f\n    f()\nKeyError: 'caught'\n"


@pytest.fixture
def files(tmp_path: Path) -> RankFiles:
    (tmp_path / "errors").mkdir()
    return RankFiles(tmp_path)


def read(files: RankFiles, *, code: int | None = 1, signal: int | None = None) -> ErrorReport | None:
    return with_evidence(files, ExitInfo(exited_at=1.0, code=code, signal=signal)).error


def found(files: RankFiles, text: str, **ended: int | None) -> ErrorReport:
    files.output.write_text(text)
    report = read(files, **ended)
    assert report is not None
    return report


def run(files: RankFiles, *argv: str, cwd: Path) -> ErrorReport | None:
    """Run Python for real, its output going where a rank's goes."""
    with files.output.open("wb") as output:
        done = subprocess.run([sys.executable, *argv], cwd=cwd, stdout=output, stderr=output, check=False, timeout=60)
    return read(files, code=done.returncode)


def run_script(files: RankFiles, tmp_path: Path, text: str) -> ErrorReport:
    (tmp_path / "x.py").write_text(text)
    report = run(files, "x.py", cwd=tmp_path)
    assert report is not None
    assert traceback_complete(files.output.read_bytes())
    return report


def test_an_exception_is_placed_at_the_users_innermost_line(files: RankFiles, tmp_path: Path) -> None:
    report = run_script(files, tmp_path, "import json\ndef f():\n    json.loads('{')\nf()\n")
    assert (report.type, report.source) == ("json.decoder.JSONDecodeError", "traceback")
    assert report.message.startswith("Expecting property name")
    assert (Path(report.file).name, report.line) == ("x.py", 3)
    assert report.text.startswith("Traceback (most recent call last):")


@pytest.mark.parametrize("how", ["raise ValueError('b') from error", "raise ValueError('b')"])
def test_of_a_chain_the_last_counts(files: RankFiles, tmp_path: Path, how: str) -> None:
    report = run_script(files, tmp_path, f"try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    {how}\n")
    assert (report.type, report.message, report.line) == ("ValueError", "b", 4)


def test_a_class_of_the_users_own_and_no_message(files: RankFiles, tmp_path: Path) -> None:
    report = run_script(files, tmp_path, "def f():\n    class Bad(Exception): pass\n    raise Bad\nf()\n")
    assert (report.type, report.message, report.line) == ("f.<locals>.Bad", "", 3)


def test_a_message_of_many_lines(files: RankFiles, tmp_path: Path) -> None:
    report = run_script(files, tmp_path, "raise RuntimeError('first\\n  second\\nthird: 3')\n")
    assert (report.type, report.message) == ("RuntimeError", "first")
    assert "third: 3" in report.text


def test_a_syntax_error_of_the_script_and_of_an_import(files: RankFiles, tmp_path: Path) -> None:
    report = run_script(files, tmp_path, "x = 1\ndef f(:\n    pass\n")
    assert (report.type, Path(report.file).name, report.line) == ("SyntaxError", "x.py", 2)
    (tmp_path / "broken.py").write_text("\n\n  x = 1\n")
    report = run_script(files, tmp_path, "import broken\n")
    assert (report.type, Path(report.file).name, report.line) == ("IndentationError", "broken.py", 3)


def test_an_import_error(files: RankFiles, tmp_path: Path) -> None:
    report = run_script(files, tmp_path, "import math\nimport no_such_module\n")
    assert (report.type, report.message) == ("ModuleNotFoundError", "No module named 'no_such_module'")
    assert (Path(report.file).name, report.line) == ("x.py", 2)


def test_an_exception_group_names_what_is_in_it(files: RankFiles, tmp_path: Path) -> None:
    report = run_script(files, tmp_path, "raise ExceptionGroup('all', [ValueError('one')])\n")
    assert report.type == "ExceptionGroup"
    assert (Path(report.file).name, report.line) == ("x.py", 1)


@pytest.mark.parametrize("argv", [("no.py",), ("-m", "no_such_module"), ("-m", "no.such"), ("folder",)])
def test_a_missing_script(files: RankFiles, tmp_path: Path, argv: tuple[str, ...]) -> None:
    (tmp_path / "folder").mkdir()
    report = run(files, *argv, cwd=tmp_path)
    assert report is not None
    assert report.type == "MissingScript"
    assert argv[-1] in report.message


def test_torchs_prefix_and_what_it_prints_afterwards(files: RankFiles) -> None:
    lines = (
        "step 3",
        "[rank0]: Traceback (most recent call last):",
        '[rank0]:   File "/home/ann/digits.py", line 40, in <module>',
        "[rank0]:     loss.backward()",
        '[rank0]:   File "/venv/lib/python3.11/site-packages/torch/_tensor.py", line 630, in backward',
        "[rank0]:     torch.autograd.backward(",
        "[rank0]: RuntimeError: [/pytorch/pair.cc:534] Connection closed by peer [127.0.0.1]:3121",
        "[rank0]:[W1123 20:20:00.1 ProcessGroupGloo.cpp:1] Warning: destroy_process_group() was not called",
        "",
    )
    report = found(files, "\n".join(lines), code=None, signal=6)
    assert (report.type, report.file, report.line) == ("RuntimeError", "/home/ann/digits.py", 40)
    assert report.message == "[/pytorch/pair.cc:534] Connection closed by peer [127.0.0.1]:3121"


def test_lines_between_and_a_progress_bar_before(files: RankFiles) -> None:
    lines = (
        " 50%|#####     | 1/2 [00:00<?]Traceback (most recent call last):",
        "INFO: saved",
        '  File "/home/ann/x.py", line 3, in <module>',
        "2026-11-23 loader: ok",
        "INFO: step 12",
        "    raise ValueError",
        "loss=0.3 step 13",
        "ValueError: x",
    )
    report = found(files, "\r\n".join(lines))
    assert (report.type, report.message, report.line) == ("ValueError", "x", 3)
    assert not traceback_complete(files.output.read_bytes())


def test_a_caught_exception_is_not_what_a_killed_rank_died_of(files: RankFiles) -> None:
    went_on = CAUGHT + "".join(f"step {n}\n" for n in range(100))
    files.output.write_text(went_on)
    assert read(files, code=None, signal=9) is None
    assert read(files, code=0) is None
    assert not traceback_complete(went_on.encode())
    assert found(files, went_on, code=1).type == "KeyError"
    assert found(files, CAUGHT, code=None, signal=15).type == "KeyError"


@pytest.mark.parametrize("cut", range(1, len(CAUGHT)))
def test_a_traceback_is_complete_with_the_end_of_its_last_line(cut: int) -> None:
    assert traceback_complete(CAUGHT.encode())
    assert not traceback_complete(CAUGHT.encode()[:-cut])


def test_the_error_file_of_torchs_record_comes_first(files: RankFiles, tmp_path: Path) -> None:
    script = tmp_path / "x.py"
    script.write_text(
        "from torch.distributed.elastic.multiprocessing.errors import record\n"
        "@record\ndef main():\n    raise ValueError('why')\nmain()\n"
    )
    env = {**os.environ, "TORCHELASTIC_ERROR_FILE": str(files.error)}
    with files.output.open("wb") as output:
        subprocess.run([sys.executable, str(script)], env=env, stderr=output, check=False, timeout=120)
    report = found(files, "")
    assert (report.source, report.type, report.message) == ("error_file", "ValueError", "why")
    assert (report.file, report.line) == (str(script), 4)
    assert is_complete(files)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ({"message": "plain words", "timestamp": 1}, "", "plain words"),
        ({"message": {"message": "OSError: disk", "extraInfo": {"timestamp": "1"}}}, "OSError", "disk"),
        ({"message": {"message": "half \ud800"}}, "", "half ?"),
    ],
)
def test_other_forms_of_the_error_file(files: RankFiles, content: object, kind: str, message: str) -> None:
    files.error.write_text(json.dumps(content))
    report = found(files, "")
    assert (report.source, report.type, report.message) == ("error_file", kind, message)


def test_only_plain_files_of_the_ranks_own_are_read(files: RankFiles, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(json.dumps({"message": "secret"}))
    for plant in (Path.symlink_to, Path.hardlink_to):
        plant(files.error, secret)
        assert read(files) is None
        files.error.unlink()
    os.mkfifo(files.error)
    assert read(files) is None
    files.error.unlink()
    files.error.write_text(json.dumps({"message": "too long" * 2**20}))
    assert read(files) is None


def test_the_tail_is_the_last_words_within_its_bound(files: RankFiles) -> None:
    ended = ExitInfo(exited_at=1.0, code=0)
    assert with_evidence(files, ended).output_tail == ""
    files.output.write_bytes(b"\xff" * 100_000 + "é last".encode())
    tail = with_evidence(files, ended).output_tail
    assert tail.endswith("é last")
    assert 2000 < len(tail.encode()) <= 2048
    assert written_bytes(files) == 100_007


PIECES = [
    *(b"Traceback (most recent call last):\n", b'  File "x", line 1', b", in f\n", b"ValueError: x\n", b"\n", b"\r"),
    *(b"Exception Group ", b"  + ", b"  | ", b"[rank0]: ", b"SyntaxError: x\n", b"python: can't open file 'x': y"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20))), st.sampled_from([None, 0, 1]))
def test_no_bytes_break_the_reading(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], code: int | None
) -> None:
    files = RankFiles(tmp_path_factory.getbasetemp() / "anything")
    files.error.parent.mkdir(parents=True, exist_ok=True)
    files.error.write_bytes(b"".join(pieces[::-1]))
    files.output.write_bytes(b"".join(pieces))
    ended = with_evidence(files, ExitInfo(exited_at=1.0, code=code))
    traceback_complete(b"".join(pieces))
    if ended.error is not None:
        assert len(ended.error.text.encode()) <= 4096
        assert ended.error.type
    assert len(ended.output_tail.encode()) <= 2048


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "extraInfo", "py_callstack", "timestamp", "x"]), inner, max_size=4
        )
    ),
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_no_error_file_breaks_the_reading(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    files = RankFiles(tmp_path_factory.getbasetemp() / "any-json")
    files.error.parent.mkdir(parents=True, exist_ok=True)
    files.error.write_text(json.dumps(content))
    report = read(files)
    assert report is None or report.source == "error_file"


def test_what_an_exception_was_raised_from_is_kept(files: RankFiles, tmp_path: Path) -> None:
    report = run_script(
        files,
        tmp_path,
        "class Lost(Exception): pass\ntry:\n    try: open('/none')\n"
        "    except OSError as e: raise ValueError('second') from e\n"
        "except ValueError:\n    raise Lost('third')\n",
    )
    assert (report.type, report.message) == ("Lost", "third")
    said = [line for line in report.text.splitlines() if not line[:1].isspace()]
    assert said[0] == "FileNotFoundError: [Errno 2] No such file or directory: '/none'"
    assert said[1].startswith("The above exception was the direct cause")
    assert said[2:4] == [
        "ValueError: second",
        "During handling of the above exception, another exception occurred:",
    ]
    assert said[-1] == "Lost: third"


def test_an_exception_of_cpp_that_nobody_caught(files: RankFiles) -> None:
    text = "terminate called after throwing an instance of 'c10::Error'\n  what():  CUDA error: x\nframe #0: y\n"
    report = found(files, text, code=None, signal=6)
    assert (report.source, report.type, report.message) == ("terminate", "c10::Error", "CUDA error: x")
    assert found(files, "terminate called after throwing an instance of 'int'\n", signal=6).message == ""
