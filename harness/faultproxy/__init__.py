"""The embedded fault proxy: Toxiproxy's HTTP API and data plane, plus leases, observed counters and a seed.

From the outside in: `server` (process) -> `api` (routes) -> `proxies` (collection) -> `proxy` (listener) ->
`connection` (two sockets) -> `pipe` (one direction) -> `toxics.*` (one stage per toxic).
"""
