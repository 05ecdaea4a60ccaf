"""What a plug-in must keep to, as functions that its author calls in tests of their own: `check_detector`, `check_reader`,
`check_channel`, `check_rule`.

Each runs every check of its kind and raises AssertionError with a sentence that says which promise is broken, by which input, and
what to do. SmartFlow's own tests run the same checks over everything that it brings along, one check at a time
(`DETECTOR_CHECKS`, `READER_CHECKS`, …), which is a good way for others too: a test for each check names what fails. Plain
assertions: any test runner will do. Nothing in SmartFlow itself imports this package.
"""

from smartflow_assets.testing.channels import CHANNEL_CHECKS, ChannelCase, check_channel
from smartflow_assets.testing.detectors import DETECTOR_CHECKS, check_detector
from smartflow_assets.testing.readers import READER_CHECKS, ReaderCase, check_reader
from smartflow_assets.testing.rules import RULE_CHECKS, RuleCase, check_rule

__all__ = [
    "CHANNEL_CHECKS",
    "DETECTOR_CHECKS",
    "READER_CHECKS",
    "RULE_CHECKS",
    "ChannelCase",
    "ReaderCase",
    "RuleCase",
    "check_channel",
    "check_detector",
    "check_reader",
    "check_rule",
]
