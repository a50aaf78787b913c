"""The pages of who runs jobs, and of how jobs come and go."""

from typing import Any

from rescind.api.http import Context, Live, Request, Text
from rescind.service import overview
from rescind.service.overview import Activity, Fleet
from rescind.service.policy import readable_owner
from rescind.ui.charts import charts_of
from rescind.ui.pages import page, region


def workers(context: Context, request: Request) -> Text | Live:
    """The workers, and what each runs."""
    caller = request.signed_in

    def values(state: Fleet) -> dict[str, Any]:
        held = {
            worker.id: [run for run in state.runs if run.worker == worker.id]
            for worker in state.workers
        }
        return {"workers": state.workers, "held": held}

    return Live(
        key=("workers", readable_owner(caller)),
        look=lambda: overview.fleet(context.store, caller),
        regions=lambda state: {"workers": region("workers", **values(state))},
        page=lambda state: page("workers.html", request, live=True, **values(state)),
    )


def charts(context: Context, request: Request) -> Text | Live:
    """How jobs have ended, waited and run in the last day."""
    caller, seconds = request.signed_in, context.settings.query_seconds

    def values(state: Activity) -> dict[str, Any]:
        return {"charts": charts_of(state)}

    return Live(
        key=("charts", readable_owner(caller)),
        look=lambda: overview.activity(context.store, caller, seconds=seconds),
        regions=lambda state: {"charts": region("charts", **values(state))},
        page=lambda state: page("charts.html", request, live=True, **values(state)),
    )
