"""How bad news looks: one colour and one sign for each tone, the same in all formats that have either."""

from collections.abc import Mapping

from smartflow_assets.core.incidents.content import Tone

COLOURS: Mapping[Tone, str] = {"critical": "#b3261e", "warning": "#b26a00", "info": "#2f5d8a", "resolved": "#2e7d32"}
SIGNS: Mapping[Tone, str] = {"critical": "🔴", "warning": "🟠", "info": "🔵", "resolved": "✅"}
