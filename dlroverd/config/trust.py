"""How long what proves an identity is good."""

from dlroverd.config.schema import Duration, Section, limit


class TrustConfig(Section):
    """The lives of what the daemon issues."""

    identity_life: Duration = limit(
        60.0,
        "how long a local caller's identity token is good; dlroverctl gets one for each call",
        fires="a call with it is refused; the next one gets another",
        example="1m",
        gt=0,
    )
