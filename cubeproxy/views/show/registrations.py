"""`show sip-ua registration passthrough status` (layout: vendor, line-side survivability chapter)."""

from __future__ import annotations

from cubeproxy.views.sources import Sources

HEAD = (
    "CallId       Line         peer         mode In-Exp        reg-I Out-Exp survival",
    "============ ============ ============ ==== ============= ===== ======= ========",
)


def passthrough_status(sources: Sources) -> str:
    now = sources.clock()
    rows = [*HEAD]
    for number, binding in enumerate((b for b in sources.border.registrations.bindings if b.live), 1):
        left = max(0, round(binding.expires_at - now))
        within = f"{left:<5} /{binding.granted}"
        rows.append(
            f"{number:<12} {binding.user:<12} {binding.peer:<12} e2e  {within:<13} ----- {binding.granted:<7} normal"
        )
    return "\n".join(rows) + "\n"
