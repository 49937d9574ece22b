"""What other distributions declare by entry points. Nothing is imported before somebody asks for a group."""

from importlib.metadata import EntryPoint, entry_points


def declared_in(group: str, wanted: type) -> dict[str, object]:
    """Import what the entry points of *group* name; return it by the plugin's description.

    An exception stands for what cannot be imported, or is not a *wanted*.
    """
    return {describe(point): _loaded(point, wanted) for point in entry_points(group=group)}


def describe(point: EntryPoint) -> str:
    """Name a plugin for people: distribution, entry point and object."""
    distribution = point.dist.name if point.dist else "an unknown distribution"
    return f"{distribution} ({point.name} = {point.value})"


def distribution_of(plugin: str) -> str:
    """Return the distribution in a description."""
    return plugin.partition(" (")[0]


def _loaded(point: EntryPoint, wanted: type) -> object:
    try:
        found = point.load()
    except (Exception, SystemExit) as problem:  # noqa: BLE001  a plugin may raise anything
        return problem
    return found if isinstance(found, wanted) else TypeError(f"it is a {type(found).__name__}, not a {wanted.__name__}")
