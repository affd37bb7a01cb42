"""How everything here is timed, judged and told: events, statistics, timing, devices, ceilings, gates, and the runner."""
