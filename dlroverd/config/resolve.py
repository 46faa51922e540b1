"""Fill in every default of a job where it is submitted, so that nothing about it is looked up later.

The submitter's surroundings are an argument: nothing here reads the process's own environment or directory.
"""

import os
import pwd
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Self

from dlroverd.config.document import ConfigError, Document
from dlroverd.config.jobfile import JobDraft, JobFile, Nproc, RoleFile
from dlroverd.model.job import JobSpec, Resources, RoleSpec, Secret, User

INHERITED_NAMES = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)  # fmt: skip
INHERITED_PREFIXES = (
    "LC_", "PYTHON", "CONDA_", "CUDA_", "NCCL_", "GLOO_", "UCX_", "FI_", "TORCH", "TRITON_", "OMP_", "KMP_",
    "MKL_", "HF_", "TF_", "XLA_", "JAX_", "WANDB_",
)  # fmt: skip
# Whatever its prefix: a secret goes along only when named with --env or in env.
WITHHELD_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Who submits, and from where. `cpus` and `gpus` are those this host would let the submitter use.

    `python` is the interpreter that is meant where no other is named: as of a torchrun that is called by its path in
    a virtual environment that was not activated. "" if there is none.
    """

    cwd: str
    environ: Mapping[str, str]
    user: User
    cpus: int
    gpus: int
    python: str = ""

    @classmethod
    def current(cls) -> Self:
        """Take them from this process; ConfigError when its working directory is gone."""
        try:
            cwd = os.getcwd()
        except FileNotFoundError:
            raise ConfigError(["the working directory no longer exists; change into another one"]) from None
        environ = dict(os.environ)
        cpus = len(os.sched_getaffinity(0))
        return cls(
            cwd=cwd,
            environ=environ,
            user=_own_user(),
            cpus=cpus,
            gpus=visible_gpus(environ),
            python=_own_training_python(),
        )


def _own_user() -> User:
    uid, gid = os.getuid(), os.getgid()
    try:
        known = pwd.getpwuid(uid)
    except KeyError:
        return User(uid=uid, gid=gid, name=str(uid))
    return User(uid=uid, gid=gid, name=known.pw_name, home=known.pw_dir, groups=tuple(sorted(os.getgroups())))


def pythons(venv: str, own: str) -> list[str]:
    """Name the interpreters that may be meant where none is named: of a virtual environment, `Submitter.python`."""
    if venv:
        return [os.path.join(venv, "bin", "python")]
    return [own] if own else ["python3", "python"]


def _own_training_python() -> str:
    """Give this process's interpreter if it is that of a virtual environment to train with."""
    return sys.executable if sys.prefix != sys.base_prefix and find_spec("torch") is not None else ""


def visible_gpus(environ: Mapping[str, str], listing: str = "/proc/driver/nvidia/gpus") -> int:
    """Count the NVIDIA devices torch would see here, from the driver's listing and CUDA_VISIBLE_DEVICES.

    The client imports no torch and no driver library, which may block. As for CUDA, the variable counts up to
    its first entry that names no device.
    """
    try:
        present = len(os.listdir(listing))
    except OSError:
        return 0
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return present
    count = 0
    for word in chosen.split(","):
        if not (word.strip().startswith(("GPU-", "MIG-")) or (word.strip().isdigit() and int(word) < present)):
            break
        count += 1
    return count


def inherited_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the part of the submitter's environment that goes along unasked."""
    return {name: value for name, value in environ.items() if goes_along(name)}


def goes_along(name: str) -> bool:
    """Tell whether a variable of the submitter's is taken along by its name alone: it holds no secret."""
    known = name in INHERITED_NAMES or name.startswith(INHERITED_PREFIXES)
    return known and not any(word in name.upper() for word in WITHHELD_WORDS)


