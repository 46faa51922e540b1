"""What jobs may ask of labels and devices: when it is met, what is said when it is not, and what is no constraint."""

import pytest

from dlroverd.model.constraints import parse, unmet
from dlroverd.model.placement import NodeTraits

NODE = NodeTraits(slots=8, labels=(("gpu", "h100"), ("ssd", "")), model="NVIDIA H100 80GB HBM3")


@pytest.mark.parametrize(
    "text",
    ["gpu=h100", "gpu", "ssd", "!tpu", "gpu!=a100", "tpu!=v4", "device=*H100*", "device=*h100*", "device!=*A100*"],
)
def test_what_a_node_has_is_met(text: str) -> None:
    assert unmet([text], NODE) == ("", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gpu=a100", "label gpu=h100"),
        ("gpu!=h100", "label gpu=h100"),
        ("ssd=big", "label ssd"),
        ("!ssd", "label ssd"),
        ("tpu", "no label tpu"),
        ("tpu=v4", "no label tpu"),
        ("device=H100", "its device is NVIDIA H100 80GB HBM3"),
        ("device!=*80GB*", "its device is NVIDIA H100 80GB HBM3"),
    ],
)
def test_what_a_node_lacks_is_said(text: str, found: str) -> None:
    assert unmet(["gpu", text], NODE) == (text, found)


def test_a_node_without_devices_is_like_no_model() -> None:
    assert unmet(["device=?*"], NodeTraits()) == ("device=?*", "it has no device")
    assert unmet(["device!=*H100*"], NodeTraits()) == ("", "")


@pytest.mark.parametrize("text", ["", "!", "=h100", "gpu=", "gpu==h100 ", "!gpu=h100", "a b", "gpu>3", "-x", "x-"])
def test_what_is_no_constraint_is_refused(text: str) -> None:
    if text == "gpu==h100 ":  # a value may hold anything
        assert parse(text).value == "=h100 "
        return
    with pytest.raises(ValueError, match=r"is no constraint; write gpu=h100, gpu!=h100, ssd, !ssd or device=\*H100\*$"):
        parse(text)


@pytest.mark.parametrize("text", ["device", "!device"])
def test_a_device_needs_a_model(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no model; write device=\*H100\*, or device=\?\* for any$"):
        parse(text)
