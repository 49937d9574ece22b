"""Faults on single HTTP/1.1 requests of a link: rules that name a scope and an action.

    caller -> [TLS] -> Relay (frames requests, asks the rules) -> [TLS] -> toxics -> callee
    caller <- [TLS] <- Relay (frames replies, lets a treatment change them) <- [TLS] <- toxics <- callee

`PUT /harness/links/<proxy>` says what a link speaks, `POST /harness/rules` makes a rule, both strict JSON:

    {"protocol": "http" | "https" | "tcp",
     "callee": "payments", "identities": {"callee": "<folder>", "caller": "<folder>"},          (https only)
     "tenant": {"header": "x-tenant-id", "claim": "tenant"}}                                    (how a tenant is known)

    {"name": "slow-acme", "proxy": "orders -> payments",
     "scope": {"tenant": "acme", "method": "POST", "route": "/orders/*", "header": {"x-plan": "gold"},
               "share": 0.2, "next": 3, "trace": "<32 hex>"},                                   (all that is given)
     "action": {"type": "delay", "latency_s": 0.3, "jitter_s": 0.05, "distribution": "normal", "ramp_s": 5}}

Actions: delay, answer {status, headers, body}, hang, reset_request, lose_reply, truncate {bytes}, corrupt {bytes},
slow_body {rate}, null_field {path}, duplicate. See `actions.py` for what each does to a request.
"""
