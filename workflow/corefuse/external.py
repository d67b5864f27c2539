"""Old name of :mod:`corefuse.simulate.programs`, kept for one release for engines of users."""

from corefuse.simulate.programs import *  # noqa: F403
