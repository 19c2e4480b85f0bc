"""A browser with a page of patches that lie in all ways, one for each file of tests."""

import json
import warnings
from collections.abc import Callable, Iterator

import pytest

from alsweep.people.page import write_page
from tests.browser import NAMES, Browser, browser, find_chromium
from tests.people.pages import CLASSES, NAMED, SIZE, Screen


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Iterator[Browser]:
    """The page of ``NAMED``, opened from the disk; what it saves goes to ``tab.files``."""
    program = find_chromium()
    if program is None:
        told = (
            f"warning: none of {', '.join(NAMES)} is on PATH; the page was not tried in a browser"
        )
        warnings.warn(told, stacklevel=1)
        pytest.skip(told)
    folder = tmp_path_factory.mktemp("page")
    page = write_page(folder / "loop_001", list(NAMED.values()), CLASSES, "Livers & more")
    with browser(program, folder / "profile") as one:
        one.page = page
        one.files = folder / "files"
        one.downloads_to(one.files)
        one.open(page, *SIZE)
        one.ask("ready")
        yield one
        assert one.complaints == []


@pytest.fixture
def show(tab) -> Callable[..., Screen]:
    """Shows a patch by its name, unpainted, with the smallest brush."""

    def shown(name: str, **settings) -> Screen:
        usual = {"tool": "brush", "code": 2, "size": 1, "solid": False, "spared": False}
        at = list(NAMED).index(name)
        tab.ask(f"openTask({at}).then(() => fillWith(() => UNPAINTED))")
        tab.ask(f"Object.assign(app.settings, {json.dumps(usual | settings)}); showAll()")
        return Screen(tab, NAMED[name])

    return shown
