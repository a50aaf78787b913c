"""What of a page's buttons there are for its user."""

from msgspec import Struct

from rescind.errors import RequestRefused
from rescind.model import Job
from rescind.service.policy import Caller, Profile, editable_owner
from rescind.service.rerun import rerunnable_owner


class Rights(Struct, frozen=True, kw_only=True):
    """Whose jobs somebody may change, and run again: None for everyone's, 0 for nobody's."""

    edit: int | None
    rerun: int | None

    @property
    def some(self) -> bool:
        """Whether there is anybody whose jobs they may cancel."""
        return self.edit != 0

    def may_edit(self, job: Job) -> bool:
        """Whether they may cancel and start a job."""
        return self.edit in (None, job.created_by)

    def may_rerun(self, job: Job) -> bool:
        """Whether they may run a job again."""
        return self.rerun in (None, job.created_by)


def rights(caller: Caller, profile: Profile) -> Rights:
    """What a caller may, now."""
    try:
        edit = editable_owner(caller, profile)
    except RequestRefused:
        edit = 0
    try:
        rerun = rerunnable_owner(caller, profile, undo=False)
    except RequestRefused:
        rerun = 0
    return Rights(edit=edit, rerun=rerun)
