"""Two users on the same hosts: what is one's is not the other's, and root runs nothing unless it is allowed."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from dlroverd.model.job import JobSpec, RoleSpec, Secret, User
from dlroverd.protocol.errors import CallError
from tests.fleet.conftest import Boot
from tests.fleet.harness import CTL, CTL_PROGRAM, DAEMON, Fleet
from tests.system.fleet import gang

ANN = User(uid=4001, gid=4001, name="ann")
BOB = User(uid=4002, gid=4002, name="bob")
CANARY = "c4n4ry-5d20e19ab7"
LOOK = ("grep", "-rlsF", CANARY, "/var/lib", "/var/log", "/run", "/etc", "/tmp", "/home")
HERS = """
import os, resource, time
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print('step 1', len(os.environ['TOKEN']), flush=True)
time.sleep(600)
"""
# Tries, as another user, to come by what is hers: each that succeeds is a line.
TRIES = """
import ctypes, os, socket, sys
pid, files, secret = sys.argv[1:4]
def tried(what, act):
    try:
        act()
    except OSError:
        return
    print("CAME BY", what)
tried("environment", lambda: open(f"/proc/{pid}/environ").read())
tried("memory", lambda: open(f"/proc/{pid}/mem", "rb"))
tried("descriptors", lambda: os.listdir(f"/proc/{pid}/fd"))
tried("secret", lambda: open(secret).read())
for path in files.split():
    if not os.path.isdir(path):
        tried(f"name {path}", lambda: os.rename(path, path + ".gone"))
    else:
        tried(f"folder {path}", lambda: os.listdir(path))
    tried(f"file {path}", lambda: open(path, "rb").read(1))
    tried(f"written {path}", lambda: open(path, "ab"))
    def speak():
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(5)
            end.connect(path)
            end.sendall(b"x" * 64)
            if not end.recv(1):
                raise OSError("hung up")
    tried(f"socket {path}", speak)
for name in os.listdir("/dev/shm"):
    tried(f"shared memory {name}", lambda: open(f"/dev/shm/{name}", "rb"))
