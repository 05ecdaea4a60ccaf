"""SmartFlow: time series are read, cleaned and judged, and somebody is told of what is strange. docs/architecture.md shows the layers."""
