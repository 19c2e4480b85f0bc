"""Names for plug-ins: one name or alias, one class; a second claim is an error."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from alsweep.errors import RegistryError, StrategyError

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from names and aliases to plug-ins of one kind.

    Args:
        kind: What the plug-ins are, for error messages ("strategy").
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._items: dict[str, T] = {}
        self._aliases: dict[str, str] = {}

    def add(self, name: str, item: T, aliases: tuple[str, ...] = ()) -> None:
        """Register ``item``.

        Raises:
            RegistryError: The name or an alias is taken.
        """
        for claimed in (name, *aliases):
            if claimed in self._items or claimed in self._aliases:
                raise RegistryError(
                    f"{self._kind} '{claimed}' is registered twice; rename one of them"
                )
        self._items[name] = item
        self._aliases |= dict.fromkeys(aliases, name)

    def forget(self, module: str) -> None:
        """Drop what a module has registered."""
        self._items = {
            name: item
            for name, item in self._items.items()
            if getattr(item, "__module__", None) != module
        }
        self._aliases = {a: name for a, name in self._aliases.items() if name in self._items}

    def has_of(self, module: str) -> bool:
        """Whether a module has registered anything."""
        return any(getattr(item, "__module__", None) == module for item in self._items.values())

    def name(self, name_or_alias: str) -> str:
        """Return the registered name.

        Raises:
            StrategyError: Nothing has that name; the message suggests the nearest one.
        """
        if name_or_alias in self._items:
            return name_or_alias
        if name_or_alias in self._aliases:
            return self._aliases[name_or_alias]
        raise StrategyError(
            f"unknown {self._kind} '{name_or_alias}'{self._suggestion(name_or_alias)}; "
            "one of your own needs its file: --plugin FILE, or plugins: in the search space"
        )

    def get(self, name_or_alias: str) -> T:
        """Return the plug-in of that name or alias; see :meth:`name` for the error."""
        return self._items[self.name(name_or_alias)]

    def aliases(self, name: str) -> list[str]:
        """The other names of a registered plug-in."""
        return sorted(alias for alias, target in self._aliases.items() if target == name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def _suggestion(self, name: str) -> str:
        names = [*self._items, *self._aliases]
        begin = [one for one in names if one.startswith(name)]
        near = get_close_matches(name, begin or names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(self)}"
        return f"; {hint}"
