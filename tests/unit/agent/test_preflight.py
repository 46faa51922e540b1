"""What is found out before a start, by real probes of this host; and how the code of two nodes is told apart."""

import asyncio
import grp
import hashlib
import os
import pwd
import select
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from dlroverd_agent.preflight.code import MOST_DIFFERENCES, Code, differences
from dlroverd_agent.preflight.examine import UnfitError, examine

from dlroverd.model.job import JobSpec, RoleSpec, User

ME = pwd.getpwuid(os.geteuid())
USER = User(uid=ME.pw_uid, gid=ME.pw_gid, name=ME.pw_name)
PYTHON = sys.executable
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")


def code(cwd: Path, *argv: str, user: User = USER, env: dict[str, str] | None = None, state_dir: str = "/") -> Code:
    role = RoleSpec(argv=argv, cwd=str(cwd), env=env or {})
    return asyncio.run(examine(JobSpec(name="digits", user=user, roles=(role,)), role, state_dir))


def refusal(cwd: Path, *argv: str, user: User = USER) -> str:
    with pytest.raises(UnfitError) as unfit:
        code(cwd, *argv, user=user)
    return str(unfit.value)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- the code


def test_the_code_of_a_script(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("print(1)")
    found = code(tmp_path, PYTHON, "-uW", "ignore", "train.py", "--lr", "1")
    assert (found.program, found.version) == (PYTHON, ".".join(map(str, sys.version_info[:3])))
    assert (found.script, found.sha256) == ("train.py", sha256(script))
    assert found.packages["pytest"] == pytest.__version__


def test_what_the_job_puts_on_the_path_counts_first(tmp_path: Path) -> None:
    for name in ("pytest-0.0.7.dist-info", "My_Lib-2.1+cpu.dist-info", "old_one-3.0-py3.9.egg-info", "bare.egg-info"):
        (tmp_path / "lib" / name).mkdir(parents=True)
    (tmp_path / "train.py").touch()
    found = code(tmp_path, PYTHON, "train.py", env={"PYTHONPATH": str(tmp_path / "lib")})
    some = {name: found.packages[name] for name in ("pytest", "my-lib", "old-one", "bare")}
    assert some == {"pytest": "0.0.7", "my-lib": "2.1+cpu", "old-one": "3.0", "bare": ""}


def test_a_module_of_the_working_directory_is_found_and_none_of_it_is_run(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    trap = "open('was_run', 'w').close()"
    for file in (tmp_path / "sys.py", tmp_path / "json.py", package / "__init__.py", package / "train.py"):
        file.write_text(trap)
    found = code(tmp_path, PYTHON, "-m", "mine.train")
    assert (found.script, found.sha256) == (str(package / "train.py"), sha256(package / "train.py"))
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("argv", [("-c", "print(1)"), ("-m", "nowhere.to.be.found"), ("-",), ()])
def test_what_is_no_file_has_no_script(tmp_path: Path, argv: tuple[str, ...]) -> None:
    assert (code(tmp_path, PYTHON, *argv)).script == ""


def test_a_program_that_is_a_script_is_hashed_and_one_that_is_not_is_left(tmp_path: Path) -> None:
    program = tmp_path / "run.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert code(tmp_path, str(program), "x") == Code(program=str(program), script=str(program), sha256=sha256(program))
    assert code(tmp_path, "/bin/true") == Code(program="/bin/true")


# ---- what hinders a start


def test_a_missing_folder_program_or_script_is_named_with_the_remedy(tmp_path: Path) -> None:
    folder, script = tmp_path / "none", tmp_path / "train.py"
    assert refusal(folder, PYTHON) == (
        f"the working directory {folder} does not exist there: make it, or use one on a file system that all nodes "
        "share"
    )
    assert refusal(tmp_path, "/opt/none/python") == (
        f"user {ME.pw_name} cannot run /opt/none/python there (No such file or directory): install it at the same path "
        "on all nodes"
    )
    assert refusal(tmp_path, PYTHON, "train.py") == (
        f"user {ME.pw_name} cannot read the script {script} there (No such file or directory): copy it to all nodes, "
        "or keep it on a file system that they share"
    )
    assert f"{tmp_path} is nothing that user {ME.pw_name} may execute there" in refusal(tmp_path, str(tmp_path))


def test_a_broken_interpreter_says_how_it_is_broken(tmp_path: Path) -> None:
    program = tmp_path / "python3"
    program.write_text("#!/bin/sh\necho 'libpython3.so: not found' >&2\nexit 127\n")
    program.chmod(0o755)
    assert f"{program} does not work there (libpython3.so: not found)" in refusal(tmp_path, str(program))


def test_a_full_disk_is_seen_before_it_loses_output(tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match=r"only 0 KiB are left there for /proc, .*: make room for at least 16 MiB"):
        code(tmp_path, PYTHON, state_dir="/proc")  # a file system that never has any room


@as_root
def test_the_same_user_is_meant_on_all_nodes(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    assert refusal(tmp_path, PYTHON, user=User(uid=54321, gid=54321, name="ann")) == (
        "user ann (uid 54321) is unknown there: create it with uid 54321 and gid 54321, or leave that node out"
    )
    assert refusal(tmp_path, PYTHON, user=User(uid=54321, gid=0, name="nobody")) == (
        f"user nobody has uid {nobody.pw_uid} there, and 54321 where the job was submitted: give each user the same "
        "uid on all nodes"
    )
    assert refusal(tmp_path, PYTHON, user=User(uid=nobody.pw_uid, gid=nobody.pw_gid, name="ann")) == (
        f"uid {nobody.pw_uid} is user nobody there, and user ann where the job was submitted: give each user the same "
        "uid on all nodes"
    )
    mail = grp.getgrnam("mail").gr_gid
    assert refusal(tmp_path, PYTHON, user=User(uid=nobody.pw_uid, gid=mail, name="nobody")) == (
        f"user nobody is not in group mail (gid {mail}) there, as where the job was submitted: give each user the same "
        "groups on all nodes"
    )
    there = User(uid=nobody.pw_uid, gid=nobody.pw_gid, name="nobody", home="/data/nobody", groups=(mail,))
    assert refusal(tmp_path, PYTHON, user=there) == (
        f"user nobody has the home {nobody.pw_dir} there, and /data/nobody where the job was submitted: give each user "
        "the same home on all nodes"
    )
    members = refusal(tmp_path, PYTHON, user=replace(there, groups=(mail, 54321)))
    assert members.startswith("user nobody is not in group 54321 there, as where the job was submitted: give")


@as_root
def test_everything_is_seen_with_the_users_eyes(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    user = User(uid=nobody.pw_uid, gid=nobody.pw_gid, name="nobody")
    tmp_path.chmod(0o700)
    assert "user nobody cannot enter the working directory" in refusal(tmp_path, "/usr/bin/python3", user=user)
    assert code(Path("/"), "/bin/sh", user=user) == Code(program="/bin/sh")


def test_a_program_that_hangs_is_ended_with_all_that_it_began(tmp_path: Path) -> None:
    program, pids = tmp_path / "python3", tmp_path / "pids"
    program.write_text(f"#!/bin/sh\necho $$ > {pids}\nexec sleep 1000\n")
    program.chmod(0o755)
    role = RoleSpec(argv=(str(program),), cwd=str(tmp_path))
    spec = JobSpec(name="digits", user=USER, roles=(role,))
    with pytest.raises(UnfitError, match=r"did not end within 1 s there: see whether the file systems of .* hang"):
        asyncio.run(examine(spec, role, str(tmp_path), deadline_s=1.0))
    try:
        ended = os.pidfd_open(int(pids.read_text()))
    except ProcessLookupError:
        return
    assert select.select([ended], [], [], 10)[0], "it was left behind"


# ---- how two differ


def test_equal_code_does_not_differ() -> None:
    one = Code(program="/p", version="3.11.7", packages={"a": "1"}, script="x.py", sha256="ab")
    assert differences(one, Code(**{name: getattr(one, name) for name in one.__slots__}), "n1") == ""


def test_the_most_telling_differences_come_first() -> None:
    here = Code(
        program="/p", version="3.11.7", packages={"numpy": "1.26.4", "x": "1"}, script="train.py", sha256="ab12cd34ff"
    )
    there = Code(
        program="/p",
        version="3.12.0",
        packages={"numpy": "2.0.0", "torch": "2.8"},
        script="train.py",
        sha256="98fe76dcff",
    )
    assert differences(here, there, "node1").split("; ") == [
        "/p is version 3.11.7 here, 3.12.0 on node1",
        "train.py differs: sha256 ab12cd34 here, 98fe76dc on node1",
        "numpy 1.26.4 here, 2.0.0 on node1",
        "torch is absent here, 2.8 on node1",
        "x is 1 here, absent on node1",
    ]


def test_only_so_many_differences_are_listed() -> None:
    many = {f"p{number:02}": "1" for number in range(MOST_DIFFERENCES + 3)}
    said = differences(Code(program="/p", packages=many), Code(program="/p"), "n1").split("; ")
    assert said[-2:] == ["p09 is 1 here, absent on n1", "and 3 more"]
