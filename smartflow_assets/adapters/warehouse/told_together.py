"""Which incidents people are told of by another one, as the table `incidents` says it: those of its source that carry its id, and, for a
group over several sources, what is told with those as well."""

MEMBERS = """(
    SELECT incident_id, count(*) AS member_count, list_sort(list(DISTINCT source)) AS sources, list(DISTINCT cause) AS member_causes,
           max(last_seen_at) AS members_seen_at FROM (
        SELECT group_id AS incident_id, source, cause, last_seen_at FROM incidents WHERE group_id IS NOT NULL
        UNION ALL SELECT leader.group_id, member.source, member.cause, member.last_seen_at FROM incidents AS member
        JOIN incidents AS leader ON leader.incident_id = member.group_id WHERE leader.group_id IS NOT NULL
    ) GROUP BY incident_id
)"""
"""incident_id, how many others are told by it, of which sources and causes these are, and when the last of them was last there."""


def is_told_by_itself(beside: str = "TRUE") -> str:
    """Whether no other incident that is not over tells of it; `beside`: which of these count."""
    return f"""NOT EXISTS (SELECT 1 FROM incidents AS leader
                   WHERE leader.incident_id = incidents.group_id AND leader.state <> 'resolved' AND {beside})"""
