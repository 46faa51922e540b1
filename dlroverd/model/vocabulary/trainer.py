"""Ranks: what they say of themselves through `dlroverd_train.events`, and what users add. Bodies may hold more."""

from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary.schema import ANY, INSTANT, SPAN, Envelope, Field, Schema, Source

# The name of every event of a user's own begins with it.
USER = "user."

_STEP = Field("step", "integer", "the training step")


def _said(
    name: str,
    says: str,
    *fields: Field,
    kinds: tuple[EventKind, ...] = INSTANT,
    severity: Severity = Severity.INFO,
    telemetry: bool = False,
    dlrover: tuple[str, ...] | None = None,
) -> Schema:
    return Schema(
        name=f"trainer.{name}",
        says=says,
        source=Source.RANK,
        kinds=kinds,
        envelope=Envelope(severity=severity, kind=kinds[0]),
        fields=fields,
        is_open=True,
        telemetry=telemetry,
        dlrover=(f"trainer.{name}",) if dlrover is None else dlrover,
    )


SCHEMAS = (
    _said("start", "The training program began."),
    _said("init", "It makes itself ready.", kinds=SPAN, dlrover=("trainer.init", "trainer.init_end")),
    _said(
        "load_ckpt",
        "It loads a checkpoint.",
        kinds=SPAN,
        dlrover=("trainer.load_ckpt", "action.resume_mem_ckpt_start", "action.resume_mem_ckpt_complete"),
    ),
    _said("load_dataset", "It loads its data.", kinds=SPAN),
    _said("train", "It trains.", kinds=SPAN),
    _said("epoch", "One epoch.", Field("epoch", "integer", "its number"), kinds=SPAN),
    _said("step", "One training step.", _STEP, kinds=SPAN, telemetry=True),
    _said("substep", "A part of a step, such as one micro-batch, is done.", telemetry=True),
    _said(
        "steps",
        "How long its newest steps took, the mean of those since it said so last.",
        Field("value", "number", "seconds"),
        Field("count", "integer", "how many these are"),
        kinds=(EventKind.GAUGE,),
        telemetry=True,
        dlrover=(),
    ),
    _said(
        "work",
        "How long its own part of a step takes.",
        Field("value", "number", "seconds"),
        kinds=(EventKind.GAUGE,),
        telemetry=True,
        dlrover=(),
    ),
    _said("evaluate", "It evaluates the model.", kinds=SPAN),
    _said("predict", "It makes predictions.", kinds=SPAN),
    _said("predict_step", "One step of its predictions is done.", telemetry=True),
    _said(
        "save",
        "It saves a checkpoint; training waits for it.",
        _STEP,
        kinds=SPAN,
        dlrover=("trainer.save", "action.mem_ckpt_start", "action.mem_ckpt_complete"),
    ),
    _said(
        "persist_ckpt",
        "A checkpoint that was saved elsewhere first is written to where it lasts.",
        _STEP,
        Field("path", "text", "where it is written to"),
        Field("size", "integer", "how many bytes it has"),
        kinds=SPAN,
        dlrover=(
            "trainer.persist_ckpt",
            "action.save_shard_start",
            "action.save_shard_complete",
            "action.save_shard_error",
        ),
    ),
    _said("log", "What it logs of its training.", Field("logs", "object", "names and values, such as loss")),
    _said("finish", "The training program is done."),
    _said(
        "warning",
        "Something is not as it should be.",
        Field("msg", "text", "what"),
        Field("warning_type", "text", "what kind of thing"),
        severity=Severity.WARNING,
        dlrover=("common.warning",),
    ),
    _said(
        "exception",
        "It ends, since nothing caught an exception.",
        Field("type", "text", "the exception's class"),
        Field("message", "text", "what it says"),
        Field("stack", "text", "its traceback"),
        severity=Severity.ERROR,
        dlrover=("error.exception",),
    ),
    _said(
        "signal",
        "A signal ended the rank: its agent says so, for the rank could not.",
        Field("number", "integer", "the signal's number"),
        Field("name", "text", "its name, such as SIGTERM"),
        severity=Severity.WARNING,
        dlrover=("error.exit_sig",),
    ),
    _said(
        "events_dropped",
        "Events of a rank could not be written down.",
        Field("count", "integer", "how many"),
        Field("why", "text", "why, in a sentence"),
        severity=Severity.WARNING,
        dlrover=(),
    ),
    Schema(
        name=f"{USER}*",
        says="A user's own: any name behind `user.`, any body, any severity. Gauges are telemetry.",
        source=Source.RANK,
        kinds=ANY,
        envelope=Envelope(),
        is_open=True,
    ),
)