def resolve(draft: JobDraft, submitter: Submitter) -> JobSpec:
    """Make the job as it is stored; ConfigError, with place and remedy, at the first thing not found."""
    job = draft.job
    roles = tuple(
        _Role(role, path, draft.document, submitter).resolve(path[-1] if path else job.role)
        for path, role in job.named_roles()
    )
    return JobSpec(
        name=job.name or _label(job),
        user=submitter.user,
        roles=roles,
        run_id=job.run_id,
        max_restarts=job.max_restarts,
        restart_window_s=job.restart_window,
        time_limit_s=job.time_limit,
        start_timeout_s=job.start_timeout,
        queue_timeout_s=job.queue_timeout,
        restart_grace_s=job.restart_grace,
        cancel_grace_s=job.cancel_grace,
        progress_pattern=job.progress_pattern,
        on_failure=tuple(each.rule() for each in job.on_failure),
        no_progress_restarts=job.no_progress_restarts,
        allow_mismatch=job.allow_mismatch,
        check=job.check.value if job.check is not None else "",
        priority=job.priority,
        project=job.project,
        preempt_grace_s=job.preempt_grace,
        grow=job.grow,
        replace_wait_s=job.replace_wait,
        checkpoint_pattern=job.checkpoint_pattern,
        notice_signal=job.notice_signal,
        progress=job.progress,
        checkpoint_interval_s=job.checkpoint_interval,
        checkpoint_memory_bytes=job.checkpoint_memory,
        hang=job.hangs.stage,
        hang_budgets=job.hangs.budgets(),
    )


def _label(job: JobFile) -> str:
    """Name a job by what its first role runs: `pkg.train_vit` and `x/train_vit.py` give `train-vit`."""
    _, role = job.named_roles()[0]
    stem = role.module.rpartition(".")[2] or os.path.splitext(os.path.basename(role.script or role.command))[0]
    return re.sub(r"[^a-z0-9]+", "-", stem.lower())[:63].strip("-") or "job"


