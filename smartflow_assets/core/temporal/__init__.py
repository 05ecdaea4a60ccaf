"""Durations, moments, rates ("1 per week"), calendars and holidays, regular grids of time, cron schedules."""
