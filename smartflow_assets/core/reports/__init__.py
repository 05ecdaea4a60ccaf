"""Pictures and pages for people: plots of series and metrics, reports as one HTML file."""
