"""Where a job's secrets are: by reference, so that no value is ever in a job file, a log or an answer."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from dlroverd.config.durations import shown
from dlroverd.config.schema import Section, Text, setting

# A part of a file's name in systemd's credential stores.
CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)


def _credential(value: str) -> str:
    if value and not CREDENTIAL.fullmatch(value):
        raise ValueError(f"must be a name of letters, digits, '_', '.' and '-', not {shown(value)}")
    return value


class SecretFile(Section):
    """One secret: exactly one of these."""

    file: Text = setting("", "a file that you may read on each node; its content is the value", example="~/.hf_token")
    credential: Annotated[Text, AfterValidator(_credential)] = setting(
        "", "what an administrator left for you on each node, as dlroverd.USER.NAME in /etc/credstore", example="wandb"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.file) == bool(self.credential):
            raise ValueError("needs either a file or a credential; give one of them")
        return self
