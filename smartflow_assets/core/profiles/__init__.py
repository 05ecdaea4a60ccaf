"""Profiles: what the rows of a source are like, bucket by bucket, as series that nobody asked for.

Which figures there are and what they are called (`figures`), what a source may say of them (`settings`), which of them are unusual
(`judging`), and how that is said (`sentences`). They are counted in SQL by `adapters.aggregation.profile_figures`; which buckets are due
is the business of `stages.profile`.
"""

from smartflow_assets.core.profiles.settings import ProfileSettings

__all__ = ["ProfileSettings"]