@dataclass(frozen=True, slots=True)
class _Role:
    """One role on its way to a RoleSpec."""

    role: RoleFile
    path: tuple[str, ...]
    document: Document
    submitter: Submitter

    def resolve(self, name: str) -> RoleSpec:
        role = self.role
        cwd = self._workdir()
        env = self._env()
        return RoleSpec(
            name=name,
            argv=self._argv(cwd, env),
            cwd=cwd,
            env=env,
            gangs=role.gangs,
            nodes_min=role.nnodes[0],
            nodes_max=role.nnodes[1],
            node_unit=role.node_unit,
            nproc_per_node=self._nproc(role.nproc_per_node),
            restart_with=tuple(role.restart_with),
            spares=role.spares,
            require=tuple(role.require),
            nodelist=tuple(role.nodelist),
            exclude=tuple(role.exclude),
            spread=role.spread,
            apart_from=tuple(role.apart_from),
            together_with=tuple(role.together_with),
            resources=Resources(
                memory_bytes=role.resources.memory,
                tasks_max=role.resources.tasks,
                cpus=role.resources.cpus,
                numa_nodes=role.resources.numa_nodes,
                oom_score_adjust=role.resources.oom_score_adjust,
            ),
            lease_s=role.lease if role.fence == "lease" else 0.0,
            warm_spares=role.warm_spares,
            secrets=self._secrets(env),
        )

    def _refuse(self, key: str, text: str) -> ConfigError:
        return self.document.error((*self.path, key) if key else self.path, text)

    def _workdir(self) -> str:
        cwd = os.path.normpath(os.path.join(self.submitter.cwd, self.role.workdir))
        if not os.path.isdir(cwd):
            raise self._refuse("workdir", f"{cwd} is not a directory; create it or correct the path")
        return cwd

    def _env(self) -> dict[str, str]:
        env = inherited_environment(self.submitter.environ)
        for name, value in self.role.env.items():
            taken = self.submitter.environ.get(name) if value is None else value
            if taken is None:
                text = f"{name} has no value, and is not set where you submit from; set it or give it a value"
                raise self.document.error((*self.path, "env", name), text)
            env[name] = taken
        return env

    def _secrets(self, env: Mapping[str, str]) -> tuple[Secret, ...]:
        """Say where they are; what a file holds is not looked at here, as it may be another on the nodes."""
        for name in self.role.secrets:
            if name in env:
                text = f"{name} is in env too, and what is there is in the log; drop it there, and the secret is used"
                raise self.document.error((*self.path, "secrets", name), text)
        home = self.submitter.environ.get("HOME", "")
        return tuple(
            Secret(name=name, file=self._secret_path(each.file, home), credential=each.credential)
            for name, each in self.role.secrets.items()
        )

    def _secret_path(self, path: str, home: str) -> str:
        if path.startswith("~/") and home:
            path = home + path[1:]
        return os.path.normpath(os.path.join(self.submitter.cwd, path)) if path else ""

    def _argv(self, cwd: str, env: Mapping[str, str]) -> tuple[str, ...]:
        role = self.role
        what = [key for key in ("script", "module", "command") if getattr(role, key)]
        if len(what) != 1:
            said = f"says to run {' and '.join(what)}" if what else "does not say what to run"
            raise self._refuse("", f"{said}; give one script, module or command")
        if role.command:
            if role.python:
                raise self._refuse("python", "is for a script or a module, and this is a command; drop it")
            return (self._program("command", role.command, cwd, env), *role.args)
        # Unbuffered, as torchrun runs it: progress shows when it is printed.
        python = (self._python(cwd, env), "-u")
        if role.module:
            if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", role.module):
                raise self._refuse("module", f"must be a module's dotted name such as pkg.train, not '{role.module}'")
            return (*python, "-m", role.module, *role.args)
        self._readable_script(cwd)
        return (*python, role.script, *role.args)

    def _readable_script(self, cwd: str) -> None:
        path = os.path.join(cwd, self.role.script)
        if not os.path.exists(path):
            where = "" if os.path.isabs(self.role.script) else f" in {cwd}"
            raise self._refuse("script", f"{self.role.script} does not exist{where}; correct the path or set workdir")
        if not os.path.isfile(path):
            raise self._refuse("script", f"{self.role.script} is not a file; name the script itself")
        if not os.access(path, os.R_OK):
            raise self._refuse("script", f"{self.role.script} may not be read by you; change its permissions")

    def _python(self, cwd: str, env: Mapping[str, str]) -> str:
        if self.role.python:
            return self._program("python", self.role.python, cwd, env)
        candidates = pythons(env.get("VIRTUAL_ENV", ""), self.submitter.python)
        for candidate in candidates:
            if found := _executable(candidate, cwd, env):
                return found
        looked = candidates[0] if len(candidates) == 1 else "python3 or python in PATH"
        raise self._refuse("", f"no Python interpreter was found ({looked}); name one with python")

    def _program(self, key: str, word: str, cwd: str, env: Mapping[str, str]) -> str:
        if found := _executable(word, cwd, env):
            return found
        if "/" in word and os.path.isfile(os.path.join(cwd, word)):
            raise self._refuse(key, f"{word} is not executable; run chmod +x on it, or name its interpreter first")
        where = f"does not exist in {cwd}" if "/" in word else "was not found in PATH"
        remedy = "put its arguments into args" if " " in word else "correct it or give its path"
        raise self._refuse(key, f"{word} {where}; {remedy}")

    def _nproc(self, wanted: Nproc) -> int:
        if isinstance(wanted, int):
            return wanted
        if wanted == "gpu" and not self.submitter.gpus:
            text = "gpu counts the NVIDIA devices of the host you submit from, and it has none; give a number"
            raise self._refuse("nproc_per_node", text)
        return self.submitter.cpus if wanted == "cpu" else self.submitter.gpus or self.submitter.cpus


def _executable(word: str, cwd: str, env: Mapping[str, str]) -> str | None:
    """Find a program as a shell in `cwd` would: its absolute path, links kept (a venv's python is one)."""
    folders = [""] if "/" in word else env.get("PATH", os.defpath).split(os.pathsep)
    for folder in folders:
        path = os.path.abspath(os.path.join(cwd, folder, word))
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None
