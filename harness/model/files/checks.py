"""`checks:` of a scenario: one entry is exactly one kind of check, with its parameters."""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationInfo, create_model, model_validator

from harness.model.base import Spec, is_stored
from harness.model.files.check_kinds.declared import BUILT_IN, added_kinds, every_kind
from harness.model.files.check_kinds.row import CheckKind
from harness.model.files.extensible import PLUGINS, Extensible
from harness.model.files.severity import Severity

CHECKS = tuple(kind.name for kind in BUILT_IN)


class _AnyCheck(Extensible):
    """What every entry has; `CheckSpec` adds the kinds."""

    name: str | None = Field(
        default=None, description="How findings and `proves` call it; without it the kind of check."
    )
    severity: Severity = Field(
        default=Severity.CRITICAL, description="warning: a failure is reported, and does not break the claim."
    )

    @model_validator(mode="after")
    def _is_one_check(self, info: ValidationInfo) -> "_AnyCheck":
        if not self.given and is_stored(info):
            msg = "the kind of this check is not known: install its plugin, or a newer harness"
            raise ValueError(msg)
        if len(self.given) != 1:
            msg = f"an entry is exactly one of {', '.join(every_kind())}; got {', '.join(self.given) or 'none'}"
            raise ValueError(msg)
        return self

    @property
    def given(self) -> list[str]:
        """The kinds that are asked for; a valid entry has exactly one."""
        return [name for name in every_kind() if getattr(self, name, None) is not None]

    @property
    def kind(self) -> str:
        """Which check it is."""
        return self.given[0]

    @property
    def id(self) -> str:
        """How findings call it."""
        return self.name or self.kind

    @property
    def spec(self) -> Spec:
        """The check's own parameters."""
        spec: Spec = getattr(self, self.kind)
        return spec

    @classmethod
    def added_names(cls) -> list[str]:
        """Return the kinds that plugins added so far."""
        return [kind.name for kind in added_kinds()]

    @classmethod
    def extended(cls) -> type["CheckSpec"]:
        """Return the model with the plugins' kinds."""
        return _extended(added_kinds()) if added_kinds() else CheckSpec


def fields_of(kinds: Iterable[CheckKind]) -> dict[str, Any]:
    """Return the fields that let an entry be one of *kinds*, as `pydantic.create_model` takes them."""
    return {kind.name: (kind.spec | None, None) for kind in kinds if kind.spec}


if TYPE_CHECKING:

    class CheckSpec(_AnyCheck):
        """One entry of `checks:`; it has one field for each kind, of which one is given."""

        def __getattr__(self, name: str) -> Any: ...

else:
    CheckSpec = create_model(
        "CheckSpec",
        __base__=_AnyCheck,
        __module__=__name__,
        __doc__="One entry of `checks:`: exactly one check, and optionally a name and a severity.",
        **fields_of(BUILT_IN),
    )


@lru_cache(maxsize=8)
def _extended(added: tuple[CheckKind, ...]) -> type[CheckSpec]:
    """Return the model of an entry that may also be of an added kind."""
    extended: type[CheckSpec] = create_model("CheckSpec", __base__=CheckSpec, __module__=PLUGINS, **fields_of(added))
    return extended
