"""How long what proves an identity is good."""

from dlroverd.config.schema import Duration, Section, limit


class TrustConfig(Section):
    """The lives of what the daemon issues."""

    certificate_life: Duration = limit(
        30 * 86400.0,
        "how long a certificate is good that this daemon issues; it is renewed when two thirds of that are over",
        fires="who could not renew it in time is not let in, and renews it then, up to `renewal_grace` later",
        example="30d",
        gt=0,
    )
    renewal_grace: Duration = limit(
        30 * 86400.0,
        "how long after its end a certificate may still be renewed, as when the daemon was away",
        fires="its host has to join again, with a new token",
        example="30d",
    )
    identity_life: Duration = limit(
        60.0,
        "how long a local caller's identity token is good; dlroverctl gets one for each call",
        fires="a call with it is refused; the next one gets another",
        example="1m",
        gt=0,
    )