tried("signal", lambda: os.kill(int(pid), 0))
libc = ctypes.CDLL(None, use_errno=True)
tried("trace", lambda: libc.ptrace(16, int(pid), 0, 0) == 0 or (_ for _ in ()).throw(OSError()))
print("tried")
"""


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """One node that both know."""
    made = boot(1)
    for host in (CTL, *made.nodes):
        for user in (ANN, BOB):
            made.exec(host, "useradd", "-u", str(user.uid), "-U", "-m", user.name)
    return made


def spec(user: User, *secrets: Secret, memory: int = 0) -> JobSpec:
    role = RoleSpec(
        argv=("/usr/bin/python3", "-u", "-c", HERS),
        cwd=f"/home/{user.name}",
        env={"PATH": "/usr/bin:/bin"},
        secrets=secrets,
    )
    return JobSpec(name="hers", user=user, roles=(role,), checkpoint_memory_bytes=memory)


def test_one_user_comes_by_nothing_of_another(fleet: Fleet) -> None:
    (node,) = fleet.nodes
    home = fleet.root(node) / "home/ann"
    (home / "token").write_text(CANARY)
    fleet.exec(node, "sh", "-ec", "chown ann: /home/ann/token; chmod 600 /home/ann/token; chmod 755 /home/ann")
    job = fleet.client.submit(spec(ANN, Secret(name="TOKEN", file="/home/ann/token"), memory=1 << 20))
    view = fleet.until_job(job, lambda view: gang(view).step >= 1)
    (rank,) = gang(view).ranks
    status = Path(fleet.root(node), "proc", str(rank.pid), "status").read_text()
    assert "Uid:\t4001\t4001\t4001\t4001\nGid:\t4001\t4001\t4001\t4001\n" in status
    assert "Groups:\t4001 \n" in status

    folders = ("/var/lib/dlroverd-agent", "/run/dlroverd-agent")
    found = fleet.exec(node, "find", *folders, "-mindepth", "1").split()
    assert any(path.endswith(".sock") for path in found), "the vault's and the rank's are among them"
    words = ("/usr/bin/python3", "-c", TRIES, str(rank.pid), " ".join(found), "/home/ann/token")
    said = fleet.exec(node, "runuser", "-u", "bob", "--", *words)
    assert said.splitlines() == ["tried"]
    assert "CAME BY environment\n" in fleet.exec(node, "runuser", "-u", "ann", "--", *words), "she may"

    out = fleet.exec(CTL, "runuser", "-u", "bob", "--", CTL_PROGRAM, "logs", str(job), code=None)
    assert "step 1" not in out
    fleet.exec(CTL, "runuser", "-u", "bob", "--", CTL_PROGRAM, "job", "cancel", str(job), code=1)
    shown = fleet.exec(node, "systemctl", "show", "--all", f"*j{job}*", "dlroverd*")
    cores = fleet.exec(node, "sh", "-c", "cat /proc/sys/kernel/core_pattern; ls /var/lib/systemd/coredump 2>&1 || true")
    held = fleet.exec(node, *LOOK, code=None).split()
    kept = fleet.exec(CTL, *LOOK, code=None).split()
    assert CANARY not in shown + cores + fleet.ctl("event", "list", "-o", "json")
    assert (held, kept) == (["/home/ann/token"], [])
    assert not [each for each in fleet.processes(node) if CANARY in " ".join(each.argv)]
    fleet.exec(node, "sh", "-ec", f"kill -ABRT {rank.pid}; kill -CONT {rank.pid}")  # her own trace stopped it
    fleet.until_job(job, lambda view: gang(view).round == 2 and gang(view).step >= 1)
    assert fleet.exec(node, "sh", "-c", "ls /home/ann/core*").split(), "it is here that it would be named after it"
    assert fleet.exec(node, "find", "/", "-xdev", "-name", f"*{CANARY}*") == ""
    fleet.client.cancel(job)
    assert fleet.until_over(job).state == "cancelled"


def test_a_secret_of_another_is_not_read_for_whom_it_is_not(fleet: Fleet) -> None:
    (node,) = fleet.nodes
    root = fleet.root(node)
    (root / "home/ann/token").write_text(CANARY)
    fleet.exec(
        node, "sh", "-ec", "chown ann: /home/ann/token; chmod 600 /home/ann/token; mkdir -p -m 700 /etc/credstore"
    )
    (root / "etc/credstore/dlroverd.ann.key").write_text("hers")
    for secret, why in (
        (Secret(name="TOKEN", file="/home/ann/token"), "secret TOKEN cannot be read from /home/ann/token (Permission"),
        (Secret(name="TOKEN", credential="key"), "secret TOKEN needs the credential dlroverd.bob.key"),
    ):
        over = fleet.until_over(fleet.client.submit(replace(spec(BOB, secret), max_restarts=0)))
        assert over.state == "failed"
        assert why in over.reason
    job = fleet.client.submit(spec(ANN, Secret(name="TOKEN", credential="key")))
    fleet.until_job(job, lambda view: gang(view).step >= 1)
    assert "step 1 4" in fleet.ctl("logs", str(job))
    (rank,) = gang(fleet.client.job(job)).ranks
    (process,) = [each for each in fleet.processes(node) if each.pid == rank.pid]
    assert {"TOKEN": "hers"}.items() <= process.environ.items()


@pytest.mark.parametrize(
    ("user", "why"),
    [
        (replace(ANN, name="bob"), "user bob has uid 4002 there, and 4001 where the job was submitted"),
        (replace(ANN, name="eve"), "uid 4001 is user ann there, and user eve where the job was submitted"),
        (replace(ANN, home="/data/ann"), "user ann has the home /home/ann there, and /data/ann where"),
        (replace(ANN, groups=(4001, 4002)), "user ann is not in group bob (gid 4002) there"),
    ],
    ids=["uid", "name", "home", "groups"],
)
def test_nothing_is_run_on_a_node_where_its_user_is_not_the_same(fleet: Fleet, user: User, why: str) -> None:
    """Though a world on one node is not checked before it starts."""
    over = fleet.until_over(fleet.client.submit(replace(spec(user), max_restarts=0)))
    assert over.state == "failed"
    assert why in over.reason


def test_an_encrypted_credential_is_decrypted_for_its_user(fleet: Fleet) -> None:
    (node,) = fleet.nodes
    store, entry = "/etc/credstore.encrypted", "dlroverd.ann.sealed"
    seal = ("systemd-creds", "encrypt", f"--name={entry}", "-", f"{store}/{entry}")
    fleet.exec(node, "mkdir", "-p", "-m", "700", store)
    fleet.exec(node, "sh", "-ec", f"printf sealed | {shlex.join(seal)}")
    job = fleet.client.submit(spec(ANN, Secret(name="TOKEN", credential="sealed")))
    fleet.until_job(job, lambda view: gang(view).step >= 1)
    assert "step 1 6" in fleet.ctl("logs", str(job))


def test_roots_jobs_are_refused_unless_that_is_allowed(fleet: Fleet) -> None:
    root = replace(spec(ANN), user=User(uid=0, gid=0, name="root"))
    fleet.reconfigure(CTL, allow_root=False)
    fleet.until_ready()
    with pytest.raises(CallError, match=r"Jobs of root are not taken: .*allow_root"):
        fleet.client.submit(root)
    fleet.client.cancel(fleet.client.submit(spec(ANN)))
    fleet.reconfigure(CTL, allow_root=True)
    fleet.until_ready()
    fleet.client.cancel(fleet.client.submit(root))


def test_root_backs_up_and_restores_what_is_the_daemon_s_users_own(fleet: Fleet) -> None:
    job = fleet.client.submit(spec(ANN, Secret(name="TOKEN", file="/etc/hostname")))
    before = [rank.pid for rank in gang(fleet.until_job(job, lambda view: view.state == "running")).ranks]
    fleet.ctl("state", "backup", "/root/copy")
    fleet.client.restart(job)
    fleet.until_job(job, lambda view: view.state == "running" and gang(view).round == 2)
    after = [rank.pid for rank in gang(fleet.client.job(job)).ranks]
    fleet.exec(CTL, "systemctl", "stop", DAEMON)
    fleet.ctl("state", "restore", "/root/copy", "--force")
    assert set(fleet.exec(CTL, "find", "/var/lib/dlroverd", "-printf", "%u\\n").split()) == {"dlroverd"}
    fleet.exec(CTL, "systemctl", "start", DAEMON)
    fleet.until_ready()
    view = fleet.client.job(job)
    assert ([rank.pid for rank in gang(view).ranks], gang(view).round) == (after, 2)
    assert before != after
