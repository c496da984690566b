"""
Measures what the page takes to draw and to follow the mouse: medians, in a Chromium without a GPU.

20 lines of 100,000 samples are what the page is made for; 20 of 2,600 are what a chart of this
width asks for. `draw_ms` is from the call to the last pixel, the legend too, `script_ms` the part
of it that is JavaScript; `move_ms` is the work of one move of the mouse, `frame_ms` the time
between two frames while it moves (16.7 is 60 frames per second), `redraws` how often those moves
drew lines again.

No Worker runs, and a computer with a GPU paints faster than this.

Usage: python3 scripts/bench.py page [--rounds N]
"""

from __future__ import annotations

import json
import os
import platform
import subprocess

from devtools.children import Children
from devtools.layout import ROOT, SCRIPTS
from devtools.signals import StopSignals
from devtools.toolchain import Toolchain, set_up

SHAPES = ((20, 100_000), (20, 2_600))


def main(rounds: int) -> None:
    """Print the figures, a line for each shape."""
    with StopSignals() as signals, Children(signals) as children:
        tools = set_up(children)
    _node(tools, "build.mjs")
    for lines, samples in SHAPES:
        asked = json.dumps({"rounds": rounds, "lines": lines, "samples": samples})
        measured = json.loads(_node(tools, "measure.mjs", asked))
        machine = {
            "machine": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
        }
        print(json.dumps({"page": "draw, and follow the mouse", **measured, **machine}))


def _node(tools: Toolchain, script: str, *arguments: str) -> str:
    """Run a script of the page's; returns what it prints."""
    done = subprocess.run(
        [str(tools.node), str(SCRIPTS / "page" / script), *arguments],
        cwd=ROOT,
        env=tools.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout
